"""Which `OVERREAD_*` of the caller's environment reach the services of an embedded stack, and which do not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

PREFIX = "OVERREAD_"

DECIDED_BY_THE_STACK: frozenset[str] = frozenset(
    {
        "OVERREAD_ARCHIVE_DSN",
        "OVERREAD_ASSEMBLY_SOCKET",
        "OVERREAD_DATABASE_DSN",
        "OVERREAD_DEMO_PROFILE",
        "OVERREAD_DICOMWEB_SOCKET",
        "OVERREAD_DICOM_HOST",
        "OVERREAD_FRONT_SECRET",
        "OVERREAD_HEALTH_SOCKET",
        "OVERREAD_HTTP_HOST",
        "OVERREAD_HTTP_SOCKET",
        "OVERREAD_INSTANCE_ID",
        "OVERREAD_MESSAGE_INDEX_SECRET",
        "OVERREAD_MLLP_HOST",
        "OVERREAD_MODELS_FILE",
        "OVERREAD_OBJECT_ROOT",
        "OVERREAD_OPS_SOCKET",
        "OVERREAD_ORDER_INTAKE_SOCKET",
        "OVERREAD_OPS_WATCHED",
        "OVERREAD_REVIEW_KEY_PASSWORD",
        "OVERREAD_SECRETS_DIR",
        "OVERREAD_SITE_CA_ROOT",
        "OVERREAD_TRITON_GRPC",
        "OVERREAD_USERS_FILE",
    }
)
"""Addresses, credentials and files of the stack itself, which listens on loopback and nowhere else."""

FOR_OTHERS: frozenset[str] = frozenset(
    {
        "OVERREAD_CORPUS",
        "OVERREAD_DATA_DIR",
        "OVERREAD_PASSWORD",
        "OVERREAD_PEERS",
        "OVERREAD_PORT_OFFSET",
        "OVERREAD_PYTHON",
        "OVERREAD_SITE_ID",
        "OVERREAD_STACK_MARK",
        "OVERREAD_UV",
    }
)
"""What commands, tests and set-up read; the site and the offset reach the services by the stack's own endpoints."""


@dataclass(frozen=True, kw_only=True)
class CallerSettings:
    """The settings that the services get, and the names of those that only the stack may decide."""

    passed_on: Mapping[str, str]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return what `environment` says to the services."""
        said = {
            name: value for name, value in environment.items() if name.startswith(PREFIX) and name not in FOR_OTHERS
        }
        left_out = tuple(sorted(name for name in said if _is_the_stacks(name)))
        return cls(passed_on={n: v for n, v in said.items() if n not in left_out}, left_out=left_out)


def _is_the_stacks(name: str) -> bool:
    return name in DECIDED_BY_THE_STACK or name.startswith("OVERREAD_KAFKA_")
