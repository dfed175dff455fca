"""Why a result replaces an earlier one, in the receiver's language."""

from collections.abc import Mapping

from overread.contracts.events.reports import ReportDocument
from overread.protocols.hl7.oru_content import Language

CORRECTS: Mapping[Language, str] = {
    Language.VIETNAMESE: "Kết quả này thay thế kết quả đã ký trước đó.",
    Language.ENGLISH: "This result replaces the one that was signed before.",
    Language.FRENCH: "Ce résultat remplace celui qui avait été signé.",
}

REMOVED_ORDER: Mapping[Language, str] = {
    Language.VIETNAMESE: "Kết quả này không thuộc chỉ định này: chỉ định đã được tách khỏi lượt chụp.",
    Language.ENGLISH: "This result does not belong to this order: the order was detached from the study.",
    Language.FRENCH: "Ce résultat n'appartient pas à cette demande : la demande a été détachée de l'examen.",
}

DISAGREEMENTS: Mapping[Language, Mapping[str, str]] = {
    Language.VIETNAMESE: {
        "false_positive": "dương tính giả",
        "missed_finding": "AI bỏ sót",
        "wrong_value": "sai giá trị",
        "wrong_location": "sai vị trí",
        "poor_image_quality": "ảnh kém chất lượng",
        "not_relevant": "không liên quan",
        "other": "lý do khác",
    },
    Language.ENGLISH: {
        "false_positive": "false positive",
        "missed_finding": "the AI missed a finding",
        "wrong_value": "wrong value",
        "wrong_location": "wrong location",
        "poor_image_quality": "poor image quality",
        "not_relevant": "not relevant",
        "other": "other reason",
    },
    Language.FRENCH: {
        "false_positive": "faux positif",
        "missed_finding": "constatation manquée",
        "wrong_value": "valeur fausse",
        "wrong_location": "mauvaise localisation",
        "poor_image_quality": "image de mauvaise qualité",
        "not_relevant": "sans pertinence",
        "other": "autre raison",
    },
}
"""Why a clinician changed or rejected what the models found: the words of the document's list."""

READER_SAYS: Mapping[Language, str] = {
    Language.VIETNAMESE: "Bác sĩ nhận xét về kết quả của AI: {reasons}.",
    Language.ENGLISH: "The reader says of the AI's results: {reasons}.",
    Language.FRENCH: "Le lecteur dit des résultats de l'IA : {reasons}.",
}


def of_removed_order(language: Language) -> str:
    """Return that the result was never this order's."""
    return REMOVED_ORDER[language]


def of_correction(document: ReportDocument, language: Language) -> str:
    """Return that it replaces what was signed before, and what the clinician chose as reasons; an unknown word stays."""
    names = DISAGREEMENTS[language]
    chosen = ", ".join(names.get(reason, reason) for reason in document.verdict_reasons)
    said = READER_SAYS[language].format(reasons=chosen) if chosen else ""
    return " ".join(part for part in (CORRECTS[language], said) if part)
