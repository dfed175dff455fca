"""The page's sessions: a secret in a cookie, everything else in the database, so that signing out is at once."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from overread.contracts import codec
from overread.review import audit, session_store
from overread.review.identity import Identity
from overread.review.refusals import NotSignedIn
from overread.review.session_store import StoredSession
from overread.review.settings import ReviewSettings
from overread.runtime.inbox import Transaction
from overread.runtime.service import Service

NOTED_AT_MOST_EVERY = timedelta(minutes=1)
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Sessions:
    """Opens, finds and ends sessions; each ends by itself when nobody uses it, and at the latest after some hours."""

    service: Service
    settings: ReviewSettings

    @property
    def cookie_name(self) -> str:
        """Return the cookie's name; it holds the port, since a browser sends a cookie to every port of a host."""
        return f"overread_session_{self.settings.listening_port}"

    async def open(self, identity: Identity, *, instead_of: str | None) -> str:
        """Open a session for `identity` and return its secret; the one with the secret `instead_of` ends."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        now = self.service.clock()
        session = StoredSession(
            site_id=identity.site_id,
            secret_digest=_digest(secret),
            subject=identity.subject,
            identity=identity.as_json(),
            opened_at=now,
            seen_at=now,
            ends_at=now + timedelta(seconds=self.settings.session_seconds),
        )
        async with self.service.transaction() as tx:
            if instead_of:
                await session_store.end(tx.connection, self.settings.site_id, _digest(instead_of), now=now)
            await session_store.add(tx.connection, session)
            _record(tx, identity.subject, "session-open")
        return secret

    async def identity(self, secret: str) -> Identity:
        """Return who is signed in by `secret`, or raise `NotSignedIn`."""
        now = self.service.clock()
        session = await session_store.find(self.service.pool, self.settings.site_id, _digest(secret))
        if session is None or not self._lasts(session, now):
            raise NotSignedIn("the session has ended")
        if now - session.seen_at > NOTED_AT_MOST_EVERY:
            await session_store.seen(self.service.pool, session, now)
        return Identity.from_json(session.identity, session_ends_at=session.ends_at)

    async def end(self, secret: str) -> None:
        """End the session; one that is not there has ended already."""
        async with self.service.transaction() as tx:
            subject = await session_store.end(
                tx.connection, self.settings.site_id, _digest(secret), now=self.service.clock()
            )
            if subject is not None:
                _record(tx, subject, "sign-out")

    def _lasts(self, session: StoredSession, now: datetime) -> bool:
        idle = timedelta(seconds=self.settings.session_idle_seconds)
        return now < session.ends_at and now - session.seen_at < idle


def _digest(secret: str) -> str:
    return codec.sha256(secret.encode())


def _record(tx: Transaction, subject: str, action: str) -> None:
    audit.record(tx, actor=subject, action=action, object_type="session", object_id="")
