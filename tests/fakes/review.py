"""`review` with a real database and nothing else: its handlers, timers and API under a clock that a test moves."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from aiokafka import ConsumerRecord
from fastapi import FastAPI
from joserfc.jwk import ECKey
from pydantic import SecretStr

from overread.contracts import codec
from overread.contracts.envelope import Body, Event
from overread.contracts.topics import (
    CASES_CHANGED,
    DELIVERIES_DONE,
    INFERENCE_DONE,
    INFERENCE_PLANNED,
    Topic,
    topic_named,
)
from overread.review import app, users, web
from overread.review.desk import Desk
from overread.review.embedded_issuer import EmbeddedIssuer
from overread.review.identity import IssuersKeys, TokenVerifier
from overread.review.keys import KeyChain
from overread.review.revision import report_id_for
from overread.review.settings import ReviewSettings
from overread.runtime.database import migrate, open_pool
from overread.runtime.publisher import Outgoing
from overread.runtime.service import Service
from tests.builders.events import CASE_ID, NOON, an_event

PASSWORD = "a long enough password"
READER, OTHER_READER, OPERATOR, RESIDENT = "dr.test", "dr.other", "ops.test", "resident.test"
RECONCILER, INTEGRATOR = "desk.test", "links.test"
PLACER = "his.test"
"""A machine."""


class SilentPublisher:
    """A broker that takes everything."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Take the records."""

    async def ping(self) -> None:
        """Answer."""


