"""What a performed procedure step means for its studies: a start holds them, an end lists what they hold. Pure."""

from collections.abc import Sequence
from typing import Final

from overread.archive import study_lists
from overread.contracts.events.intake import HintKind, ProcedureStepReported, StudyHint
from overread.contracts.identifiers import deterministic_id
from overread.protocols.dicom.announced import COMPLETED, DISCONTINUED

ENDED: Final = frozenset({COMPLETED, DISCONTINUED})


def hints(
    site_id: str, reported: ProcedureStepReported, studies: Sequence[str], listed: Sequence[str]
) -> list[StudyHint]:
    """Return what each study of a step hears: that it began, or ended with its list.

    A list over several studies can't tell which image is whose; its studies hear of the end alone.
    """
    has_ended = reported.status in ENDED
    return [
        hint
        for study in studies
        for hint in study_lists.hints(
            study,
            listed if has_ended and len(studies) == 1 else (),
            kind=HintKind.PROCEDURE_STEP_ENDED if has_ended else HintKind.PROCEDURE_STEP_STARTED,
            list_id=deterministic_id("procedure step", site_id, reported.procedure_step_uid),
            calling_ae_title=reported.calling_ae_title,
            association_id=reported.association_id,
            is_orderly=reported.status != DISCONTINUED,
        )
    ]
