"""Apache Kafka on one machine: broker and controller in one process, loopback only, SCRAM and ACLs on."""

import asyncio
import base64
import os
import shutil
import signal
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from overread.embedded import health, java, kafka_admin
from overread.embedded.credentials import Credentials
from overread.embedded.places import DataFolder, Ports
from overread.embedded.processes import Command, finish
from overread.runtime.synced_files import rename_synced, write_private

ADMIN = "admin"
_FORMAT_SECONDS = 60

_BROKER = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{broker}
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
# SCRAM secrets live in the metadata that the controller itself serves, so its own listener knows one user by file.
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.client.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
username="admin" password="{password}";
listener.name.controller.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username="admin" password="{password}" user_admin="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin
allow.everyone.if.no.acl.found=false
log.dirs={folder}
# Promise 1: acknowledged means on synced disk.
log.flush.interval.messages=1
log.message.timestamp.type=LogAppendTime
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
unclean.leader.election.enable=false
message.max.bytes=1048576
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
# Offsets outlive a holiday: a group that was away longer than its topics keep would start over.
offsets.retention.minutes=43200
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
num.recovery.threads.per.data.dir=2
# A broker that was killed may register again only when its old session is over: 9 s by default, felt at each restart.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""

_CLIENT = """\
bootstrap.servers=127.0.0.1:{broker}
security.protocol=SASL_PLAINTEXT
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="{password}";
"""

_LOGGING = """\
status = error
appender.file.type = RollingFile
appender.file.name = FILE
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yyyy-MM-dd'T'HH:mm:ss.SSSX}} %p %c{{1}} %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = {level}
rootLogger.appenderRefs = file
rootLogger.appenderRef.file.ref = FILE
logger.config.name = org.apache.kafka.common.config
logger.config.level = ERROR
"""


@dataclass(frozen=True, kw_only=True)
class Kafka:
    """One broker, its folder, ports and users."""

    data: DataFolder
    ports: Ports
    credentials: Credentials
    name: str = "kafka"
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15

    async def prepare(self) -> None:
        """Write the settings anew, and format the log folder when there is none yet."""
        self._write_settings()
        if not self._log.exists():
            await self._format()

    def command(self) -> Command:
        """Return the command that runs the broker."""
        words = java.words("kafka.Kafka", str(self._settings), log_settings=self._log_settings)
        return Command(argv=words, environment=java.environment(self.data.kafka), folder=self.data.kafka)

    async def is_healthy(self) -> bool:
        """Tell whether the broker answers its super user."""
        if not await health.accepts(self.ports.kafka):
            return False
        return await asyncio.to_thread(kafka_admin.answers, self.admin_settings())

    async def configure(self) -> None:
        """Declare topics, users and ACLs of the map, where they are not there already."""
        await asyncio.to_thread(
            kafka_admin.declare,
            self.admin_settings(),
            self.credentials,
            self.data.kafka / "declared",
            kafka_admin.outsiders_in(self.data.config / "kafka-users.txt"),
        )

    def admin_settings(self) -> kafka_admin.Settings:
        """Return the super user's connection, in librdkafka's words."""
        return kafka_admin.connection(self.ports.kafka, ADMIN, self.credentials.password(f"kafka-{ADMIN}"))

    @property
    def _settings(self) -> Path:
        return self.data.kafka / "server.properties"

    @property
    def _log_settings(self) -> Path:
        return self.data.kafka / "log4j2.properties"

    @property
    def _log(self) -> Path:
        return self.data.kafka / "log"

    def _write_settings(self) -> None:
        write_private(self._settings, self._broker_settings(self._log))
        client = _CLIENT.format(broker=self.ports.kafka, password=self.credentials.password(f"kafka-{ADMIN}"))
        write_private(self.data.kafka / "admin.properties", client)
        log = self.data.log_of(self.name)
        write_private(self._log_settings, _LOGGING.format(log=log, level=os.environ.get("OVERREAD_KAFKA_LOG", "WARN")))

    def _broker_settings(self, folder: Path) -> str:
        password = self.credentials.password(f"kafka-{ADMIN}")
        return _BROKER.format(
            broker=self.ports.kafka, controller=self.ports.kafka_controller, password=password, folder=folder
        )

    async def _format(self) -> None:
        """Format beside the final place, so that an interrupted format is simply done again.

        KIP-900: the first SCRAM user is written by the storage tool.
        """
        half = self.data.kafka / "log.half"
        shutil.rmtree(half, ignore_errors=True)
        settings = self.data.kafka / "format.properties"
        write_private(settings, self._broker_settings(half))
        await finish(self._format_command(settings), self.data.log_of("kafka-format"), timeout_seconds=_FORMAT_SECONDS)
        # The storage tool syncs nothing: without this a power cut leaves a broker that never starts again.
        await asyncio.to_thread(rename_synced, half, self._log)
        (self.data.kafka / "format.words").unlink()
        settings.unlink()

    def _format_command(self, settings: Path) -> Command:
        user = f"SCRAM-SHA-512=[name={ADMIN},password={self.credentials.password(f'kafka-{ADMIN}')}]"
        arguments = ["format", "-t", new_cluster_id(), "-c", str(settings), "--add-scram", user]
        words = java.words("kafka.tools.StorageTool", *arguments, log_settings=self._log_settings)
        # Through a private file: a password on the command line is there for every local user to read.
        file = self.data.kafka / "format.words"
        write_private(file, "\n".join(f'"{word}"' for word in words[1:]))
        environment = java.environment(self.data.kafka)
        return Command(argv=[words[0], f"@{file}"], environment=environment, folder=self.data.kafka)


def new_cluster_id(random_bytes: Callable[[], bytes] = lambda: uuid.uuid4().bytes) -> str:
    """Return an ID that does not begin with a hyphen, which one in 64 would: the storage tool takes that for an option."""
    while (cluster_id := base64.urlsafe_b64encode(random_bytes()).decode().rstrip("=")).startswith("-"):
        pass
    return cluster_id
