"""How the demo tells its story: a line a step with its seconds, findings beside the truth, and the table at the end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from overread.cli.demo_mask import MaskOnTemplate
from overread.embedded.phantom import Truth
from overread.embedded.t1_template import T1Truth

TRUTH_OF = {
    "lung-volume-ct": "lung_volume_ml",
    "lung-mean-attenuation": "mean_hu",
    "lung-laa-950": "laa_950_percent",
    "lung-perc15": "perc15_hu",
    "intracranial-volume-mr": "intracranial_ml",
}

UNIT_WORDS = {"[hnsf'U]": "HU"}
"""UCUM's codes that nobody reads."""

AI_WORDS = {
    "found": "AI found",
    "nothing": "AI found nothing",
    "did_not_run": "AI did not run",
    "not_for_this_patient": "Not meant for this patient",
    "waiting": "AI is reading",
    "none": "No AI for this study",
}
"""What the worklist calls each kind of answer."""

WITH_A_REASON = frozenset({"did_not_run", "not_for_this_patient"})


class Story:
    """Progress on one stream, and what each step took."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._began = self._step_began = monotonic()
        self.seconds: dict[str, float] = {}
        self.truth: dict[str, float] = {}

    @property
    def so_far(self) -> float:
        """Return the seconds since the story began."""
        return round(monotonic() - self._began, 2)

    def step(self, sentence: str) -> None:
        """Begin a step."""
        self._step_began = monotonic()
        self._console.print(f"\n[bold]{monotonic() - self._began:6.1f} s  {sentence}[/bold]")

    def note(self, line: str) -> None:
        """Say something within a step."""
        self._console.print(f"          {line}", markup=False)

    def done(self, name: str, sentence: str = "") -> None:
        """End a step: its seconds go into the table."""
        self.seconds[name] = round(monotonic() - self._step_began, 2)
        self._console.print(f"          done in {self.seconds[name]} s  {sentence}", markup=False)

    def findings(self, document: dict[str, Any], truth: Truth | T1Truth | None) -> None:
        """Show what the model said, beside the phantom's truth where it is known, and why a model did not run."""
        table = Table("finding", "model", "truth")
        for finding in document["findings"]:
            known = getattr(truth, TRUTH_OF.get(finding["code"], ""), None) if truth else None
            if known is not None:
                self.truth[finding["code"]] = round(known, 2)
            table.add_row(finding["display"], _said(finding), "" if known is None else f"{known:.2f}")
        self._console.print(table)
        for result in document["ai_results"]:
            for reason in result["reasons"]:
                self.note(f"{result['model']['name']}: {reason}")

    def waiting(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show what waits in the worklist, as the page orders and names it."""
        for row in rows:
            urgency = "STAT" if row["is_stat"] else "routine"
            numbers = ", ".join(row["accession_numbers"]) or "no order"
            patient = f"{row['patient']['family_name']} {row['patient']['given_name']}"
            self.note(f"{urgency:8} {AI_WORDS[row['ai']['kind']]:27} {patient}, {row['study_description']}, {numbers}")
            self.note(f"{'':8} {'because: ' if row['ai']['kind'] in WITH_A_REASON else ''}{row['ai']['line']}")

    def table(self, result: dict[str, Any]) -> None:
        """Show what arrived, what was found, what was sent as which file, who signed, and where the seconds went."""
        table = Table("what", "result", title="The whole way")
        for study in result["studies"]:
            table.add_row("arrived", f"order and images of accession {study['accession_number']}")
            said = "\n".join(f"{finding['display']} {_said(finding)}" for finding in study["findings"])
            table.add_row("found", said or "nothing")
            if "mask" in study:
                table.add_row("compared", "\n".join(mask_lines(MaskOnTemplate(**study["mask"]))))
            files = {name: Path(path) for name, path in study["messages"].items()}
            table.add_row("files", "\n".join(f"{name}: {path.name}" for name, path in files.items()))
        table.add_row("signed by", result["signed_by"])
        table.add_row("seconds", "\n".join(f"{name}: {seconds}" for name, seconds in self.seconds.items()))
        self._console.print(table)
        self.note(f"the files are in {Path(next(iter(result['messages'].values()))).parent}")


def _said(finding: Mapping[str, Any]) -> str:
    """Return value and unit as a person writes them; brackets, as UCUM has them, would be taken for markup."""
    said = finding.get("value") or finding.get("coded_value_display") or ""
    unit = finding.get("unit", "")
    return escape(f"{said} {UNIT_WORDS.get(unit, unit)}".strip())


def mask_lines(mask: MaskOnTemplate) -> tuple[str, str]:
    """Return what the template's own maps of grey and white matter say of the model's outline."""
    return (
        f"grey + white matter of the template: {mask.grey_and_white_matter_ml:.1f} ml, a lower bound",
        f"of it inside the outline at the PACS: {mask.inside_mask_percent:.2f} %",
    )
