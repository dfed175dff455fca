from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from overread.runtime.settings import ServiceSettings

Language = Literal["vi", "en", "fr"]


class ReviewSettings(ServiceSettings):
    """What `review` may be told."""

    http_host: str = Field(default="127.0.0.1", description="Address of page and API; loopback unless said otherwise.")
    http_port: int = Field(default=8080, ge=1, le=65535)
    http_allowed_hosts: tuple[str, ...] = Field(
        default=("127.0.0.1", "localhost"),
        description="Names a request's Host header may have, so that no foreign web page can reach the API.",
    )
    language: Language = Field(default="vi", description="Language of the sentences that Overread writes itself.")
    signing_session_seconds: int = Field(default=900, ge=60, description="How old a sign-in may be when one signs.")
    claim_seconds: int = Field(default=3600, ge=60, description="After this a claimed draft is free again.")
    review_key_password: SecretStr = Field(
        min_length=12, description="Encrypts the clinicians' keys and the site CA's key at rest."
    )
    site_ca_root: Path | None = Field(
        default=None, description="Where the site CA's certificate is written once for delivery; never overwritten."
    )
    issuer: Literal["embedded", "external"] = Field(default="embedded", description="Who signs users in.")
    oidc_issuer: str = Field(default="", description="Issuer URL of the external identity provider.")
    oidc_client_id: str = Field(default="overread-page", description="The page's client at the identity provider.")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Its secret, where it is no public client.")
    public_url: str = Field(
        default="", description="Where browsers reach the page, as https://host; left out, as the request says."
    )
    session_idle_seconds: int = Field(default=1800, ge=60, description="After this without a request a session ends.")
    session_seconds: int = Field(default=36_000, ge=300, description="After this a session ends in any case.")
    users_file: Path | None = Field(default=None, description="The embedded issuer's users.")
    secrets_dir: Path | None = Field(default=None, description="Where the embedded issuer keeps its signing key.")
    models_file: Path | None = Field(default=None, description="The catalogue of models, for titles, limits and cards.")
    front_secret: SecretStr | None = Field(
        default=None, description="Proves to dicomweb, ops and assembly that the front has checked who asks."
    )
    dicomweb_socket: Path | None = Field(default=None, description="Where dicomweb answers; none: no images here.")
    ops_socket: Path | None = Field(default=None, description="Where ops answers; none: no operator's page here.")
    order_intake_socket: Path | None = Field(
        default=None, description="Where order_intake answers; none: no orders here."
    )
    assembly_socket: Path | None = Field(default=None, description="Where assembly answers; none: no desk here.")
    demo_profile: bool = Field(default=False, description="Demo users sign in without a password; marked everywhere.")

    @property
    def listening_port(self) -> int:
        """Return the port after the offset."""
        return self.http_port + self.port_offset

    @property
    def issuer_url(self) -> str:
        """Return the issuer that tokens must name."""
        embedded = f"http://{self.http_host}:{self.listening_port}/issuer"
        return embedded if self.issuer == "embedded" else self.oidc_issuer
