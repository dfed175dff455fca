"""What a performed procedure step means for its studies: a start holds them, an end lists what they hold. Pure."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from overread.contracts.events.intake import HintKind, ProcedureStepReported, StudyHint
from overread.contracts.identifiers import deterministic_id
from overread.protocols.dicom.announced import COMPLETED, DISCONTINUED

INSTANCES_PER_HINT: Final = 2_000
"""More would make the event larger than a topic takes; the rest of the list follows in further hints."""
ENDED: Final = frozenset({COMPLETED, DISCONTINUED})


def hints(
    site_id: str, reported: ProcedureStepReported, studies: Sequence[str], listed: Sequence[str]
) -> list[StudyHint]:
    """Return what each study of a step hears: that it began, or ended with its list.

    A list over several studies can't tell which image is whose; its studies hear of the end alone.
    """
    if reported.status not in ENDED:
        return [_hint(site_id, reported, study, HintKind.PROCEDURE_STEP_STARTED, (), (1, 1)) for study in studies]
    parts = list(_parts(listed)) if len(studies) == 1 and listed else [()]
    return [
        _hint(site_id, reported, study, HintKind.PROCEDURE_STEP_ENDED, part, (number, len(parts)))
        for study in studies
        for number, part in enumerate(parts, start=1)
    ]


def _hint(
    site_id: str,
    reported: ProcedureStepReported,
    study_instance_uid: str,
    kind: HintKind,
    sop_instance_uids: tuple[str, ...],
    place: tuple[int, int],
) -> StudyHint:
    part, parts = place
    return StudyHint(
        study_instance_uid=study_instance_uid,
        kind=kind,
        calling_ae_title=reported.calling_ae_title,
        association_id=reported.association_id,
        sop_instance_uids=sop_instance_uids,
        is_orderly=reported.status != DISCONTINUED,
        list_id=deterministic_id("procedure step", site_id, reported.procedure_step_uid),
        part=part,
        parts=parts,
    )


def _parts(uids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    rest = iter(uids)
    while part := tuple(islice(rest, INSTANCES_PER_HINT)):
        yield part
