"""Transaction bundles out to one FHIR server: a repeat changes nothing, since every entry is conditional (FHIR R4, 3.1.0.11)."""

import json
import re
import ssl
from http import HTTPStatus
from pathlib import Path

import httpx

from overread.contracts.errors import Unavailable
from overread.delivery.destinations import FhirDestination
from overread.delivery.sending import Answer, NoAnswer, NotTaken, Patience, Taken, receiver_text
from overread.delivery.store import OutboundRow, Why

FHIR_JSON = "application/fhir+json"
LONGEST_ANSWER_BYTES = 256 * 1024

AWAY = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""The server, or our way into it, is not there: every message waits, and none is given up."""

PASSING = frozenset({HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.TOO_EARLY})
"""Another writer was at the same resource: the same bytes may be taken a moment later."""

_CODE = re.compile(r"[a-z][a-z-]{0,30}")


class FhirChannel:
    """A FHIR server's base URL, to which transactions are posted."""

    def __init__(self, destination: FhirDestination, patience: Patience) -> None:
        self._destination = destination
        self._patience = patience
        self._client: httpx.AsyncClient | None = None

    @property
    def destination(self) -> str:
        """Return the destination's name."""
        return self._destination.name

    async def connect(self) -> None:
        """Have a client; whether the server answers shows with the first message."""
        if self._client is None:
            self._client = _client(self._destination, self._patience)

    async def exchange(self, row: OutboundRow) -> Answer:
        """Post the bundle; `NoAnswer` when the server does not say what became of it, `Unavailable` when it is away."""
        if self._client is None:
            raise Unavailable("not connected")
        headers = {
            "Content-Type": FHIR_JSON,
            "Accept": FHIR_JSON,
            **_authorization(self._destination.bearer_token_file),
        }
        try:
            response = await self._client.post(self._destination.url, content=row.message, headers=headers)
        except httpx.ConnectError as error:
            raise Unavailable(f"no connection: {type(error).__name__}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"no answer: {type(error).__name__}") from error
        return answer_of(response.status_code, response.content)

    async def idle(self) -> None:
        """Keep the connection: HTTP servers close it when they like."""

    async def close(self) -> None:
        """Leave the connection."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()


def answer_of(status_code: int, body: bytes) -> Answer:
    """Return what a server's answer means for the bundle, or raise `Unavailable` when it is no word about the bundle.

    4xx names a fault of the content; a 404 or 405 without an OperationOutcome is no FHIR server's word (FHIR R4, 3.1.0.1.4).
    """
    if 200 <= status_code < 300:
        return Taken()
    codes, words = _outcome(body)
    if status_code in AWAY or _is_no_fhir_server(status_code, codes):
        raise Unavailable(f"the server answers HTTP {status_code}")
    reason = " ".join(("HTTP", str(status_code), *codes))
    is_content_fault = 400 <= status_code < 500 and status_code not in PASSING
    return NotTaken(Why(reason=reason, receiver_text=words), is_content_fault=is_content_fault)


def _is_no_fhir_server(status_code: int, codes: tuple[str, ...]) -> bool:
    if 300 <= status_code < 400:
        return True
    return status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED) and not codes


def _outcome(body: bytes) -> tuple[tuple[str, ...], str]:
    """Return the codes of an OperationOutcome, which name no one, and apart from them the server's own words."""
    try:
        said = json.loads(body[:LONGEST_ANSWER_BYTES])
    except (ValueError, RecursionError):
        return (), ""
    issues = said.get("issue") if isinstance(said, dict) else None
    listed = [issue for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []
    codes = {str(issue.get("code", "")) for issue in listed}
    words = (str(issue.get("diagnostics", "")) for issue in listed)
    return tuple(sorted(code for code in codes if _CODE.fullmatch(code))), receiver_text(*words)


def _authorization(bearer_token_file: Path | None) -> dict[str, str]:
    """Return the header of the token that stands in the file now, so that a new one needs no restart."""
    if bearer_token_file is None:
        return {}
    try:
        token = bearer_token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable("the destination's token can't be read") from error
    return {"Authorization": f"Bearer {token}"}


def _client(destination: FhirDestination, patience: Patience) -> httpx.AsyncClient:
    timeout = httpx.Timeout(patience.acknowledgment_seconds, connect=patience.connect_seconds)
    is_encrypted = destination.parts.scheme == "https"
    verify = ssl.create_default_context(cafile=destination.ca_file) if is_encrypted else False
    return httpx.AsyncClient(timeout=timeout, verify=verify, trust_env=False, follow_redirects=False)
