"""One sender's connection: time-outs and limits around the frame decoder; answers leave in the order of messages."""

import asyncio
import socket
from collections import deque
from typing import Protocol, cast

from overread.hl7_intake.admission import Address, address_of
from overread.hl7_intake.answer import Answer
from overread.hl7_intake.bursts import Bursts
from overread.hl7_intake.intake import CLAIM_CHECK_BYTES
from overread.hl7_intake.open_link import OpenLink
from overread.hl7_intake.pace import Pace
from overread.hl7_intake.patience import Patience
from overread.hl7_intake.settings import Link
from overread.protocols import mllp
from overread.runtime.telemetry import HL7_TURNED_AWAY, log

ANSWER_SECONDS = 10.0
"""How long a connection that ends waits for its last answers: longer than the broker is given."""

MOST_REPEATS = 3
"""How often an answer that its sender did not commit (MLLP R2) is sent again before the line is given up."""


class Door(Protocol):
    """Where connections come in: it knows which links they may use."""

    bursts: Bursts

    def links_for(self, address: Address | None) -> tuple[OpenLink, ...]:
        """Return the links that a connection from `address` may use, in the file's order."""

    def link_of(self, links: tuple[OpenLink, ...], payload: bytes) -> OpenLink:
        """Return which of several links the message is for; one that is for none goes to the first, which refuses it."""

    def enter(self, connection: "Connection", *, is_known: bool) -> None:
        """Let a connection in; unless it `is_known`, its first message will say which link it uses."""

    def identify(self, connection: "Connection") -> None:
        """Hear that the connection has said which link it uses."""

    def leave(self, connection: "Connection") -> None:
        """Let go of a connection that has ended."""


