import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from tritonclient.grpc import InferenceServerClient, InferInput

from overread.embedded.places import StackError
from overread.embedded.processes import MARK, marked
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import ServiceSpec, Stack

pytestmark = pytest.mark.stack

OFFSET = 700
CHECKOUT = Path(__file__).parents[2]

CONFIG = """\
name: "twice"
backend: "python"
max_batch_size: 0
input [ { name: "X" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "Y" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""

MODEL = """\
import triton_python_backend_utils as triton


class TritonPythonModel:
    def execute(self, requests):
        return [
            triton.InferenceResponse(
                [triton.Tensor("Y", 2 * triton.get_input_tensor_by_name(request, "X").as_numpy())]
            )
            for request in requests
        ]
"""

SUPERVISE = """\
import asyncio, sys
from pathlib import Path
from overread.embedded.supervisor import Stack, serve
asyncio.run(serve(Stack(Path(sys.argv[1]), port_offset=int(sys.argv[2]), servers=("postgres", "kafka"))))
"""


def an_echo_service(name: str = "assembly", target: str = "tests.integration.echo_service:main") -> ServiceSpec:
    return ServiceSpec(name=name, target=target)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("models")
    (repository / "twice" / "1").mkdir(parents=True)
    (repository / "twice" / "config.pbtxt").write_text(CONFIG)
    (repository / "twice" / "1" / "model.py").write_text(MODEL)
    return repository


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[StackThread]:
    data = tmp_path_factory.mktemp("stack")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(CHECKOUT))
        built = Stack(data, port_offset=OFFSET, services=[an_echo_service()], model_repository=models)
        with StackThread(built) as running:
            yield running


def kafka_client(stack: StackThread, user: str) -> dict[str, str]:
    return {
        "bootstrap_servers": stack.endpoints.kafka_bootstrap,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": user,
        "sasl_plain_password": stack.endpoints.kafka_password(user),
    }


async def send(stack: StackThread, user: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(**kafka_client(stack, user), acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read_one(stack: StackThread, user: str, topic: str) -> bytes | None:
    consumer = AIOKafkaConsumer(
        topic, **kafka_client(stack, user), group_id=f"{user}.test", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        value: bytes | None = (await consumer.getone()).value
        return value
    finally:
        await consumer.stop()


async def test_consumer_of_the_map_reads_what_its_producer_wrote(stack: StackThread) -> None:
    """Topics, users and rights come from topics.py, over SCRAM."""
    await send(stack, "routing", "inference.planned", b"planned")

    value = await read_one(stack, "review", "inference.planned")

    assert value == b"planned"


async def test_only_review_may_write_signed_reports(stack: StackThread) -> None:
    """Promise 3, third guard: the broker refuses every other service."""
    await send(stack, "review", "reports.signed", b"signed")

    with pytest.raises(TopicAuthorizationFailedError):
        await send(stack, "delivery", "reports.signed", b"forged")
    with pytest.raises(TopicAuthorizationFailedError):
        await send(stack, "ops", "reports.signed", b"replayed")


async def test_a_service_may_not_join_the_group_of_another(stack: StackThread) -> None:
    """A service commits only its own offsets."""
    settings = kafka_client(stack, "governance")
    consumer = AIOKafkaConsumer("inference.planned", **settings, group_id="review.test")

    with pytest.raises(GroupAuthorizationFailedError):
        await consumer.start()

    await consumer.stop()


async def test_role_owns_its_schema_and_no_other(stack: StackThread) -> None:
    """No service reads another's tables."""
    archive = await asyncpg.connect(stack.endpoints.dsn("archive"))
    await archive.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
    await archive.execute("INSERT INTO kept VALUES (1)")
    review = await asyncpg.connect(stack.endpoints.dsn("review"))

    seen = await archive.fetchval("SELECT n FROM kept")

    assert seen == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await review.fetch("SELECT * FROM archive.kept")
    for connection in (archive, review):
        await connection.close()


