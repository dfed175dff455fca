"""DICOMweb as a viewer uses it: through the HTTP front, over archive's tables and stored files."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr
from pydicom import dcmread

from overread.archive.queries import ArchiveQueries
from overread.contracts import codec
from overread.contracts.events.audit import Recorded
from overread.contracts.identifiers import case_id_for
from overread.contracts.topics import AUDIT_RECORDED
from overread.dicomweb import app
from overread.dicomweb.settings import DicomwebSettings
from overread.embedded.postgres import ARCHIVE_READER
from overread.review import web
from overread.runtime.database import migrate, migrations_of, open_pool
from overread.runtime.health import serve_on_socket
from overread.runtime.passes import PASS_HEADER, Visitor, issue
from overread.runtime.publisher import Outgoing
from tests.builders.events import NOON, STUDY
from tests.builders.manifests import a_phantom_manifest
from tests.fakes.objects import an_object_store
from tests.fakes.review import OPERATOR, ReviewBench, SilentPublisher, a_review_bench

pytestmark = pytest.mark.stack

SECRET = "a secret of front and dicomweb"
ANY_SYNTAX = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}


class NotedPublisher(SilentPublisher):
    """A broker that takes everything and keeps it."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Keep the records."""
        self.taken.extend(records)


@dataclass
class Viewer:
    """A review with dicomweb behind it, and what was stored."""

    bench: ReviewBench
    publisher: NotedPublisher
    socket: Path
    series: str
    instances: list[str]
    files: dict[str, bytes]

    @property
    def one(self) -> str:
        """Return the address of the first image."""
        return f"/dicom-web/studies/{STUDY}/series/{self.series}/instances/{self.instances[0]}"

    async def get(self, path: str, username: str | None = "dr.test", **headers: str) -> httpx.Response:
        """Ask through the front."""
        async with self.bench.client(username) as client:
            return await client.get(path, headers=headers)


@pytest.fixture
async def viewer(stack: Any, tmp_path: Path) -> AsyncIterator[Viewer]:
    """Return a viewer of four stored images; the last series holds one that names a file which is gone."""
    socket, publisher = tmp_path / "dicomweb.sock", NotedPublisher()
    async with a_review_bench(
        stack.endpoints.dsn("review"), tmp_path, dicomweb_socket=socket, front_secret=SecretStr(SECRET)
    ) as bench:
        series, instances, files = await stored(stack, bench.site_id, tmp_path)
        settings = DicomwebSettings(
            site_id=bench.site_id,
            archive_dsn=SecretStr(stack.endpoints.dsn(ARCHIVE_READER)),
            front_secret=SecretStr(SECRET),
            http_socket=socket,
            object_root=tmp_path / "objects",
        )
        service = app.make_service(settings, publisher=publisher, clock=bench.clock)
        archive = ArchiveQueries(settings.archive_dsn.get_secret_value(), bench.site_id)
        async with serving(app.make_app(service, settings, archive), socket):
            yield Viewer(bench, publisher, socket, series, instances, files)
        await archive.close()


@asynccontextmanager
async def serving(application: Any, socket: Path) -> AsyncIterator[None]:
    """Serve behind the front for the time of the block."""
    task = asyncio.create_task(serve_on_socket(application, socket))
    while not socket.exists():  # noqa: ASYNC110, ASYNC240 - uvicorn tells nobody else that it listens
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def stored(stack: Any, site_id: str, folder: Path) -> tuple[str, list[str], dict[str, bytes]]:
    """Store four images of the phantom, one of them twice with other content, and note them as archive does."""
    manifest, contents = a_phantom_manifest()
    [series] = manifest.series
    objects = an_object_store(folder / "objects")
    rows, files = [], {}
    for image in series.instances[:4]:
        files[image.sop_instance_uid] = contents[image.object_key]
        await objects.put(image.object_key, [contents[image.object_key]])
        rows.append((site_id, image.object_key, image.sop_instance_uid, image.digest, 0))
    rows.append((site_id, "site/gone", rows[0][2], "0" * 64, 60))
    rows.append((site_id, "site/gone-too", "1.2.3.4", "1" * 64, 60))
    pool = await open_pool(stack.endpoints.dsn("archive"))
    await migrate(pool, migrations_of("overread.archive"))
    await pool.executemany(
        "INSERT INTO instances (site_id, object_key, study_instance_uid, series_instance_uid, sop_instance_uid,"
        " sop_class_uid, transfer_syntax_uid, digest, size_bytes, received_at)"
        f" VALUES ($1, $2, '{STUDY}', '{series.series_instance_uid}', $3, '1.2.840.10008.5.1.4.1.1.2',"
        f" '1.2.840.10008.1.2.1', $4, 1, '{NOON.isoformat()}'::timestamptz + $5 * interval '1 second')",
        rows,
    )
    await pool.close()
    return series.series_instance_uid, list(files), files


