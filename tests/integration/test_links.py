"""Several links on real sockets, with a broker in memory: each with its own settings, none disturbed by another."""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from overread.hl7_intake.links import LinksRefused
from overread.hl7_intake.settings import Link
from overread.protocols import mllp
from tests.builders.hl7 import an_omi
from tests.fakes.hl7_intake import FakeBroker
from tests.fakes.mllp_hospital import CA_OF, Hospital, a_hospital, is_answered, link
from tests.fakes.mllp_lines import Authority, Line, free_ports, until


def from_application(name: str, control_id: str = "M1", **told: Any) -> bytes:
    return an_omi(control_id=control_id, put={"MSH-3": name, **told.pop("put", {})}, **told)


async def test_each_link_has_its_own_port_settings_and_key() -> None:
    """One broken vendor gets a setting, and the next one none: what they send is kept under their own keys."""
    his_port, ris_port = free_ports(2)
    async with a_hospital() as hospital:
        await hospital.open(
            link("his", his_port, fallback_charset="utf-8"), link("ris", ris_port, duplicate_window_hours=1)
        )
        his, ris = await hospital.line(his_port), await hospital.line(ris_port)
        unmarked = an_omi(charset="utf-8", put={"MSH-18": ""})

        his.send(unmarked)
        ris.send(unmarked)
        taken, refused = await his.answer(), await ris.answer()

    assert (b"MSA|CA|" in taken, b"MSA|CE|" in refused) == (True, True)
    assert hospital.links_of_events() == ["his"]


async def test_the_same_control_id_on_two_links_is_no_repeat() -> None:
    """The duplicate guard is a link's own: two vendors may both begin at 1."""
    his_port, ris_port = free_ports(2)
    async with a_hospital() as hospital:
        await hospital.open(link("his", his_port), link("ris", ris_port))

        for port, placer in ((his_port, "A^HIS"), (ris_port, "B^RIS")):
            line = await hospital.line(port)
            line.send(an_omi(placer=placer))
            assert b"MSA|CA|" in await line.answer()

    assert hospital.links_of_events() == ["his", "ris"]


async def test_links_that_share_a_port_are_told_apart_by_msh_3_and_msh_4() -> None:
    """An interface engine sends for several systems on one connection: each message is its own link's."""
    (port,) = free_ports(1)
    async with a_hospital(port) as hospital:
        await hospital.open(
            link("his", allowed_applications=["HIS|BVX"]), link("ris", allowed_applications=["RIS"]), link("rest")
        )
        line = await hospital.line(port)

        for number, (name, facility) in enumerate((("HIS", "BVX"), ("RIS", "BVX"), ("HIS", "BVY"), ("LIS", "BVX"))):
            line.send(from_application(name, f"M{number}", put={"MSH-4": facility}))
            assert CA_OF % b"M%d" % number in await line.answer()

    assert hospital.links_of_events() == ["his", "ris", "rest", "rest"]


@pytest.mark.parametrize("others", [[], [link("ris", allowed_applications=["RIS"])]])
async def test_a_message_of_nobodys_link_is_rejected_with_a_reason(others: list[Link]) -> None:
    """HL7 v2.5.1, 2.9.2.2: AR, in enhanced mode CR; 103 since MSH-3 is a table's, and the link's list is the table."""
    (port,) = free_ports(1)
    async with a_hospital(port) as hospital:
        await hospital.open(link("his", allowed_applications=["HIS"]), *others)
        line = await hospital.line(port)

        line.send(from_application("STRANGER"), from_application("STRANGER", put={"MSH-15": "", "MSH-16": ""}))
        enhanced, original = await line.answer(), await line.answer()

    assert (b"MSA|CR|M1\r" in enhanced, b"MSA|AR|M1\r" in original) == (True, True)
    assert b"ERR||MSH^1^3|103^" in enhanced
    assert b"not one of this link" in enhanced
    assert hospital.broker.records == []


