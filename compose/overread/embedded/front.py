"""What the HTTP front and the services behind it are told: one secret, their sockets, and archive's read-only role."""

import json
from collections.abc import Mapping, Sequence

from overread.embedded.endpoints import Endpoints
from overread.embedded.postgres import ARCHIVE_READER

BEHIND: tuple[str, ...] = ("dicomweb", "ops", "assembly", "order_intake")
"""They have no port: only the front reaches them."""
_LOOKING_INTO_ARCHIVE = ("dicomweb", "ops")


def told(service: str, endpoints: Endpoints, services: Sequence[str]) -> Mapping[str, str]:
    """Return the settings that make `service` a part of the front or let it look into archive, none for others."""
    sockets = {name: str(endpoints.data.service_socket(f"{name}-http")) for name in BEHIND}
    shared = {"OVERREAD_FRONT_SECRET": endpoints.credentials.password("front")}
    if service == "review":
        return shared | {f"OVERREAD_{name.upper()}_SOCKET": socket for name, socket in sockets.items()}
    if service == "dicom_intake":
        return {"OVERREAD_ARCHIVE_DSN": endpoints.dsn(ARCHIVE_READER)}
    if service not in BEHIND:
        return {}
    watched = {name: str(endpoints.health_socket(name)) for name in services}
    return shared | {
        "OVERREAD_HTTP_SOCKET": sockets[service],
        **({"OVERREAD_ARCHIVE_DSN": endpoints.dsn(ARCHIVE_READER)} if service in _LOOKING_INTO_ARCHIVE else {}),
        **({"OVERREAD_OPS_WATCHED": json.dumps(watched)} if service == "ops" else {}),
    }