async def test_database_refuses_a_wrong_password(stack: StackThread) -> None:
    """SCRAM on the Unix socket: to be a local user is not enough."""
    known = stack.endpoints.dsn("review")
    wrong = known.replace(stack.endpoints.credentials.password("postgres-review"), "guess")

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


def test_triton_answers_over_grpc(stack: StackThread) -> None:
    """A python model runs in Triton's own environment, beside the stub of this Python."""
    given = InferInput("X", [3], "FP32")
    given.set_data_from_numpy(np.array([1, 2, 3], dtype=np.float32))

    answer = InferenceServerClient(stack.endpoints.triton_grpc).infer("twice", [given])

    assert answer.as_numpy("Y").tolist() == [2, 4, 6]


def test_everything_listens_on_loopback_only(stack: StackThread) -> None:
    """Nothing of the embedded stack is reached from outside the machine."""
    ports = set(stack.endpoints.ports.named().values())

    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    listening = [row[1].split(":") for row in rows if row[3] == "0A"]
    ours = {int(port, 16): address for address, port in listening if int(port, 16) in ports}

    assert ours.keys() == ports
    assert set(ours.values()) <= {"0100007F", "0000000000000000FFFF00000100007F"}


@pytest.mark.parametrize("name", ["assembly", "triton", "postgres", "kafka"])
def test_killed_child_is_started_again(stack: StackThread, name: str) -> None:
    """A child that dies comes back with back-off, and is healthy again within seconds."""
    before, starts = stack.pid(name), stack.starts(name)

    stack.kill(name)
    stack.wait_ready(name)

    assert stack.pid(name) != before
    assert stack.starts(name) > starts


async def test_acknowledged_record_outlives_the_broker(stack: StackThread) -> None:
    """Promise 1: what was acknowledged is there after kill -9."""
    await send(stack, "hl7_intake", "hl7.received", b"kept")

    stack.kill("kafka")
    stack.wait_ready("kafka")

    assert await read_one(stack, "assembly", "hl7.received") == b"kept"


def test_second_stack_on_one_folder_is_refused(stack: StackThread) -> None:
    """Two supervisors never share a data folder."""
    second = StackThread(Stack(stack.endpoints.data.root, port_offset=OFFSET + 100))

    with pytest.raises(StackError, match="another stack runs on"):
        second.__enter__()


def test_port_in_use_is_named(stack: StackThread, tmp_path: Path) -> None:
    """The message names the port and the way out."""
    second = StackThread(Stack(tmp_path, port_offset=OFFSET, servers=("kafka",)))

    with pytest.raises(StackError, match=r"port 19792 \(Kafka\).*OVERREAD_PORT_OFFSET="):
        second.__enter__()


def test_service_that_can_not_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start fails with the service's name and its log, and leaves nothing running."""
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    broken = an_echo_service(target="tests.integration.echo_service:break_at_once")
    stack = Stack(tmp_path, port_offset=OFFSET + 100, servers=(), services=[broken])

    with pytest.raises(StackError, match=r"assembly ended with status 3; see .*assembly\.log"):
        StackThread(stack).__enter__()

    assert marked(stack.data.mark) == []


def test_stack_recovers_from_its_own_kill_and_stops_in_order(tmp_path: Path) -> None:
    """After kill -9 of the supervisor the same folder starts again; SIGTERM then ends everything within seconds."""
    words = [sys.executable, "-c", SUPERVISE, str(tmp_path), str(OFFSET + 200)]
    first = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    first.kill()
    first.wait()

    second = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert second.stdout is not None
    said = second.stdout.readline()
    second.send_signal(signal.SIGTERM)
    began = time.monotonic()
    status = second.wait(timeout=30)

    assert (said, status) == ("ready\n", 0)
    assert time.monotonic() - began < 15
    assert marked(Stack(tmp_path).data.mark) == []
    assert MARK not in os.environ