async def test_a_connection_from_an_address_that_no_link_allows_is_closed() -> None:
    """Who may not speak is not heard, and the log says who came."""
    his_port, ris_port = free_ports(2)
    async with a_hospital() as hospital:
        await hospital.open(
            link("his", his_port, allowed_peers=["10.20.0.0/16"]), link("ris", ris_port, allowed_peers=["127.0.0.0/8"])
        )
        with capture_logs() as logs:
            stranger, known = await hospital.line(his_port), await hospital.line(ris_port)

            assert await stranger.is_closed()
            assert await is_answered(known, "M1")

    said = [(line["reason"], line["address"]) for line in logs if line["event"] == "connection_refused"]
    assert said == [("no link allows this address", "127.0.0.1")]


async def test_links_that_share_a_port_are_told_apart_by_their_networks() -> None:
    """The address says which link it is: the other one's names and limits do not matter."""
    (port,) = free_ports(1)
    async with a_hospital(port) as hospital:
        await hospital.open(
            link("far", allowed_peers=["10.0.0.0/8"], maximum_connections=1), link("near", allowed_peers=["127.0.0.1"])
        )
        lines = [await hospital.line(port) for _ in range(3)]

        assert [await is_answered(line, f"M{number}") for number, line in enumerate(lines)] == [True] * 3

    assert set(hospital.links_of_events()) == {"near"}


async def test_a_links_own_size_cap_holds_on_a_port_that_another_shares() -> None:
    """Who the message is of is known only once it is whole: then its own link's cap is asked."""
    (port,) = free_ports(1)
    async with a_hospital(port) as hospital:
        await hospital.open(
            link("small", allowed_applications=["HIS"], maximum_frame_bytes=4096),
            link("large", allowed_applications=["RIS"], maximum_frame_bytes=65536),
        )
        line = await hospital.line(port)

        for number, (name, length) in enumerate((("HIS", 5_000), ("RIS", 5_000), ("RIS", 70_000), ("HIS", 10))):
            line.send(from_application(name, f"M{number}", clinical="x" * length))
        answers = [await line.answer() for _ in range(4)]

    assert [answer.split(b"MSA|")[1][:5] for answer in answers] == [b"CE|M0", b"CA|M1", b"CE|M2", b"CA|M3"]


async def test_a_link_of_release_2_commits_each_block_and_then_answers() -> None:
    """MLLP release 2: `06` once it is in safe storage, `15` when it has to come again, without another answer then."""
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        await hospital.open(link("his", port, commits_blocks=True))
        line = await hospital.line(port)

        line.send(an_omi())
        committed, answer = await line.exactly(4), await line.answer()
        line.send(mllp.COMMITTED, an_omi(control_id="BAD", without="PID"))
        committed_too, refused = await line.exactly(4), await line.answer()
        hospital.broker.is_away = True
        line.send(an_omi(control_id="M2"))
        not_committed = await line.exactly(4)
        hospital.broker.is_away = False
        line.send(an_omi(control_id="M2", put={"MSH-15": "NE"}))
        committed_at_last, is_silent = await line.exactly(4), await line.has_silence()

    assert (committed, committed_too, committed_at_last) == (b"\x0b\x06\x1c\r",) * 3
    assert not_committed == b"\x0b\x15\x1c\r"
    assert (b"MSA|CA|" in answer, b"MSA|CE|BAD" in refused, is_silent) == (True, True, True)


async def test_an_answer_that_its_sender_could_not_commit_is_sent_again_three_times() -> None:
    """MLLP release 2: a negative commit asks for the block once more; who never takes it is let go."""
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        await hospital.open(link("his", port, commits_blocks=True))
        line = await hospital.line(port)

        line.send(an_omi())
        await line.exactly(4)
        answers = [await line.answer()]
        for _ in range(3):
            line.send(mllp.NOT_COMMITTED)
            answers.append(await line.answer())
        line.send(mllp.NOT_COMMITTED)

        assert await line.is_closed()
    assert len(set(answers)) == 1


