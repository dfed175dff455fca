"""Where results go: a validated list from a TOML file, `[[destination]]` once for each receiver.

```toml
[[destination]]
name = "emr"
kind = "hl7"
url = "mllp://127.0.0.1:2580"
receiving_application = "EMR"
receiving_facility = "BVX"
send_unverified = "R"
unsolicited = true
language = "vi"
```
"""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError, field_validator

from overread.contracts.errors import OverreadError
from overread.contracts.identifiers import SiteId

DEFAULT_PORT = 2575
"""The port that IANA registers for HL7 over MLLP."""


class DestinationsRefused(OverreadError):
    """The list of destinations can't be used; nothing is sent until it is mended."""


class SendUnverified(StrEnum):
    """Whether a destination gets results that nobody has confirmed, and under which word (HL7 table 0123)."""

    NONE = "none"
    R = "R"
    P = "P"


class Hl7Destination(BaseModel):
    """A receiver of ORU^R01 over MLLP.

    `site_id` is the one site whose results it gets; the service's own where it is left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    kind: Literal["hl7"]
    url: str
    site_id: SiteId | None = None
    receiving_application: str = ""
    receiving_facility: str = ""
    send_unverified: SendUnverified = SendUnverified.NONE
    unsolicited: bool = False
    language: Literal["vi", "en", "fr"] = "vi"
    ca_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _names_an_mllp_listener(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("mllp", "mllps") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("must read mllp://HOST:PORT, or mllps://HOST:PORT for TLS")
        if parts.username is not None or parts.port == 0:
            raise ValueError("must name a host and a port from 1 to 65535, and no user")
        return url

    @property
    def host(self) -> str:
        """Return the host that listens."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return urlsplit(self.url).port or DEFAULT_PORT

    @property
    def uses_tls(self) -> bool:
        """Say whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "mllps"

    def takes(self, site_id: str, *, has_order: bool) -> bool:
        """Say whether results of `site_id` may go here; one that nobody ordered only where that is wanted."""
        return self.site_id == site_id and (has_order or self.unsolicited)


class _DestinationFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    destination: tuple[Hl7Destination, ...] = ()


_FILE = TypeAdapter(_DestinationFile)


def load(path: Path | None, *, site_id: str) -> tuple[Hl7Destination, ...]:
    """Return the destinations in the file at `path`; none when there is no path."""
    if path is None:
        return ()
    try:
        return parse(path.read_text(encoding="utf-8"), site_id=site_id)
    except (OSError, UnicodeDecodeError) as error:
        raise DestinationsRefused(f"{path} can't be read: {type(error).__name__}") from error


def parse(text: str, *, site_id: str) -> tuple[Hl7Destination, ...]:
    """Return the destinations that `text` lists, or raise `DestinationsRefused` with the first rule it breaks."""
    try:
        listed = _FILE.validate_python(tomllib.loads(text)).destination
    except tomllib.TOMLDecodeError as error:
        raise DestinationsRefused(f"the list of destinations is not TOML: {error}") from error
    except ValidationError as error:
        raise DestinationsRefused(_first_fault(error)) from error
    names = [destination.name for destination in listed]
    if len(set(names)) < len(names):
        raise DestinationsRefused("two destinations have the same name")
    return tuple(d.model_copy(update={"site_id": d.site_id or site_id}) for d in listed)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
