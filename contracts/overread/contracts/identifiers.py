"""Values that name things, and the deterministic IDs built from them. The only place that validates a UID."""

import hashlib
import re
import unicodedata
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

from overread.contracts.errors import Malformed

OVERREAD_NAMESPACE = UUID("7d6d0a54-6f3b-5c4e-9a8e-0b6f1f4c2a11")
"""Namespace of every UUIDv5 that Overread makes (RFC 9562, 5.5)."""

_NAMESPACE_BYTES = OVERREAD_NAMESPACE.bytes
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_SITE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def checked_uid(value: str) -> str:
    """Return `value` when it can name a DICOM object: digits and dots, at most 64 (PS3.5, 9.1).

    Components with leading zeros break the standard but occur in the field, so they are let through.
    """
    if len(value) > 64 or not _UID.fullmatch(value):
        message = "a UID has digits and dots only, at most 64 characters (DICOM PS3.5, 9.1)"
        raise ValueError(message)
    return value


def checked_site_id(value: str) -> str:
    """Return `value` when it can begin a key: lower-case letters, digits and hyphens, at most 32."""
    if not _SITE.fullmatch(value):
        message = "a site_id has lower-case letters, digits and hyphens only, at most 32 characters"
        raise ValueError(message)
    return value


def nfc(value: str) -> str:
    """Return `value` in Unicode normalisation form C, the one form that Overread keeps inside."""
    return unicodedata.normalize("NFC", value)


SiteId = Annotated[str, AfterValidator(checked_site_id)]
StudyInstanceUid = Annotated[str, AfterValidator(checked_uid)]
SeriesInstanceUid = Annotated[str, AfterValidator(checked_uid)]
SopInstanceUid = Annotated[str, AfterValidator(checked_uid)]
SopClassUid = Annotated[str, AfterValidator(checked_uid)]
AccessionNumber = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]
PlacerOrderNumber = Annotated[str, StringConstraints(min_length=1, max_length=199, strip_whitespace=True)]
FillerOrderNumber = Annotated[str, StringConstraints(min_length=1, max_length=199, strip_whitespace=True)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
DecimalString = Annotated[str, StringConstraints(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
"""A number as it is written in a report: digits kept, no exponent, so that no rendering can change it."""


def deterministic_id(*parts: str) -> UUID:
    """Return the UUIDv5 of `parts`: the same parts give the same ID anywhere, at any time."""
    name = "\x1f".join(parts).encode()
    digest = hashlib.sha1(_NAMESPACE_BYTES + name, usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)


def deterministic_text(*parts: str) -> str:
    """Return `str(deterministic_id(*parts))`, without the object in between: for paths where thousands a second count."""
    digits = hashlib.sha1(_NAMESPACE_BYTES + "\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def case_id_for(site_id: str, study_instance_uid: str) -> UUID:
    """Return the case of a study: born with its first instance, stable through re-match and merge."""
    return deterministic_id("case", site_id, study_instance_uid)


def instance_event_id(site_id: str, sop_instance_uid: str, digest: str) -> UUID:
    """Return the id of the event that tells of an instance, whoever tells it and however often."""
    return deterministic_id("instance", site_id, sop_instance_uid, digest)


def corrected_event_id(site_id: str, corrects: UUID, digest: str) -> UUID:
    """Return the id of the message by which a person mended the one called `corrects`: the same bytes, the same id."""
    return deterministic_id("hl7 corrected", site_id, str(corrects), digest)


def uid_from(uuid: UUID) -> str:
    """Return `uuid` as a DICOM UID under 2.25 (PS3.5, B.2)."""
    return f"2.25.{uuid.int}"


def parse_uid(value: str) -> str:
    """Return `value` as a UID or raise `Malformed` with the rule it breaks."""
    try:
        return checked_uid(value)
    except ValueError as error:
        raise Malformed(str(error)) from error
