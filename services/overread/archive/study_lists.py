"""Lists of instances as hints of a study, cut to what one event takes."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final
from uuid import UUID

from overread.contracts.events.intake import HintKind, StudyHint

INSTANCES_PER_HINT: Final = 2_000
"""More would make the event larger than a topic takes; the rest of the list follows in further hints."""


def hints(
    study_instance_uid: str,
    listed: Sequence[str],
    *,
    kind: HintKind,
    list_id: UUID,
    calling_ae_title: str,
    association_id: UUID,
    is_orderly: bool = True,
) -> list[StudyHint]:
    """Return the parts of one list, each saying how many there are; an empty list has one part."""
    parts = list(_parts(listed)) or [()]
    return [
        StudyHint(
            study_instance_uid=study_instance_uid,
            kind=kind,
            calling_ae_title=calling_ae_title,
            association_id=association_id,
            sop_instance_uids=part,
            is_orderly=is_orderly,
            list_id=list_id,
            part=number,
            parts=len(parts),
        )
        for number, part in enumerate(parts, start=1)
    ]


def _parts(uids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    rest = iter(uids)
    while part := tuple(islice(rest, INSTANCES_PER_HINT)):
        yield part
