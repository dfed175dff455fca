"""Apache Kafka's jars.

`python -m overread.embedded.kafka_jars` resolves anew and rewrites the lock.
"""

from pathlib import Path

from overread.embedded.jars import JarSet, maven

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
"""What carries the broker's log to log4j; resolved apart, since its own bill of materials would pull an older Kafka client in."""

JARS = JarSet("kafka", Path(__file__).with_name("kafka.lock.toml"))

locked, folder, class_path = JARS.locked, JARS.folder, JARS.class_path
are_here, fetch = JARS.are_here, JARS.fetch


def relock() -> None:
    """Resolve Kafka anew and rewrite the lock."""
    repository = maven()
    wanted, transitive = repository.resolver.resolve([repository.create_dependency(KAFKA)])
    needed = [dependency for dependency in transitive if dependency.scope in {"compile", "runtime"}]
    JARS.write_lock([*wanted, *needed, repository.create_dependency(LOGGING)])


if __name__ == "__main__":
    relock()
