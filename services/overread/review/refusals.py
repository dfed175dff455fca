"""Why a request is refused, and what the caller does next; each becomes one problem document (RFC 9457)."""

from typing import ClassVar

from overread.contracts.errors import OverreadError


class ReviewRefused(OverreadError):
    """The request is refused."""

    status: ClassVar[int] = 409
    kind: ClassVar[str] = "refused"
    next_step: ClassVar[str] = "Open the report again and see which actions it allows."


class NotSignedIn(ReviewRefused):
    """The request carries no valid bearer token."""

    status = 401
    kind = "not-signed-in"
    next_step = "Sign in with the identity provider and send its access token as 'Authorization: Bearer …'."


class SessionTooOld(ReviewRefused):
    """Signing asks for a fresh sign-in, and this one is too long ago."""

    status = 401
    kind = "session-too-old"
    next_step = "Sign in again with your password, then sign the report with the new token."


class NotEntitled(ReviewRefused):
    """Your roles and entitlements do not include this."""

    status = 403
    kind = "not-entitled"
    next_step = "Ask the administrator of the identity provider for the role or entitlement named in the detail."


class CrossSite(ReviewRefused):
    """The request does not come from this site's own page."""

    status = 403
    kind = "cross-site"
    next_step = "The page sends 'X-Overread-Request: 1' with each change; a program sends a bearer token."


class WrongSite(ReviewRefused):
    """The token was issued for another site."""

    status = 403
    kind = "wrong-site"
    next_step = "Sign in at this site, or ask the other site's Overread."


class NotFound(ReviewRefused):
    """There is no such report or case at this site."""

    status = 404
    kind = "not-found"
    next_step = "Look it up by accession number: GET /api/v1/reports?accession_number=…"


class WrongState(ReviewRefused):
    """The report's state does not allow this."""

    kind = "wrong-state"


class ClaimedByAnother(ReviewRefused):
    """Another reader has claimed this report."""

    kind = "claimed-by-another"
    next_step = "Wait until that reader releases it or the claim expires."


class StaleDigest(ReviewRefused):
    """The document is no longer the one you saw: its digest differs."""

    kind = "stale-digest"
    next_step = "Open the report again, read what it says now, claim it, and sign with the digest shown there."


class StaleCase(ReviewRefused):
    """The case is no longer the one you saw: patient, order or images changed since."""

    kind = "stale-case"
    next_step = "Open the report again, see what the case is now, and decide then."


class CaseMoved(ReviewRefused):
    """Images, order or patient changed since this document was drafted."""

    kind = "case-moved"
    next_step = "A new draft follows when the models have read the new images: open the report again then."


class Superseded(ReviewRefused):
    """New images of this study are arriving: what was drafted without them is not signed."""

    kind = "superseded"
    next_step = "Wait for the next draft; it follows when the images are complete and the models have read them."


class AlreadyAnswered(ReviewRefused):
    """Somebody has answered this question already."""

    kind = "already-answered"


class GateSilent(ReviewRefused):
    """The gate has not answered yet for this report."""

    kind = "gate-not-answered"
    next_step = (
        "Try again in a moment; when no answer comes, send the report again: POST /api/v1/reports/{id}/resubmit."
    )


class GateAnswered(ReviewRefused):
    """The gate has answered for this report: there is nothing to send again."""

    kind = "gate-answered"


class Mended(ReviewRefused):
    """The message was mended, and another stands for it: it is not replayed any more."""

    kind = "mended"
    next_step = "Look at the message that stands for it; when that was set aside too, replay or mend that one."


class VerdictIncomplete(ReviewRefused):
    """The verdict and the findings given do not fit together."""

    status = 422
    kind = "verdict-incomplete"
    next_step = "Send 'accepted' without findings, or 'changed' with your findings, your conclusion, or both."