class Connection(asyncio.Protocol):
    """One sender: messages are taken in order and answered in order, several at a time when it does not wait."""

    def __init__(self, door: Door, *, is_tls: bool) -> None:
        self._door = door
        self._is_tls = is_tls
        self._loop = asyncio.get_running_loop()
        self._decoder = mllp.FrameDecoder(mllp.HEAD_BYTES)
        self._events: deque[mllp.Event] = deque()
        self._answers: deque[Answer] = deque()
        self._large: Answer | None = None
        self._lost = self._loop.create_future()
        self._patience = Patience(self._loop, self._on_silence)
        self._pacing: asyncio.TimerHandle | None = None
        self._frame_began: float | None = None
        self._garbage_bytes = 0
        self._last_answer = b""
        self._repeats = 0
        self._may_write = True
        self._is_reading = True
        self._is_ending = False
        self._is_taking = False
        self._is_let_in = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if a link lets the address in and has room."""
        self._transport = cast("asyncio.Transport", transport)
        self.address = address_of(transport.get_extra_info("peername"))
        self.links = self._door.links_for(self.address)
        if not self.links:
            self._warn_refused("", "no link allows this address")
            self._transport.close()
            return
        self._at = self.links[0]
        self._decoder.max_frame_bytes = max(at.link.maximum_frame_bytes for at in self.links)
        is_known = len(self.links) == 1
        if is_known and not self._join(self._at):
            self._transport.close()
            return
        self._is_let_in = True
        self._door.enter(self, is_known=is_known)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._patience.wait(self._at.link.idle_seconds)

    @property
    def link(self) -> Link:
        """Return the settings of the link of the latest message; at first those of the first that may be meant."""
        return self._at.link

    @property
    def is_identified(self) -> bool:
        """Say whether the connection is one of a link's own."""
        return self in self._at.connections

    def reconsider(self) -> None:
        """Use the links that the door has now; who may use none of them is ended in order."""
        self.links = self._door.links_for(self.address)
        if self._is_ending or (self.is_identified and self._at not in self.links):
            return  # whoever changes a link ends the connections that were its own
        self._decoder.max_frame_bytes = max((at.link.maximum_frame_bytes for at in self.links), default=0)
        if not self.is_identified:
            self._use_one_of(self.links)

    def _use_one_of(self, links: tuple[OpenLink, ...]) -> None:
        if len(links) > 1:
            self._at = links[0]
        elif not links or not self._join(links[0]):
            self.end()

    def _join(self, at: OpenLink) -> bool:
        """Become one of the link's own connections, if there is room."""
        if not at.has_room:
            self._warn_refused(at.link.link_id, "too many connections")
            return False
        self._at.connections.discard(self)
        self._at = at
        at.connections.add(self)
        self._door.identify(self)
        return True

    def _warn_refused(self, link_id: str, reason: str) -> None:
        HL7_TURNED_AWAY.labels(link_id).inc()
        said = {"link": link_id, "reason": reason, "address": str(self.address)}
        self._door.bursts.warn("connection_refused", self._loop.time(), kind=(link_id, reason), **said)

    def data_received(self, data: bytes) -> None:
        """Take what the bytes complete, and no more than may wait for its answer."""
        events = self._decoder.feed(data)
        self._note(is_progress=bool(events))
        self._events.extend(events)
        self._take()

    def eof_received(self) -> bool:
        """Keep the line open for the answers to what was taken; over TLS that is not possible."""
        self._end_when_answered()
        return not self._is_tls

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go; the answers that come now have nobody to go to."""
        self._patience.end()
        self._events.clear()
        self._answers.clear()
        if self._pacing is not None:
            self._pacing.cancel()
        if self._is_let_in:
            self._door.leave(self)
            self._at.connections.discard(self)
            self._say_the_end(exc)
        if not self._lost.done():
            self._lost.set_result(None)

    def _say_the_end(self, exc: Exception | None) -> None:
        if exc is not None:
            log.info("connection_ended", link=self.link.link_id, reason=type(exc).__name__)
        if (half := self._decoder.close()) is not None:
            log.warning("half_frame", link=self.link.link_id, bytes=len(half.content))

    def pause_writing(self) -> None:
        """Read no more from a sender that reads no answers."""
        self._may_write = False
        self._set_reading()

    def resume_writing(self) -> None:
        """Read on."""
        self._may_write = True
        self._take()

    def end(self) -> "asyncio.Future[None]":
        """Take no more; the result is there once what was taken is answered and the line is closed."""
        self._events.clear()
        self._end_when_answered()
        return self._lost

    def _end_when_answered(self) -> None:
        if not self._is_ending:
            self._is_ending = True
            self._loop.call_later(ANSWER_SECONDS, self._transport.abort)
        self._take()

    def _take(self) -> None:
        """Begin what there is room for; then read on, stop reading, or close."""
        self._is_taking = True
        try:
            while self._events and self._has_room():
                self._on_event(self._events.popleft())
        finally:
            self._is_taking = False
        self._set_reading()
        if self._is_ending and not self._events and not self._answers:
            self._transport.close()

    def _has_room(self) -> bool:
        # A large message takes its place in the order only when it is stored.
        if not self._may_write or (self._large is not None and not self._large.done()):
            return False
        at = self._at
        return len(self._answers) < at.link.pipelined_messages and (at.pace is None or self._is_on_time(at.pace))

    def _is_on_time(self, pace: Pace) -> bool:
        """Say whether the next message may be taken at the link's pace; else it is when its time has come."""
        seconds = pace.wait_seconds(self._loop.time())
        if seconds and self._pacing is None:
            self._pacing = self._loop.call_later(seconds, self._on_time)
        return not seconds

    def _on_time(self) -> None:
        self._pacing = None
        self._take()

    def _set_reading(self) -> None:
        """Read on once earlier messages have found their place: a sender that reads none may send none."""
        is_reading = self._may_write and not self._events and not self._is_ending
        if is_reading is self._is_reading or self._transport.is_closing():
            return
        self._is_reading = is_reading
        self._transport.resume_reading() if is_reading else self._transport.pause_reading()

    def _note(self, *, is_progress: bool) -> None:
        """Note how long the sender may be silent now, or take to end the message that it has begun."""
        if is_progress:
            self._frame_began = None
        if not self._decoder.is_inside_frame:
            self._patience.wait(self._at.link.idle_seconds)
        elif self._frame_began is None:
            self._frame_began = self._loop.time()
            self._patience.wait(self.link.half_frame_seconds)

    def _on_silence(self) -> None:
        """Give up: on a sender that reads nothing by cutting the line; one that waits for us is not silent."""
        if (self._answers or self._events) and not self._transport.get_write_buffer_size():
            is_inside = self._decoder.is_inside_frame
            self._patience.wait(self.link.half_frame_seconds if is_inside else self.link.idle_seconds)
            return
        log.info("connection_ended", link=self.link.link_id, reason="TimeoutError")
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        self._transport.close()

    def _on_event(self, event: mllp.Event) -> None:
        match event:
            case mllp.Frame(payload):
                if len(payload) > 1 or not self._is_commit(payload):
                    self._begin(payload)
            case mllp.Oversize(head):
                self._refuse_oversize(head)
            case mllp.HalfFrame():
                log.warning("half_frame", link=self.link.link_id, bytes=len(event.content))
            case mllp.Garbage() if not event.is_blank:
                self._on_garbage(len(event.content))

    def _begin(self, payload: bytes) -> None:
        if len(self.links) > 1:
            if not self._is_joined_for(payload):
                return
            if len(payload) > self._at.link.maximum_frame_bytes:  # the decoder let in what another link may take
                self._answer_oversize(payload[: mllp.HEAD_BYTES])
                return
        self._count()
        answer = self._at.intake.begin(payload)
        self._large = answer if len(payload) > CLAIM_CHECK_BYTES else None
        self._answer_later(answer)

    def _refuse_oversize(self, head: bytes) -> None:
        if len(self.links) == 1 or self._is_joined_for(head):
            self._answer_oversize(head)

    def _answer_oversize(self, head: bytes) -> None:
        self._count()
        self._answer_later(self._at.intake.refuse_oversize(head))

    def _count(self) -> None:
        self._garbage_bytes = 0
        if self._at.pace is not None:
            self._at.pace.count(self._loop.time())

    def _is_joined_for(self, payload: bytes) -> bool:
        """Become a connection of the link that the message is for; one that is full ends it."""
        at = self._door.link_of(self.links, payload)
        if self in at.connections or self._join(at):
            return True
        self.end()
        return False

    def _on_garbage(self, length: int) -> None:
        """Pass over bytes outside blocks, up to the link's limit since the last message."""
        if not self._garbage_bytes:
            log.warning("garbage_between_frames", link=self.link.link_id, bytes=length)
        self._garbage_bytes += length
        if self._garbage_bytes > self.link.maximum_garbage_bytes:
            log.warning("connection_ended", link=self.link.link_id, reason="garbage")
            self.end()

    def _is_commit(self, payload: bytes) -> bool:
        """Take the sender's word for our answer (MLLP R2), if it is one; an answer that it could not keep goes again."""
        if not self._at.link.commits_blocks or payload not in (mllp.COMMITTED, mllp.NOT_COMMITTED):
            return False
        if payload == mllp.NOT_COMMITTED and self._last_answer:
            self._repeat_answer()
        return True

    def _repeat_answer(self) -> None:
        self._repeats += 1
        if self._repeats > MOST_REPEATS:
            log.warning("connection_ended", link=self.link.link_id, reason="the sender commits no answer")
            self._end_when_answered()
        elif not self._transport.is_closing():
            self._transport.write(self._last_answer)

    def _answer_later(self, answer: Answer) -> None:
        self._answers.append(answer)
        answer.when_done(self._answer_in_order)

    def _answer_in_order(self) -> None:
        while self._answers and self._answers[0].done():
            self._write(self._answers.popleft())
        if (self._events or self._is_ending) and not self._is_taking:
            self._take()

    def _write(self, answer: Answer) -> None:
        if answer.failure is not None:
            # A bug of ours ends this connection, and no other: its sender sees it close, and sends again.
            self._loop.call_exception_handler({"message": "a message failed", "exception": answer.failure})
            self._transport.abort()
        elif not self._transport.is_closing():
            written = answer.result()
            if self._at.link.commits_blocks:
                self._write_committed(written, is_committed=answer.is_committed)
            elif written is not None:
                self._transport.write(mllp.encode(written))

    def _write_committed(self, written: bytes | None, *, is_committed: bool) -> None:
        """Commit the block, then answer; a block that has to come again gets no other answer (MLLP R2)."""
        self._transport.write(mllp.commit(is_committed=is_committed))
        if is_committed and written is not None:
            self._last_answer, self._repeats = mllp.encode(written), 0
            self._transport.write(self._last_answer)
