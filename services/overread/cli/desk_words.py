"""Why an order and a study fit or do not, in the words of the desk's page."""

from collections.abc import Mapping
from typing import Any

FITS: Mapping[str, str] = {
    "study_uid_same": "same study UID",
    "study_uid_differs": "the order names another study UID",
    "accession_same": "same accession number",
    "accession_near": "accession numbers nearly the same",
    "accession_differs": "accession numbers differ",
    "identifier_same": "same patient number",
    "identifier_alias": "same patient under another known number",
    "identifiers_differ": "patient numbers differ",
    "name_same": "same name",
    "name_part": "one name is part of the other",
    "names_differ": "names differ",
    "birth_date_same": "same birth date",
    "birth_date_swapped": "day and month changed places",
    "birth_year_same": "same year; one side knows only the year",
    "birth_dates_differ": "birth dates differ",
    "sex_same": "same sex",
    "sexes_differ": "sexes differ",
    "modality_same": "the modality fits",
    "modality_differs": "another modality",
    "procedure_alike": "procedures alike",
    "time_near": "within two hours",
    "time_same_day": "within a day",
    "time_far": "more than a week apart",
}

SLIPS: Mapping[str, str] = {
    "transposed": "two characters changed places",
    "one_character": "one character differs",
    "missing_character": "one character is missing",
    "leading_zeros": "leading zeros",
    "punctuation": "punctuation or capitals",
}


def why(reason: Mapping[str, Any]) -> str:
    """Say one reason of the desk's API; a code that is new reads as it is."""
    said = FITS.get(reason["code"], reason["code"])
    slip = reason["params"].get("slip")
    return f"{said} ({SLIPS.get(slip, slip)})" if slip else said