async def test_a_links_own_port_may_demand_certificates(tmp_path: Path) -> None:
    """BCP 195, mutual TLS per link: the port beside it is plain."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    tls_port, plain_port = free_ports(2)
    async with a_hospital() as hospital:
        files = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": authority.root}
        await hospital.open(link("his", tls_port, **files), link("ris", plain_port))
        known = authority.client(authority.issue("sender"))
        his = await hospital.line(tls_port, ssl=known, server_hostname="localhost")
        ris = await hospital.line(plain_port)

        assert await is_answered(his, "M1")
        assert await is_answered(ris, "M2")
        with pytest.raises((ssl.SSLError, OSError, asyncio.IncompleteReadError)):
            await is_answered(await hospital.line(tls_port, ssl=authority.client(), server_hostname="localhost"), "M3")


async def test_a_renewed_certificate_is_shown_without_ending_a_connection(tmp_path: Path) -> None:
    """Certificates of ninety days are renewed in the file: who is connected notices nothing."""
    first, second = Authority(tmp_path / "first"), Authority(tmp_path / "second")
    certificate, key = first.issue("server")
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        his = link("his", port, tls_certificate=certificate, tls_key=key)
        await hospital.open(his)
        before = await hospital.line(port, ssl=first.client(), server_hostname="localhost")
        assert await is_answered(before, "M1")

        for old, new in zip((certificate, key), second.issue("server"), strict=True):
            old.write_bytes(new.read_bytes())
        await hospital.open(his)
        after = await hospital.line(port, ssl=second.client(), server_hostname="localhost")

        assert await is_answered(before, "M2")
        assert await is_answered(after, "M3")


async def change_limits(hospital: Hospital, kept: Link, other: Link) -> None:
    await hospital.open(kept, other.model_copy(update={"maximum_frame_bytes": 4096}))


async def change_port(hospital: Hospital, kept: Link, other: Link) -> None:
    await hospital.open(kept, other.model_copy(update={"port": free_ports(1)[0]}))


async def remove(hospital: Hospital, kept: Link, other: Link) -> None:
    del other
    await hospital.open(kept)


CHANGES = [change_limits, change_port, remove]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("is_shared", [False, True])
async def test_a_change_to_one_link_never_disturbs_another(change: Any, *, is_shared: bool) -> None:
    """REQ-LNK-02: A's connection goes on being answered on the same socket while B is added, changed and taken away."""
    default, own_a, own_b = free_ports(3)
    ports: Sequence[int | None] = (None, None) if is_shared else (own_a, own_b)
    a = link("a", ports[0], allowed_applications=["HIS"])
    b = link("b", ports[1], allowed_applications=["RIS"])
    async with a_hospital(default) as hospital:
        await hospital.open(a)
        on_a = await hospital.line(ports[0] or default)
        assert await is_answered(on_a, "A1")

        await hospital.open(a, b)
        on_b = await hospital.line(ports[1] or default)
        on_b.send(from_application("RIS", "B1"))
        assert CA_OF % b"B1" in await on_b.answer()
        assert await is_answered(on_a, "A2")

        talking = asyncio.create_task(talk(on_a))
        await change(hospital, a, b)

        assert await on_b.is_closed()
        assert await is_answered_all(talking)
        assert await is_answered(on_a, "A3")

    assert hospital.links_of_events().count("b") == 1


async def talk(line: Line) -> list[bool]:
    return [await is_answered(line, f"T{number}") for number in range(50)]


async def is_answered_all(talking: "asyncio.Task[list[bool]]") -> bool:
    return all(await talking)


async def test_a_changed_links_connections_end_once_what_they_sent_is_answered() -> None:
    """What was taken is said to be taken, also while its link is being changed; the sender then connects anew."""
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        hospital.broker = FakeBroker(holds=True)
        await hospital.open(link("b", port))
        line = await hospital.line(port)
        line.send(an_omi(control_id="B1"))
        await until(lambda: len(hospital.broker.records) == 1)

        changing = asyncio.create_task(hospital.open(link("b", port, versions=["2.5.1"])))
        await asyncio.sleep(0.05)
        hospital.broker.keep(0)

        assert CA_OF % b"B1" in await line.answer()
        assert await line.is_closed()
        await changing