def parts(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """Return the parts of a multipart answer: content type and content."""
    raw = b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.content
    message = BytesParser().parsebytes(raw)
    boundary = message.get_boundary()
    assert boundary is not None
    pieces = answer.content.split(f"--{boundary}".encode())[1:-1]
    return [(_type_of(piece), piece.partition(b"\r\n\r\n")[2][:-2]) for piece in pieces]


def _type_of(piece: bytes) -> str:
    return piece.partition(b"\r\n\r\n")[0].strip().decode().removeprefix("Content-Type: ")


async def test_viewer_gets_metadata_and_pixels(viewer: Viewer) -> None:
    """What Cornerstone asks: the series' metadata, then a frame of each image (PS3.18, 10.4)."""
    metadata = await viewer.get(
        f"/dicom-web/studies/{STUDY}/series/{viewer.series}/instances/{viewer.instances[0]}/metadata"
    )
    frame = await viewer.get(f"{viewer.one}/frames/1", **ANY_SYNTAX)

    dataset = dcmread(io.BytesIO(viewer.files[viewer.instances[0]]))
    [(content_type, content)] = parts(frame)
    [header] = metadata.json()
    assert metadata.headers["content-type"] == "application/dicom+json"
    assert (header["00280010"]["Value"], header["00083002"]["Value"]) == ([dataset.Rows], ["1.2.840.10008.1.2.1"])
    assert "7FE00010" not in header
    assert content_type == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert np.array_equal(np.frombuffer(content, "<i2"), dataset.pixel_array.ravel())


async def test_stored_file_is_streamed_as_it_is(viewer: Viewer) -> None:
    """Bit for bit, in its stored transfer syntax."""
    answer = await viewer.get(viewer.one, Accept='multipart/related; type="application/dicom"; transfer-syntax=*')

    [(content_type, content)] = parts(answer)
    assert content_type == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert codec.sha256(content) == codec.sha256(viewer.files[viewer.instances[0]])


async def test_nothing_is_sent_again_that_the_viewer_has(viewer: Viewer) -> None:
    """An image under its digest never changes (RFC 9110, 13.1.2)."""
    for path in (f"{viewer.one}/frames/1", f"{viewer.one}/metadata"):
        first = await viewer.get(path)
        again = await viewer.get(path, **{"If-None-Match": first.headers["etag"]})

        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/dicom-web/studies/1.2.3/series/1.2/metadata", "*/*", 404),
        ("{one}/frames/2", "*/*", 404),
        ("{one}/frames/0", "*/*", 422),
        ("{one}/frames/1", "text/html", 406),
        ("{one}/frames/1", 'multipart/related; type="image/jp2"', 406),
        ("{one}/metadata", "application/dicom+xml", 406),
        ("/dicom-web/studies/NGUYEN/series/1.2/metadata", "*/*", 422),
        ("/dicom-web/studies?PatientName=NGUYEN", "*/*", 400),
        ("/dicom-web/studies/{study}/series/{series}/instances/1.2.3.4/frames/1", "*/*", 404),
        ("/dicom-web/anything", "*/*", 404),
    ],
)
async def test_what_can_not_be_had_is_said_by_its_code(viewer: Viewer, path: str, accept: str, status: int) -> None:
    """404 for what is not there, 406 for a form that we do not have, 4xx for what makes no sense; never a value."""
    answer = await viewer.get(path.format(one=viewer.one, study=STUDY, series=viewer.series), Accept=accept)

    assert answer.status_code == status
    assert "NGUYEN" not in answer.text


async def test_search_tells_what_is_under_an_address(viewer: Viewer) -> None:
    """QIDO-RS, as much as a viewer needs; of two contents under one UID the first counts."""
    studies = (await viewer.get("/dicom-web/studies", Accept="application/dicom+json")).json()
    found = (await viewer.get(f"/dicom-web/studies?StudyInstanceUID={STUDY}")).json()
    series = (await viewer.get(f"/dicom-web/studies/{STUDY}/series")).json()

    assert [study["00201208"]["Value"] for study in studies] == [[5]]
    assert found == studies
    assert [one["00080060"]["Value"] for one in series] == [["CT"]]


