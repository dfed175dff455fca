"""`overread hl7 acceptance`: a link's acceptance protocol for print: what came, what was judged of it, who signs."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path

from overread.cli.hl7_explain import add_link, links_of
from overread.cli.hl7_propose import table
from overread.cli.hl7_verdict import Judge, Verdict
from overread.cli.recordings import recorded
from overread.contracts import codec
from overread.contracts.errors import OverreadError
from overread.hl7_intake.settings import Link
from overread.protocols.hl7.advice import LENIENCIES, what_to_change, where_text_breaks
from overread.protocols.hl7.code_tables import meaning
from overread.protocols.hl7.explain import printable
from overread.protocols.hl7.sentences import translate
from overread.protocols.hl7.survey import survey
from overread.protocols.hl7.tokenise import read_header, tokenise
from overread.runtime.clock import utc_now
from overread.runtime.settings import ServiceSettings

MOST_EXAMPLES = 5
"""So many control IDs are named for each finding."""

EXAMPLES = """\
examples:
  overread hl7 acceptance day --out his.html                                  by a link's usual settings
  overread hl7 acceptance day --links links.toml --link his-bvx --out his.html

Print it from a browser; both sides sign. Ends with 0 when every message would be taken, with 1 otherwise.
"""

_STYLE = """
body { font: 11pt/1.4 sans-serif; margin: 2cm auto; max-width: 18cm; color: #111; }
h1 { font-size: 17pt; } h2 { font-size: 13pt; margin-top: 1.6em; }
table { border-collapse: collapse; width: 100%; } th, td { border: 1px solid #777; padding: .3em .5em; text-align: left; vertical-align: top; }
td.number { text-align: right; } pre { font-size: 8.5pt; white-space: pre-wrap; }
.signatures td { height: 2.4em; } tr, .signatures { break-inside: avoid; }
@media print { body { margin: 0; } }
"""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "acceptance",
        help="make a link's acceptance protocol out of a recorded folder, for print and signature",
        description="Judges every recorded message by the link's own rules and writes one HTML page: each message type "
        "with how many would be taken, each finding with its place, what to change and the control IDs of examples, "
        "the counts, the link's settings, and lines for signatures. No patient is in it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("place", type=Path, metavar="FILE|FOLDER", help="recorded messages")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.html", help="the page; an older one is replaced"
    )
    add_link(parser)
    parser.set_defaults(run=run)


@dataclass
class Finding:
    """One thing that was found, in how many messages, and some of their control IDs."""

    kind: str
    says: str
    change: str
    count: int = 0
    control_ids: list[str] = field(default_factory=list)

    def add(self, control_id: str) -> None:
        """Count one message more."""
        self.count += 1
        if len(self.control_ids) < MOST_EXAMPLES:
            self.control_ids.append(control_id)


@dataclass
class Judged:
    """All messages, judged: by type how many came and how many would be taken, and what was found."""

    came: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)

    @property
    def is_accepted(self) -> bool:
        """True when every message would be taken."""
        return self.came == self.taken


def judge_all(messages: Sequence[bytes], judge: Judge, now: datetime) -> Judged:
    """Judge each message by the link's rules."""
    judged = Judged()
    for raw in messages:
        header, verdict = read_header(raw), judge(raw, now)
        kind = printable(f"{header.message_code}^{header.trigger_event}")
        judged.came[kind] += 1
        judged.taken[kind] += verdict.error is None
        for says, change in _found(raw, verdict, judge.link):
            finding = judged.findings.setdefault((kind, says, change), Finding(kind, says, change))
            finding.add(printable(header.message_control_id))
    return judged


def _found(raw: bytes, verdict: Verdict, link: Link) -> Iterator[tuple[str, str]]:
    """Yield what is to be said of a message: why it is refused, or what was let pass."""
    error = verdict.error
    if error is not None:
        is_text = bool(where_text_breaks(raw, link.fallback_charset or None))
        place = f" ({error.location})" if error.location else ""
        code = f"{verdict.code.value} {error.condition.value}, {meaning('HL70357', str(error.condition.value))}"
        says = f"Refused, {code}{place}: {translate(error.sentence, link.language)}"
        yield says, what_to_change(error, link.language, is_about_charset=is_text)
        return
    for leniency in tokenise(raw, link.fallback_charset or None).leniencies:
        yield f"Let pass: {leniency.value}", LENIENCIES[leniency]


def run(told: argparse.Namespace) -> int:
    """Write the page; 1 when a message would be refused."""
    link, *others = links_of(told)
    if others:
        raise OverreadError(f"{told.links} has {1 + len(others)} links: name the one that is to be accepted by --link")
    settings, now = ServiceSettings(), utc_now()
    messages = [each.raw for each in recorded(told.place)]
    judged = judge_all(messages, Judge(link, settings), now)
    try:
        told.out.write_text(page(messages, judged, link, settings, now), encoding="utf-8")
    except OSError as error:
        raise OverreadError(f"{told.out} can't be written: {error.strerror}; name another by --out") from error
    taken, came = judged.taken.total(), judged.came.total()
    sys.stdout.write(f"{taken} of {came} would be taken, {len(judged.findings)} findings: {told.out}\n")
    return 0 if judged.is_accepted else 1


def page(messages: Sequence[bytes], judged: Judged, link: Link, settings: ServiceSettings, now: datetime) -> str:
    """Return the protocol as one HTML page that needs nothing else."""
    title = f"Acceptance protocol of the HL7 link {link.link_id}"
    counts = "\n".join(escape(line) for line in table(survey(messages)))
    told = escape(link.model_dump_json(indent=1, exclude_defaults=True, exclude={"tls_key"}))
    parts = (
        f"<h1>{escape(title)}<br><small>Biên bản nghiệm thu kênh HL7</small></h1>",
        f"<p>{escape(_about(messages, settings, now))}</p>",
        f"<p><strong>{_verdict(judged)}</strong></p>",
        "<h2>Message types · Loại thông điệp</h2>",
        _rows(("type", "came", "would be taken", "refused"), _types(judged)),
        "<h2>Findings · Nhận xét</h2>",
        _rows(("type", "messages", "what", "what to change", "control IDs, for example"), _findings(judged)),
        f"<h2>What came · Thống kê</h2><pre>{counts}</pre>",
        f"<h2>The link's settings that are not the usual ones · Cấu hình kênh</h2><pre>{told}</pre>",
        "<h2>Signatures · Ký xác nhận</h2>",
        _signatures(),
    )
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="{link.language}"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _about(messages: Sequence[bytes], settings: ServiceSettings, now: datetime) -> str:
    local = now.astimezone(settings.time_zone)
    came = f"Site {settings.site_id}, {local:%Y-%m-%d %H:%M} ({local:%z}). {len(messages)} recorded messages"
    return f"{came}, judged by the listener's own rules. SHA-256 of all in order: {codec.sha256(b''.join(messages))}"


def _verdict(judged: Judged) -> str:
    refused = judged.came.total() - judged.taken.total()
    if not refused:
        return "Every message would be taken. · Mọi thông điệp đều được nhận."
    return f"{refused} messages would be refused. · {refused} thông điệp sẽ bị từ chối."


def _types(judged: Judged) -> Iterator[tuple[object, ...]]:
    for kind, came in judged.came.most_common():
        yield kind, came, judged.taken[kind], came - judged.taken[kind]


def _findings(judged: Judged) -> Iterator[tuple[object, ...]]:
    found = sorted(judged.findings.values(), key=lambda finding: -finding.count)
    for each in found:
        yield each.kind, each.count, each.says, each.change, ", ".join(each.control_ids)
    if not found:
        yield "–", 0, "nothing", "–", "–"


def _rows(headings: Sequence[str], rows: Iterator[tuple[object, ...]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>\n" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _cell(value: object) -> str:
    mark = ' class="number"' if isinstance(value, int) else ""
    return f"<td{mark}>{escape(str(value))}</td>"


def _signatures() -> str:
    sides = ("Hospital · Bệnh viện", "Sender's maker · Nhà cung cấp bên gửi", "Overread")
    rows = "".join(f"<tr><td>{side}</td><td></td><td></td><td></td></tr>" for side in sides)
    head = "<tr><th></th><th>name · họ tên</th><th>date · ngày</th><th>signature · chữ ký</th></tr>"
    return f'<table class="signatures">{head}{rows}</table>'