async def test_a_link_that_is_changed_under_load_takes_each_message_once() -> None:
    """Promise 4, while its own settings change ten times: who is cut off connects anew, sends again, and is answered."""
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        hospital.broker = SlowBroker()
        await hospital.open(link("b", port))
        sending = asyncio.create_task(send_until_answered(hospital, port, 300))

        for number in range(10):
            await asyncio.sleep(0.02)
            await hospital.open(link("b", port, idle_seconds=60 + number))
        reconnected = await sending

    taken = [event.data.message_control_id for event in hospital.broker.events]
    assert sorted(taken) == sorted(f"M{number}" for number in range(300))
    assert reconnected > 0


class SlowBroker(FakeBroker):
    """Keeps each record a moment later: almost always one is on its way."""

    def keep(self, number: int) -> None:
        asyncio.get_running_loop().call_later(0.003, super().keep, len(self.records) - 1 if number < 0 else number)


async def send_until_answered(hospital: Hospital, port: int, number: int) -> int:
    """Send one message after the other, each until it is answered; return how often the line had to be opened again."""
    line, opened = await hospital.line(port), 0
    for control_id in (f"M{message}" for message in range(number)):
        while True:
            try:
                assert await is_answered(line, control_id)
                break
            except (asyncio.IncompleteReadError, ConnectionError):
                line, opened = await hospital.line(port), opened + 1
    return opened


async def test_a_changed_link_still_knows_what_it_took() -> None:
    """A repeat after the change gets its first answer again; with MSH-7 in the key what was known is read back."""
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        await hospital.open(link("b", port))
        first = await hospital.line(port)
        first.send(an_omi())
        answer = await first.answer()

        await hospital.open(link("b", port, idle_seconds=60))
        again = await hospital.line(port)
        again.send(an_omi())

        assert await again.answer() == answer
    assert len(hospital.broker.records) == 1


async def test_a_port_that_is_taken_changes_nothing() -> None:
    """All of the new links, or none: those that were open go on as they were."""
    a_port, b_port, taken_port = free_ports(3)
    async with a_hospital() as hospital:
        await hospital.open(link("a", a_port))
        on_a = await hospital.line(a_port)
        stranger = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", taken_port)

        with pytest.raises(LinksRefused, match=rf"link c, port: nobody can listen on {taken_port} .*; write another"):
            await hospital.open(link("a", a_port, idle_seconds=1), link("b", b_port), link("c", taken_port))
        stranger.close()

        assert await is_answered(on_a, "A1")
        with pytest.raises(ConnectionRefusedError):
            await hospital.line(b_port)


async def test_a_certificate_that_can_not_be_read_changes_nothing(tmp_path: Path) -> None:
    """The sentence names the files; who is connected goes on."""
    a_port, b_port = free_ports(2)
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    async with a_hospital() as hospital:
        await hospital.open(link("a", a_port))
        on_a = await hospital.line(a_port)

        with pytest.raises(LinksRefused, match=r"broken\.pem"):
            await hospital.open(link("b", b_port, tls_certificate=broken))

        assert await is_answered(on_a, "A1")


async def test_a_links_connections_are_counted_and_a_removed_link_is_not() -> None:
    """An operator sees which vendor is connected, and who was turned away."""
    his_port, ris_port = free_ports(2)
    async with a_hospital() as hospital:
        his = link("counted-his", his_port, maximum_connections=1)
        await hospital.open(his, link("counted-ris", ris_port))

        assert await is_answered(await hospital.line(his_port), "M1")
        assert await (await hospital.line(his_port)).is_closed()
        counted = [sample("overread_hl7_connections", name) for name in ("counted-his", "counted-ris")]
        await hospital.open(his)

    assert counted == [1, 0]
    assert sample("overread_hl7_connections_refused_total", "counted-his") == 1
    assert sample("overread_hl7_connections", "counted-ris") is None


def sample(name: str, link_id: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"link": link_id})
