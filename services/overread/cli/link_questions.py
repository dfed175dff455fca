"""What `overread link add` asks: each question with what it means, its usual answer, and how an answer is read."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from overread.cli.link_text import with_link
from overread.hl7_intake import links
from overread.hl7_intake.link_faults import of_setting
from overread.hl7_intake.links import LinksRefused
from overread.hl7_intake.ports import contexts_of, ports_of
from overread.hl7_intake.settings import HL7IntakeSettings, Link

Told = dict[str, Any]
"""A link's settings as they are written; what has its usual value is left out."""

_TLS = ("tls_certificate", "tls_key", "tls_client_ca")
_ACKS = {"standard": False, "aa": True}


class WrongAnswer(Exception):
    """An answer that can't be used; the words say why."""


class Question(NamedTuple):
    """One question: its option, which setting it is about, and what is said to whoever answers."""

    option: str
    setting: str
    asks: str
    usual: str
    means: str
    reads: Callable[[str], Any]


def _text(answer: str) -> str:
    return answer


def _listed(answer: str) -> list[str]:
    return [] if answer.lower() == "all" else [part.strip() for part in answer.split(",") if part.strip()]


def _places(answer: str) -> list[str]:
    return [] if answer.lower() == "standard" else _listed(answer)


def _port(answer: str) -> int | None:
    if answer.lower() == "shared":
        return None
    if not answer.isdecimal():
        raise WrongAnswer(f"{answer} is no port: write a number as 2581, or shared")
    return int(answer)


def _unless_none(answer: str) -> str:
    return "" if answer.lower() == "none" else answer


def _acks(answer: str) -> bool:
    if answer.lower() not in _ACKS:
        raise WrongAnswer(f"{answer} is neither standard nor aa")
    return _ACKS[answer.lower()]


QUESTIONS: tuple[Question, ...] = (
    Question(
        "name",
        "link_id",
        "Name of the link",
        "",
        "small letters, digits and hyphens, as his-bvx; it stands in logs and metrics, and is never changed",
        _text,
    ),
    Question(
        "port",
        "port",
        "Its own port, or shared",
        "shared",
        "a shared link uses the default ports, and is told from others by address and sender; TLS wants its own",
        _port,
    ),
    Question(
        "tls-certificate",
        "tls_certificate",
        "TLS certificate (PEM file), or none",
        "none",
        "with it the port speaks TLS 1.2 or 1.3 and nothing else",
        _unless_none,
    ),
    Question(
        "tls-key",
        "tls_key",
        "Its key (PEM file), or none",
        "none",
        "none where the key is in the certificate's file",
        _unless_none,
    ),
    Question(
        "tls-client-ca",
        "tls_client_ca",
        "Authority of the sender's certificates (PEM file), or none",
        "none",
        "with it only senders with a certificate of this authority are let in (mutual TLS)",
        _unless_none,
    ),
    Question(
        "peers",
        "allowed_peers",
        "Addresses that may connect, or all",
        "all",
        "networks or addresses with commas between them, as 10.20.0.0/16, 192.168.5.7",
        _listed,
    ),
    Question(
        "applications",
        "allowed_applications",
        "Senders that may use it, or all",
        "all",
        "MSH-3, MSH-3|MSH-4 or |MSH-4 with commas between them, as HIS|BVX, RIS",
        _listed,
    ),
    Question(
        "charset",
        "fallback_charset",
        "Charset of a sender that leaves MSH-18 empty, or none",
        "none",
        "as cp1258, TCVN3 or VNI; none is by the book: then an empty MSH-18 means ASCII. A day that was recorded tells "
        "(overread hl7 propose)",
        _unless_none,
    ),
    Question(
        "accession",
        "accession_places",
        "Where the accession number is, or standard",
        "standard",
        "standard is IPC-1, then OBR-18; others with commas between them, as ZPA-3.2, OBR-18: fields of ORC, OBR, IPC or "
        "a Z segment. Without the right one no order finds its images",
        _places,
    ),
    Question(
        "acks",
        "answers_application_ack_on_the_line",
        "Answers in enhanced mode: standard or aa",
        "standard",
        "standard is CA on the line; aa is for senders that fill MSH-15 or MSH-16 and wait for AA all the same",
        _acks,
    ),
    Question(
        "processing-ids",
        "processing_ids",
        "MSH-11 that is taken, or all",
        "all",
        "P is production, T a test, D debugging; once the sender is in use P alone keeps tests out",
        _listed,
    ),
    Question(
        "language",
        "language",
        "Language of what a refusal says: vi, en or fr",
        "en",
        "the sentence in ERR-8 that users of the sender read",
        _text,
    ),
)


def is_due(question: Question, told: Told, text: str, settings: HL7IntakeSettings) -> bool:
    """Say whether a question has a meaning after what is told: TLS is a port's, and that of another link has its own."""
    if question.setting not in _TLS:
        return True
    if "port" not in told or _link_at(told["port"], text, settings):
        return False
    return question.setting == "tls_certificate" or "tls_certificate" in told


def answered(question: Question, answer: str, told: Told, text: str, settings: HL7IntakeSettings) -> Told:
    """Return what is told with this answer too, or raise `WrongAnswer` with why it can't be in the file."""
    value = question.reads(answer.strip())
    with_it = {**told} if _is_usual(question.setting, value) else {**told, question.setting: value}
    if question.setting == "port" and value is not None:
        with_it |= _tls_of_port(value, text, settings)
    if fault := _fault_in(with_it, question.setting, text, settings):
        raise WrongAnswer(fault)
    return with_it


def _is_usual(setting: str, value: Any) -> bool:
    return setting != "link_id" and (value in (None, "", []) or value == Link.model_fields[setting].default)


def _tls_of_port(port: int, text: str, settings: HL7IntakeSettings) -> Told:
    """Links of one port share its certificates: take those of the link that has it."""
    there = _link_at(port, text, settings)
    files = {name: getattr(there, name) for name in _TLS} if there else {}
    return {name: str(path) for name, path in files.items() if path}


def _link_at(port: int, text: str, settings: HL7IntakeSettings) -> Link | None:
    found = links.parse(text, settings) if text.strip() else ()
    return next((link for link in found if link.port == port), None)


def _fault_in(told: Mapping[str, Any], setting: str, text: str, settings: HL7IntakeSettings) -> str:
    """Say what is wrong with this setting; what another one may still mend is nothing to complain of yet."""
    try:
        link = Link.model_validate(told)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        return of_setting(fault, str(fault["loc"][0]) if fault["loc"] else setting)
    try:
        with_link(text, told, settings)
    except LinksRefused as refused:
        return str(refused) if f", {setting}: " in str(refused) else ""
    return _fault_of_files(link, settings) if setting in _TLS else ""


def _fault_of_files(link: Link, settings: HL7IntakeSettings) -> str:
    try:
        contexts_of(list(ports_of(settings, [link])))
    except LinksRefused as refused:  # which file it is tells more here than which port
        return str(refused).partition(", ")[2]
    return ""
