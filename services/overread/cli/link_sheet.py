"""How a link's sender is to be set up, in the link's language: a sheet for the vendor's people."""

from collections.abc import Iterator

from overread.hl7_intake.ports import ports_of
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.protocols.hl7.contents import TAKEN
from overread.protocols.hl7.words import say

_ANYWHERE = ("0.0.0.0", "::", "127.0.0.1", "localhost")


def sheet(link: Link, settings: HL7IntakeSettings) -> Iterator[str]:
    """Yield the sheet, a sentence a line."""
    language = link.language
    yield say(language, "How the sender of link {link} is to be set up:", link=link.link_id)
    yield from (f"- {line}" for line in (*_connection(link, settings), *_messages(link), *_answers(link)))


def _connection(link: Link, settings: HL7IntakeSettings) -> Iterator[str]:
    host = say(link.language, "this machine") if settings.mllp_host in _ANYWHERE else settings.mllp_host
    for port in ports_of(settings, [link]):
        over_tls = "Connect by MLLP over TLS 1.2 or 1.3 to port {port} of {host}, and keep the connection open."
        plain = "Connect by MLLP to port {port} of {host}, and keep the connection open."
        yield say(link.language, over_tls if port.certificate else plain, port=port.number, host=host)
        if port.client_ca:
            yield say(link.language, "Show a certificate of your own, issued by the authority that was agreed.")
    if link.allowed_peers:
        peers = ", ".join(map(str, link.allowed_peers))
        yield say(link.language, "Connect from {peers}; other addresses are not let in.", peers=peers)


def _messages(link: Link) -> Iterator[str]:
    language = link.language
    yield say(language, "Send one message a block (0x0B before, 0x1C 0x0D behind it); each segment ends in CR (0x0D).")
    if link.allowed_applications:
        names = ", ".join(link.allowed_applications)
        yield say(language, "Write one of these into MSH-3 (with | also MSH-4): {names}.", names=names)
    if link.fallback_charset:
        sentence = "Where MSH-18 is empty the text is read as {charset}; new senders write UNICODE UTF-8 into it."
        yield say(language, sentence, charset=link.fallback_charset)
    else:
        yield say(language, "Write UNICODE UTF-8 into MSH-18.")
    sentence = "MSH-12 is one of {versions}; MSH-11 one of {processing_ids}."
    versions, processing_ids = (", ".join(sorted(names)) for names in (link.versions, link.processing_ids))
    yield say(language, sentence, versions=versions, processing_ids=processing_ids)
    types = ", ".join(f"{code}^{'/'.join(sorted(events))}" for code, events in TAKEN.items())
    yield say(language, "These messages are taken: {types}.", types=types)


def _answers(link: Link) -> Iterator[str]:
    yield say(
        link.language,
        "Each message has an MSH-10 of its own. One that gets no answer is sent again, the same bytes under the same "
        "MSH-10.",
    )
    usual = (
        "With MSH-15 and MSH-16 empty the answer is AA, otherwise CA (enhanced mode); it says that the message is kept."
    )
    always = "The answer is AA, also where MSH-15 or MSH-16 is filled; it says that the message is kept."
    yield say(link.language, always if link.answers_application_ack_on_the_line else usual)
    yield say(
        link.language,
        "AE, AR, CE and CR say that it was not taken, and ERR-8 (before version 2.5: MSA-3) why; show that to somebody.",
    )