async def test_only_readers_of_the_site_see_images(viewer: Viewer) -> None:
    """401 without a token, 403 for an operator; and nobody gets past the front without its pass."""
    path = f"{viewer.one}/frames/1"
    nobody = await viewer.get(path, None)
    operator = await viewer.get(path, OPERATOR)

    transport = httpx.AsyncHTTPTransport(uds=str(viewer.socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        bare = await client.get(path)
        others = await client.get(path, headers=a_pass(viewer, site_id="another-site"))
        operators = await client.get(path, headers=a_pass(viewer, roles=frozenset({"ops"})))
        forged = await client.get(path, headers=a_pass(viewer, secret="guessed and guessed"))

    answers = [answer.status_code for answer in (nobody, operator, bare, others, operators, forged)]
    assert answers == [401, 403, 401, 403, 403, 401]


def a_pass(viewer: Viewer, *, secret: str = SECRET, **changed: Any) -> dict[str, str]:
    """Return the header of a pass for the service behind the front."""
    known = {"subject": "dr.test", "site_id": viewer.bench.site_id, "roles": frozenset({"radiologist"})}
    token = issue(Visitor(**(known | changed)), audience="dicomweb", secret=secret.encode(), now=viewer.bench.clock())
    return {PASS_HEADER: token}


async def test_a_look_at_a_study_is_recorded_once(viewer: Viewer) -> None:
    """Not once a frame; and without a word about the patient."""
    for number in range(3):
        await viewer.get(
            f"/dicom-web/studies/{STUDY}/series/{viewer.series}/instances/{viewer.instances[number]}/frames/1"
        )
    viewer.bench.clock.pass_by(minutes=11)
    await viewer.get(f"{viewer.one}/frames/1")

    recorded: list[Any] = [codec.decode(record.value, (Recorded,)).data for record in viewer.publisher.taken]
    assert {record.topic for record in viewer.publisher.taken} == {AUDIT_RECORDED.name}
    assert [(one.actor, one.action, one.object_type) for one in recorded] == [("dr.test", "retrieve", "case")] * 2


@pytest.mark.parametrize(
    ("path", "action", "object_type"),
    [
        ("/dicom-web/studies", "search", "studies"),
        (f"/dicom-web/studies?StudyInstanceUID={STUDY}", "search", "case"),
        (f"/dicom-web/studies?0020000D={STUDY}", "search", "case"),
        (f"/dicom-web/studies/{STUDY}/series", "retrieve", "case"),
        (f"/dicom-web/studies/{STUDY}/series/{{series}}/instances?offset=1&limit=1", "retrieve", "case"),
    ],
)
async def test_a_search_is_recorded(viewer: Viewer, path: str, action: str, object_type: str) -> None:
    """REQ-LIF-09: its answer names the patients of what it found (PS3.15, A.5.3.10); the record names none."""
    answer = await viewer.get(path.format(series=viewer.series))

    all_recorded: list[Any] = [codec.decode(record.value, (Recorded,)).data for record in viewer.publisher.taken]
    [recorded] = all_recorded
    about = case_id_for(viewer.bench.site_id, STUDY) if object_type == "case" else None
    assert answer.status_code == 200
    assert (recorded.actor, recorded.action, recorded.object_type) == ("dr.test", action, object_type)
    assert (recorded.object_id, recorded.case_id) == (str(about or ""), about)


async def test_service_that_is_away_is_said_to_be_away(stack: Any, tmp_path: Path) -> None:
    """503 with a plain reason; the rest of the page goes on."""
    socket = tmp_path / "nobody.sock"
    async with (
        a_review_bench(
            stack.endpoints.dsn("review"), tmp_path, dicomweb_socket=socket, front_secret=SecretStr(SECRET)
        ) as bench,
        bench.client() as client,
    ):
        images = await client.get(f"/dicom-web/studies/{STUDY}/series")
        me = await client.get("/api/v1/me")

    assert (images.status_code, images.json()["detail"], me.status_code) == (503, "dicomweb does not answer", 200)


async def test_reader_of_archives_tables_writes_nothing(stack: Any) -> None:
    """The written exception is an exception for reading."""
    pool = await open_pool(stack.endpoints.dsn(ARCHIVE_READER))
    refused: list[str] = []
    for statement in (
        "DELETE FROM instances",
        "SET default_transaction_read_only = off; DELETE FROM instances",
        "SELECT * FROM review.reports",
    ):
        with refusal(refused):
            await pool.execute(statement)
    await pool.close()

    assert len(refused) == 3


@contextmanager
def refusal(refused: list[str]) -> Iterator[None]:
    """Note a statement that the database refuses."""
    import asyncpg  # noqa: PLC0415 - for its errors alone

    try:
        yield
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError) as error:
        refused.append(type(error).__name__)


def test_front_without_services_has_none_behind_it(tmp_path: Path) -> None:
    """An installation without images says so instead of failing at start."""
    from overread.review.settings import ReviewSettings  # noqa: PLC0415 - one test

    settings = ReviewSettings(review_key_password=SecretStr("twelve characters and more"))

    assert web.front_of(settings, lambda: NOON)._behind == {}