class ReviewBench:
    """One site's `review`; every test has its own site, so that they share a database and nothing in it."""

    def __init__(
        self, service: Service, settings: ReviewSettings, clock: "MovedClock", api: FastAPI, desk: Desk
    ) -> None:
        self.service = service
        self.settings = settings
        self.clock = clock
        self.api = api
        self.desk = desk
        self.site_id = settings.site_id
        self.report_id = report_id_for(self.site_id, CASE_ID)
        self._offset = 0

    async def hears(self, topic: Topic, *bodies: Body) -> None:
        """Consume `bodies` as one polled batch."""
        await self.hears_events(topic, *(an_event(body, site_id=self.site_id, own_key=str(uuid4())) for body in bodies))

    async def hears_events(self, topic: Topic, *events: Event[Any]) -> None:
        """Consume `events` as one polled batch."""
        await self.service.consumptions[topic.name].on_records([self._record(topic, event) for event in events])

    async def hears_of_a_study(self, case: Body, plan: Body, *results: Body) -> None:
        """Consume what leads to a draft."""
        await self.hears(CASES_CHANGED, case)
        await self.hears(INFERENCE_PLANNED, plan)
        for result in results:
            await self.hears(INFERENCE_DONE, result)

    async def hears_of_a_delivery(self, *bodies: Body) -> None:
        """Consume what delivery says."""
        await self.hears(DELIVERIES_DONE, *bodies)

    def _record(self, topic: Topic, event: Event[Any]) -> "ConsumerRecord[bytes, bytes]":
        self._offset += 1
        value = codec.encode(event)
        return ConsumerRecord(topic.name, 0, self._offset, 0, 0, topic.key_of(event), value, None, 0, len(value), ())

    async def published(self, topic: Topic) -> list[Event[Any]]:
        """Return the events of this site that wait in the outbox, oldest first."""
        rows = await self.service.pool.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", topic.name)
        events = [codec.decode(row["value"], topic_named(topic.name).bodies) for row in rows]
        return [event for event in events if event.site_id == self.site_id]

    @asynccontextmanager
    async def client(self, username: str | None = READER) -> AsyncIterator[httpx.AsyncClient]:
        """Return a client of the API, signed in as `username`, or not at all."""
        transport = httpx.ASGITransport(app=self.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            if username is not None:
                client.headers["Authorization"] = f"Bearer {self.token(username)}"
            yield client

    def token(self, username: str) -> str:
        """Return what signing in now gives, without the time that a password takes."""
        issuer: EmbeddedIssuer = self.api.state.issuer
        user = users.read_users(issuer._users_file).named(username)
        assert user is not None
        return issuer._token(user, self.clock(), is_demo=False).access_token

    async def ask(self, act: str, body: dict[str, Any] | None = None, *, as_user: str = READER) -> httpx.Response:
        """Do `act` to the report of the case."""
        async with self.client(as_user) as client:
            return await client.post(f"/api/v1/reports/{self.report_id}/{act}", json=body)

    async def report(self, *, as_user: str = READER) -> dict[str, Any]:
        """Return the report of the case as the API shows it."""
        async with self.client(as_user) as client:
            answer = await client.get(f"/api/v1/reports/{self.report_id}")
            assert answer.status_code == httpx.codes.OK, answer.text
            shown: dict[str, Any] = answer.json()
            return shown

    async def sign(self, **changed: Any) -> httpx.Response:
        """Claim the newest draft and sign it as it is."""
        await self.ask("claim")
        digest = (await self.report())["digest"]
        return await self.ask("sign", {"digest": digest, "verdict": "accepted"} | changed)

    async def states(self) -> list[str]:
        """Return the state of each revision, oldest first."""
        rows = await self.service.pool.fetch(
            "SELECT state FROM reports WHERE site_id = $1 ORDER BY report_revision", self.site_id
        )
        return [row["state"] for row in rows]


class MovedClock:
    """A clock that a test moves."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)


@asynccontextmanager
async def a_review_bench(
    dsn: str, folder: Path, *, clock: MovedClock | None = None, **changed: Any
) -> AsyncIterator[ReviewBench]:
    """Open `review` on the database at `dsn`, for a site of its own."""
    clock = clock or MovedClock()
    settings = ReviewSettings(
        site_id=f"site-{uuid4().hex[:12]}",
        database_dsn=SecretStr(dsn),
        review_key_password=SecretStr("twelve characters and more"),
        users_file=some_users(folder),
        **changed,
    )
    service = app.make_service(settings, publisher=SilentPublisher(), clock=clock)
    service._pool = await open_pool(dsn)
    await migrate(service.pool, service._migrations)
    desk = Desk(service, settings, KeyChain(settings.site_id, settings.review_key_password.get_secret_value().encode()))
    await app.make_site_ca(desk)
    issuer = _issuer(settings, clock) if settings.issuer == "embedded" else None
    source = issuer or IssuersKeys(settings.issuer_url, clock)
    verifier = TokenVerifier(issuer=settings.issuer_url, site_id=settings.site_id, source=source, clock=clock)
    try:
        yield ReviewBench(service, settings, clock, web.build(desk, verifier, issuer, source), desk)
    finally:
        await service.pool.close()


def _issuer(settings: ReviewSettings, clock: MovedClock) -> EmbeddedIssuer:
    assert settings.users_file is not None
    return EmbeddedIssuer(
        url=settings.issuer_url,
        site_id=settings.site_id,
        users_file=settings.users_file,
        key=ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True),
        clock=clock,
        is_demo_profile=settings.demo_profile,
    )


@cache
def _hashed() -> users.PasswordHash:
    return users.hash_password(PASSWORD, salt=b"synthetic")


def some_users(folder: Path) -> Path:
    """Return the file of the bench's users, who share one password."""
    made = [
        users.User(
            username=username,
            family_name="BÁC SĨ",
            given_name="THỬ",
            roles=roles,
            entitlements=entitlements,
            password=_hashed(),
            is_client=username == PLACER,
        )
        for username, roles, entitlements in (
            (READER, ("radiologist",), ("sign",)),
            (OTHER_READER, ("radiologist",), ("sign",)),
            (RESIDENT, ("clinician",), ()),
            (OPERATOR, ("ops",), ()),
            (RECONCILER, ("reconciler",), ()),
            (INTEGRATOR, ("integrator",), ()),
            (PLACER, ("order_placer",), ()),
        )
    ]
    users.write_users(folder / "users.json", users.Users(users=tuple(made)))
    return folder / "users.json"
