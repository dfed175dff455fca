import asyncio
from pathlib import Path

from overread.contracts.errors import OverreadError
from overread.review import handlers, timers, web
from overread.review.desk import Desk
from overread.review.embedded_issuer import EmbeddedIssuer, issuer_key
from overread.review.guard import report_life_migration
from overread.review.identity import IssuersKeys, TokenVerifier
from overread.review.keys import KeyChain, publish_root
from overread.review.settings import ReviewSettings
from overread.runtime.clock import Clock, utc_now
from overread.runtime.health import serve
from overread.runtime.publisher import Publisher
from overread.runtime.service import Service


class SettingMissing(OverreadError):
    """A setting that this configuration needs is missing."""


def make_service(settings: ReviewSettings, *, publisher: Publisher | None = None, clock: Clock = utc_now) -> Service:
    """Return the service: it follows cases and models, keeps reports, and serves page, API and sign-in."""
    service = Service("review", settings, owns="overread.review", publisher=publisher, clock=clock)
    service.migration(*report_life_migration())
    handlers.register(service, settings)
    desk = Desk(service, settings, KeyChain(settings.site_id, settings.review_key_password.get_secret_value().encode()))

    async def watch_timers() -> None:
        await timers.watch(service, settings)

    listening = asyncio.Event()
    service.health.register_wait("http", lambda: None if listening.is_set() else "the API is not listening yet")

    async def serve_http() -> None:
        await make_site_ca(desk)
        issuer = embedded_issuer(settings, clock)
        source = issuer or IssuersKeys(settings.issuer_url, clock)
        verifier = TokenVerifier(issuer=settings.issuer_url, site_id=settings.site_id, source=source, clock=clock)
        app = web.build(desk, verifier, issuer, source)
        await serve(app, host=settings.http_host, port=settings.listening_port, on_listening=listening.set)

    service.runs(watch_timers)
    service.runs(serve_http)
    return service


async def make_site_ca(desk: Desk) -> None:
    """Make the site's certificate authority at first start, and give delivery its root."""
    async with desk.service.transaction() as tx:
        ca = await desk.keys.ensure_site_ca(tx.connection, now=tx.clock())
    if desk.settings.site_ca_root:
        publish_root(ca, desk.settings.site_ca_root)


def embedded_issuer(settings: ReviewSettings, clock: Clock) -> EmbeddedIssuer | None:
    """Return the issuer of this machine, None when users sign in elsewhere."""
    if settings.issuer != "embedded":
        return None
    return EmbeddedIssuer(
        url=settings.issuer_url,
        site_id=settings.site_id,
        users_file=_needed(settings.users_file, "OVERREAD_USERS_FILE"),
        key=issuer_key(_needed(settings.secrets_dir, "OVERREAD_SECRETS_DIR")),
        clock=clock,
        is_demo_profile=settings.demo_profile,
    )


def main() -> None:
    """Run the service with the settings of its environment."""
    make_service(ReviewSettings()).run()


def _needed(path: Path | None, name: str) -> Path:
    if path is None:
        raise SettingMissing(
            f"the embedded issuer needs {name}; or set OVERREAD_ISSUER=external and OVERREAD_OIDC_ISSUER"
        )
    return path
