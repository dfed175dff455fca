"""The acceptance protocol as one HTML page for print, in the link's language, that needs nothing else."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from overread.cli.acceptance_findings import Judged
from overread.cli.hl7_propose import mode_in, table
from overread.contracts import codec
from overread.hl7_intake.settings import Link
from overread.protocols.hl7.sentences import Language
from overread.protocols.hl7.survey import survey
from overread.protocols.hl7.words import say
from overread.runtime.settings import ServiceSettings

TRIED = (
    "A patient's name with every Vietnamese mark reads at Overread as it does at the sender.",
    "An order, its change and its cancellation are seen at Overread in this order.",
    "A message that is refused is shown to a user of the sender, with its reason.",
    "The line is cut after a message and before its answer: the sender sends the same bytes again.",
    "While Overread is stopped for five minutes the sender keeps its messages, and sends them afterwards in order.",
)
"""What no recorded message shows: both sides try it together and tick it."""

SIDES = ("Hospital", "Sender's maker")

_STYLE = """
body { font: 11pt/1.4 sans-serif; margin: 2cm auto; max-width: 18cm; color: #111; }
h1 { font-size: 17pt; } h2 { font-size: 13pt; margin-top: 1.6em; break-after: avoid; }
table { border-collapse: collapse; width: 100%; } th, td { border: 1px solid #777; padding: .3em .5em; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; } td.number { text-align: right; } pre { font-size: 8.5pt; white-space: pre-wrap; overflow-wrap: anywhere; }
.types td:first-child { white-space: nowrap; } .signatures td { height: 2.4em; } tr, .signatures { break-inside: avoid; } thead { display: table-header-group; }
@page { size: A4; margin: 1.5cm; } @media print { body { margin: 0; max-width: none; } }
"""

Rows = Iterator[tuple[object, ...]]


def page(messages: Sequence[bytes], judged: Judged, link: Link, settings: ServiceSettings, now: datetime) -> str:
    """Return the protocol."""
    language = link.language
    title = say(language, "Acceptance protocol of the HL7 link {link}", link=link.link_id)
    parts = (
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(_about(messages, settings, now, language))}</p>",
        f"<p><strong>{escape(_verdict(judged, language))}</strong></p>",
        *_judgements(judged, language),
        *_of_the_day(messages, link),
        _heading("Tried together on the line", language),
        _table(("what", "yes", "no", "remark"), ((say(language, each), "", "", "") for each in TRIED), language),
        _heading("Signatures", language),
        _table(("", "name", "date", "signature"), _signatures(language), language, ' class="signatures"'),
    )
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="{language}"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _judgements(judged: Judged, language: Language) -> Iterator[str]:
    yield _heading("Message types", language)
    yield _table(("type", "messages", "would be taken", "refused"), _types(judged), language)
    yield _heading("Findings", language)
    columns = ("type", "messages", "what", "what to change", "control IDs, for example")
    yield _table(columns, _findings(judged, language), language, ' class="types"')
    yield _heading("Text", language)
    yield _table(("MSH-18 says", "read as", "messages"), _texts(judged, language), language)
    yield _heading("Answers", language)
    yield _table(("asked for", "answer", "messages"), _answers(judged, language), language)


def _of_the_day(messages: Sequence[bytes], link: Link) -> Iterator[str]:
    counts = "\n".join(escape(line) for line in table(survey(messages), link.language))
    told = escape(link.model_dump_json(indent=1, exclude_defaults=True, exclude={"tls_key"}))
    yield _heading("What came", link.language)
    yield f"<pre>{counts}</pre>"
    yield _heading("The link's settings that are not the usual ones", link.language)
    yield f"<pre>{told}</pre>"


def _heading(title: str, language: Language) -> str:
    return f"<h2>{escape(say(language, title))}</h2>"


def _about(messages: Sequence[bytes], settings: ServiceSettings, now: datetime, language: Language) -> str:
    local = now.astimezone(settings.time_zone)
    return say(
        language,
        "Site {site}, {moment}. {count} recorded messages, judged by the listener's own rules. SHA-256 of all in order: "
        "{digest}",
        site=settings.site_id,
        moment=f"{local:%Y-%m-%d %H:%M} ({local:%z})",
        count=len(messages),
        digest=codec.sha256(b"".join(messages)),
    )


def _verdict(judged: Judged, language: Language) -> str:
    came = judged.came.total()
    refused = came - judged.taken.total()
    if not refused:
        return say(language, "Every message would be taken.")
    return say(language, "{count} of {of} messages would be refused.", count=refused, of=came)


def _types(judged: Judged) -> Rows:
    for kind, came in judged.came.most_common():
        yield kind, came, judged.taken[kind], came - judged.taken[kind]


def _findings(judged: Judged, language: Language) -> Rows:
    found = sorted(judged.findings.values(), key=lambda finding: -finding.count)
    for each in found:
        yield each.kind, each.count, each.says, each.change, ", ".join(each.control_ids)
    if not found:
        yield "–", 0, say(language, "nothing"), "–", "–"


def _texts(judged: Judged, language: Language) -> Rows:
    for (declared, charset), count in judged.texts.most_common():
        yield declared or say(language, "(empty)"), charset or say(language, "not readable"), count


def _answers(judged: Judged, language: Language) -> Rows:
    for (asked, code), count in judged.answers.most_common():
        yield mode_in(language, asked), code or say(language, "no answer"), count


def _signatures(language: Language) -> Rows:
    for side in SIDES:
        yield say(language, side), "", "", ""
    yield "Overread", "", "", ""


def _table(headings: Sequence[str], rows: Rows, language: Language, attribute: str = "") -> str:
    head = "".join(f"<th>{escape(say(language, heading)) if heading else ''}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>\n" for row in rows)
    return f"<table{attribute}><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    mark = ' class="number"' if isinstance(value, int) else ""
    return f"<td{mark}>{escape(str(value))}</td>"
