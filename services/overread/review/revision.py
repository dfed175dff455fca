from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from overread.contracts.events.cases import Case
from overread.contracts.events.reports import SeenCase
from overread.contracts.identifiers import deterministic_id
from overread.contracts.report_life import ReportState

OPEN_STATES = frozenset({ReportState.DRAFTED, ReportState.IN_REVIEW, ReportState.REJECTED})
"""A clinician has not decided yet."""

SIGNED_STATES = frozenset({ReportState.SIGNED, ReportState.HELD, ReportState.FINAL, ReportState.REPLACED})
"""The document to show is the signed one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The report of a case: what is locked before any of its revisions changes."""

    site_id: str
    report_id: UUID
    case_id: UUID
    report_revision: int
    cause_id: UUID | None = None
    traceparent: str = ""

    @property
    def cause(self) -> "StoredCause | None":
        """Return the last event that led to a change of the report."""
        if self.cause_id is None:
            return None
        return StoredCause(id=self.cause_id, site_id=self.site_id, traceparent=self.traceparent)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCause:
    """What is kept of the event that a later event follows from."""

    id: UUID
    site_id: str
    traceparent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision of a report with its draft document, whose bytes and digest never change.

    `submission` counts how often the signed document was put before the gate, `repeats` how often the present one was
    sent again; `released_by` is who let it go after a hold, seeing the case as of `released_case_revision`, which was
    `released_case`; `gate_verdict` is the answer to it, empty until it came.
    `withdrawal_digest` is that of the document by which a clinician took the final report back.
    """

    site_id: str
    report_id: UUID
    report_revision: int
    case_id: UUID
    study_revision: int
    identity_version: int
    state: ReportState
    reason: str
    changed_by: str
    claimed_by: str
    claimed_at: datetime | None
    document: bytes
    digest: str
    basis: str
    signed_digest: str
    drafted_at: datetime
    changed_at: datetime
    submission: int = 1
    repeats: int = 0
    released_by: str = ""
    released_case_revision: int | None = None
    released_case: SeenCase | None = None
    gate_verdict: str = ""
    withdrawal_digest: str = ""

    @property
    def awaits_gate(self) -> bool:
        """Say whether the signed document is before the gate: until its answer nobody else decides."""
        is_put_before_it = self.state in {ReportState.SIGNED, ReportState.HELD} or self.is_signed_withdrawal
        return is_put_before_it and not self.gate_verdict

    @property
    def is_signed_withdrawal(self) -> bool:
        """Say whether a clinician took the report back after it had been final."""
        return self.state is ReportState.WITHDRAWN and bool(self.withdrawal_digest)

    @property
    def may_be_sent_again(self) -> bool:
        """Say whether the gate may be asked once more: no answer came, or it held a withdrawal."""
        return self.awaits_gate or (self.is_signed_withdrawal and self.gate_verdict == "held")

    def was_released_for(self, case: Case, superseded_revision: int) -> bool:
        """Say whether the clinician who let it go saw all of `case` that a report rests on."""
        if self.released_case is None:  # from before that was kept
            return case.revision == self.released_case_revision
        return self.released_case == SeenCase.of(case, superseded_revision)

    @property
    def shown_digest(self) -> str:
        """Return the digest of the document that this state shows."""
        if self.is_signed_withdrawal:
            return self.withdrawal_digest
        return self.signed_digest if self.signed_digest and self.state in SIGNED_STATES else self.digest


def report_id_for(site_id: str, case_id: UUID) -> UUID:
    """Return the one report of a case."""
    return deterministic_id("report", site_id, str(case_id))
