"""Refusals as problem documents (RFC 9457): what is wrong and where, and what to do next; never a value that was sent."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.responses import JSONResponse

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.order_intake.checks import Fault, NotAnOrder
from overread.order_intake.intake import ReusedMessageId, TooManyWaiting

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = "1"


class Refused(OverreadError):
    """The request is refused before anything in it was read."""

    def __init__(self, status: int, kind: str, sentence: str, next_step: str) -> None:
        self.status = status
        self.kind = kind
        self.next_step = next_step
        super().__init__(sentence)


def described(error: OverreadError) -> Mapping[str, Any]:
    """Return the problem document of `error`."""
    match error:
        case Refused():
            return _document(error.status, error.kind, str(error), error.next_step)
        case NotAnOrder():
            document = _document(
                422, "not-an-order", "This is no order that can be taken.", "Mend it, and send it again."
            )
            return {**document, "errors": _errors(error.faults)}
        case ReusedMessageId():
            return _document(409, "reused-message-id", str(error), "Send it under a message id of its own.")
        case TooManyWaiting():
            return _document(429, "too-many-waiting", str(error), "Send it again soon, under the same message id.")
        case Unavailable():
            sentence = f"The order could not be kept: {error}."
            return _document(503, "not-kept", sentence, "Send it again soon, under the same message id.")
        case Malformed():
            return _document(422, "malformed", str(error), "Mend it, and send it again.")
        case _:
            return _document(500, "failed", "This did not work, and nothing was kept.", "Tell who runs Overread.")


def answer(error: OverreadError) -> JSONResponse:
    """Return the problem document as the answer."""
    document = described(error)
    headers = {"Retry-After": RETRY_SECONDS} if document["status"] in (429, 503) else {}
    return JSONResponse(document, status_code=document["status"], headers=headers, media_type=MEDIA_TYPE)


def _document(status: int, kind: str, title: str, next_step: str) -> dict[str, Any]:
    return {"type": f"urn:overread:problem:{kind}", "title": title, "status": status, "next_step": next_step}


def _errors(faults: Sequence[Fault]) -> list[dict[str, str]]:
    return [{"pointer": f"#{fault.pointer}", "detail": fault.sentence} for fault in faults]
