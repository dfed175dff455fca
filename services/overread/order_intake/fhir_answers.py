"""What a FHIR client is answered: OperationOutcome, the response of a Bundle, and what we can do (CapabilityStatement)."""

from collections.abc import Mapping, Sequence
from typing import Any

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.order_intake.checks import NotAnOrder
from overread.order_intake.intake import ReusedMessageId, TooManyWaiting
from overread.order_intake.problems import Refused
from overread.protocols.fhir.elements import FhirFault, NotUnderstood

MEDIA_TYPE = "application/fhir+json"
CAPABILITIES_SINCE = "2026-11-26"

_KINDS = {
    400: "structure",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    413: "too-long",
    415: "not-supported",
    429: "throttled",
}


def status_of(error: OverreadError) -> int:
    """Return the HTTP status of a refusal (FHIR R4, RESTful API: create, update, transaction)."""
    match error:
        case Refused():
            return error.status
        case NotUnderstood() if any(fault.code == "structure" for fault in error.faults):
            return 400
        case NotAnOrder() if any(not fault.pointer for fault in error.faults):
            return 400
        case ReusedMessageId():
            return 409
        case TooManyWaiting():
            return 429
        case Unavailable():
            return 503
        case Malformed():
            return 422
        case _:
            return 500


def outcome(error: OverreadError) -> dict[str, Any]:
    """Return the OperationOutcome of a refusal: each fault with its FHIRPath."""
    match error:
        case NotUnderstood():
            return outcome_of([_issue("error", fault) for fault in error.faults])
        case Unavailable() if not isinstance(error, TooManyWaiting):
            sentence = f"The order could not be kept, send it again: {error}."
            return outcome_of([_said("error", "transient", sentence)])
        case _:
            return outcome_of([_said("error", _KINDS.get(status_of(error), "invalid"), _sentence(error))])


def _sentence(error: OverreadError) -> str:
    return " ".join(fault.sentence for fault in error.faults) if isinstance(error, NotAnOrder) else str(error)


def kept(*, is_repeat: bool) -> dict[str, Any]:
    """Return the OperationOutcome of an order that is kept."""
    sentence = "The order was kept before." if is_repeat else "The order is kept, and on its way to who matches it."
    return outcome_of([_said("information", "informational", sentence)])


def read_along() -> dict[str, Any]:
    """Return the OperationOutcome of a resource that is read for the orders that refer to it."""
    return outcome_of([_said("information", "informational", "Read for the orders beside it; not kept by itself.")])


def outcome_of(issues: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an OperationOutcome."""
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def _issue(severity: str, fault: FhirFault) -> dict[str, Any]:
    return {**_said(severity, fault.code, fault.sentence), "expression": [fault.expression]}


def _said(severity: str, code: str, sentence: str) -> dict[str, Any]:
    return {"severity": severity, "code": code, "details": {"text": sentence}}


def bundle(kind: str, responses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the response to a transaction or batch, an entry for each that was sent."""
    return {"resourceType": "Bundle", "type": f"{kind}-response", "entry": [{"response": one} for one in responses]}


def capabilities() -> dict[str, Any]:
    """Return what is taken here (CapabilityStatement)."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": CAPABILITIES_SINCE,
        "kind": "instance",
        "software": {"name": "Overread"},
        "implementation": {"description": "Takes imaging orders, and keeps them before it answers."},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "A bearer token of the site's OpenID Connect issuer, role order_placer."},
                "resource": [
                    {
                        "type": "ServiceRequest",
                        "interaction": [{"code": "create"}, {"code": "update"}],
                        "versioning": "no-version",
                        "readHistory": False,
                        "updateCreate": True,
                        "conditionalCreate": True,
                    }
                ],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }
