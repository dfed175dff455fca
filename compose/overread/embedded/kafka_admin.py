"""What the broker is told from the map: topics, a user per service, and who may do what to which topic."""

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its types export nothing by name
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from overread.contracts.topics import REPLAYS_REQUESTED, SERVICES, TOPICS, Topic, read_by, tail_read_by, written_by
from overread.embedded.credentials import Credentials
from overread.embedded.places import StackError
from overread.runtime.synced_files import write_private

OPS = "ops"
"""Who reads dead letters and asks for their replay (`overread dead list`, `replay`); it writes no service's topic."""

USERS: tuple[str, ...] = (*SERVICES, OPS)

FIRST_OUTSIDERS: tuple[str, ...] = ("his",)
"""Systems of others that may offer records, where no file names any."""

_OUTSIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_DEAD_PARTITIONS = 1
_DEAD_RECORD_BYTES = 2 * 1024 * 1024
"""The largest record with its reason in headers still fits."""

_DEAD_RETENTION_MS = 90 * 24 * 3600 * 1000
_SCRAM_ITERATIONS = 4096
_REPLY_SECONDS = 30
_ANY: Any = (ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)

Settings = dict[str, str | int | float | bool]
"""A client's settings, as librdkafka names them."""

Rule = tuple[str, str, str, str, str]
"""Principal, kind of resource, name, LITERAL or PREFIXED, operation."""


def connection(port: int, user: str, password: str) -> Settings:
    """Return the settings of a SCRAM client in librdkafka's words."""
    return {
        "bootstrap.servers": f"127.0.0.1:{port}",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": password,
        "log_level": "0",
    }


def rules(outsiders: Sequence[str] = ()) -> list[Rule]:
    """Return every right on the broker, made from the map and from nothing else."""
    of_services = (rule for service in SERVICES for rule in _rules_of(service))
    of_others = (rule for outsider in outsiders for rule in _rules_of_outsider(outsider))
    return list(dict.fromkeys([*of_services, *_rules_of_ops(), *of_others]))


def outsiders_in(file: Path) -> tuple[str, ...]:
    """Return the users of systems of others: a name a line, `FIRST_OUTSIDERS` without the file."""
    if not file.exists():
        return FIRST_OUTSIDERS
    names = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    for name in names:
        if not _OUTSIDER.fullmatch(name) or name in (*USERS, "admin"):
            raise StackError(f"{file}: {name!r} can be no user of the broker; write another name")
    return names


def _rules_of(service: str) -> Iterator[Rule]:
    for topic in written_by(service):
        yield from _grants(service, topic.name, "WRITE", "DESCRIBE")
    for topic in read_by(service):
        yield from _grants(service, topic.name, "READ", "DESCRIBE")
        yield from _grants(service, topic.dead_name, "READ", "WRITE", "DESCRIBE")
    for topic in tail_read_by(service):
        yield from _grants(service, topic.name, "READ", "DESCRIBE")
    yield (service, "GROUP", service, "PREFIXED", "READ")


def _rules_of_outsider(user: str) -> Iterator[Rule]:
    """Yield the right to write what others may offer, and nothing else: not even to read it back."""
    for topic in TOPICS:
        if topic.from_outside:
            yield from _grants(user, topic.name, "WRITE", "DESCRIBE")


def _rules_of_ops() -> Iterator[Rule]:
    for topic in TOPICS:
        yield from _grants(OPS, topic.dead_name, "READ", "DESCRIBE")
        yield from _grants(OPS, topic.name, "READ", "DESCRIBE")
    yield from _grants(OPS, REPLAYS_REQUESTED.name, "WRITE")
    yield (OPS, "GROUP", OPS, "PREFIXED", "READ")
    for service in SERVICES:
        yield (OPS, "GROUP", service, "PREFIXED", "DESCRIBE")


def _grants(user: str, topic: str, *operations: str) -> Iterator[Rule]:
    return ((user, "TOPIC", topic, "LITERAL", operation) for operation in operations)


def declare(settings: Settings, credentials: Credentials, stamp: Path, outsiders: Sequence[str] = ()) -> None:
    """Bring the broker to what the map says; a stamp spares the work when nothing changed since."""
    admin = AdminClient(settings)
    existing = _topics_there(admin)
    digest = _digest(credentials, outsiders)
    if stamp.exists() and stamp.read_text() == digest and existing.keys() >= _wanted().keys():
        return
    _make_topics(admin, existing)
    _make_users(admin, credentials, outsiders)
    _make_rules(admin, outsiders)
    _await_effect(settings, credentials)
    write_private(stamp, digest)


