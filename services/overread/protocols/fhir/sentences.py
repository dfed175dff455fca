"""What a result says of itself before anything else, in the receiver's language."""

from collections.abc import Mapping

from overread.protocols.fhir.content import ReportStatus
from overread.protocols.hl7.oru_content import SYNTHETIC, UNCONFIRMED, WITHDRAWN, Language

CANCELLED: Mapping[Language, str] = {
    Language.VIETNAMESE: "ĐÃ HUỶ: kết quả chưa được xác nhận này không còn giá trị.",
    Language.ENGLISH: "CANCELLED: this unconfirmed result no longer holds.",
    Language.FRENCH: "ANNULÉ : ce résultat non confirmé n'est plus valable.",
}


def notices(status: ReportStatus, language: Language, *, is_synthetic: bool) -> tuple[str, ...]:
    """List the sentences that stand before any text of a result."""
    return status_notices(status, language) + ((SYNTHETIC[language],) if is_synthetic else ())


def status_notices(status: ReportStatus, language: Language) -> tuple[str, ...]:
    """List the sentence that a status demands, if it does."""
    match status:
        case ReportStatus.PARTIAL | ReportStatus.PRELIMINARY:
            return (UNCONFIRMED[language],)
        case ReportStatus.CANCELLED:
            return (CANCELLED[language],)
        case ReportStatus.ENTERED_IN_ERROR:
            return (WITHDRAWN[language],)
        case _:
            return ()