def _await_effect(settings: Settings, credentials: Credentials) -> None:
    """Wait until the broker lives by what its controller accepted: the user made last may see every topic."""
    ops = AdminClient({**settings, "sasl.username": OPS, "sasl.password": credentials.password(f"kafka-{OPS}")})
    deadline = time.monotonic() + _REPLY_SECONDS
    while not _sees_all(ops):
        if time.monotonic() > deadline:
            raise StackError("Kafka took the users and rights, but does not live by them")
        time.sleep(0.05)


def _sees_all(client: AdminClient) -> bool:
    try:
        return client.list_topics(timeout=2).topics.keys() >= _wanted().keys()
    except KafkaException:
        return False


def _digest(credentials: Credentials, outsiders: Sequence[str]) -> str:
    passwords = [credentials.password(f"kafka-{user}") for user in (*USERS, *outsiders)]
    told = json.dumps([rules(outsiders), _wanted(), _configs(), passwords], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _wanted() -> dict[str, int]:
    return {
        name: partitions
        for topic in TOPICS
        for name, partitions in ((topic.name, topic.partitions), (topic.dead_name, _DEAD_PARTITIONS))
    }


def _configs() -> dict[str, dict[str, str]]:
    return {name: config for topic in TOPICS for name, config in _configs_of(topic)}


def _configs_of(topic: Topic) -> list[tuple[str, dict[str, str]]]:
    kept = int(topic.retention.total_seconds() * 1000)
    return [
        (topic.name, {"retention.ms": str(kept), "cleanup.policy": "delete"}),
        (
            topic.dead_name,
            {
                "retention.ms": str(_DEAD_RETENTION_MS),
                "cleanup.policy": "delete",
                "max.message.bytes": str(_DEAD_RECORD_BYTES),
            },
        ),
    ]


def answers(settings: Settings) -> bool:
    """Tell whether the broker answers its administrator; one that only just bound its port may not know its users yet."""
    try:
        AdminClient(settings).list_topics(timeout=2)
    except KafkaException:
        return False
    return True


def _topics_there(admin: AdminClient) -> dict[str, int]:
    found = admin.list_topics(timeout=_REPLY_SECONDS).topics
    return {name: len(topic.partitions) for name, topic in found.items()}


def _make_topics(admin: Any, existing: dict[str, int]) -> None:
    configs = _configs()
    new = [
        NewTopic(name, num_partitions=partitions, replication_factor=1, config=configs[name])
        for name, partitions in _wanted().items()
        if name not in existing
    ]
    grown = [NewPartitions(name, count) for name, count in _wanted().items() if 0 < existing.get(name, count) < count]
    if new:
        _await(admin.create_topics(new, operation_timeout=_REPLY_SECONDS).values())
    if grown:
        _await(admin.create_partitions(grown).values())
    _set_configs(admin, [name for name in configs if name in existing])


def _set_configs(admin: Any, names: list[str]) -> None:
    configs = _configs()
    resources = []
    for name in names:
        resource = ConfigResource(ResourceType.TOPIC, name)
        for key, value in configs[name].items():
            resource.add_incremental_config(ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET))
        resources.append(resource)
    if resources:
        _await(admin.incremental_alter_configs(resources).values())


def _make_users(admin: Any, credentials: Credentials, outsiders: Sequence[str]) -> None:
    strength = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _SCRAM_ITERATIONS)
    wanted = [
        UserScramCredentialUpsertion(user, strength, credentials.password(f"kafka-{user}").encode())
        for user in (*USERS, *outsiders)
    ]
    _await(admin.alter_user_scram_credentials(wanted).values())


def _make_rules(admin: Any, outsiders: Sequence[str]) -> None:
    """Make the rules that are wanted, and take away each that the map no longer knows."""
    everything: Any = AclBindingFilter(*_ANY)
    wanted = [_binding(rule) for rule in rules(outsiders)]
    there = set(admin.describe_acls(everything).result(timeout=_REPLY_SECONDS))
    new = [binding for binding in wanted if binding not in there]
    _await(admin.create_acls(new).values() if new else [])
    stale = [_exactly(binding) for binding in there.difference(wanted)]
    _await(admin.delete_acls(stale).values() if stale else [])


def _binding(rule: Rule) -> Any:
    user, kind, name, pattern, operation = rule
    return AclBinding(
        ResourceType[kind],
        name,
        ResourcePatternType[pattern],
        f"User:{user}",
        "*",
        AclOperation[operation],
        AclPermissionType.ALLOW,
    )


def _exactly(binding: Any) -> Any:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _await(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        future.result(timeout=_REPLY_SECONDS)
