"""The other doors of a machine that runs the whole of Overread: no link may have the port of one."""

from collections.abc import Mapping

from overread.hl7_intake.settings import HL7IntakeSettings

HIGHEST_PORT = 65_535

SERVERS: Mapping[int, str] = {
    18_000: "Triton",
    18_001: "Triton",
    18_002: "Triton",
    19_092: "Kafka",
    19_093: "Kafka",
}
"""Ports of the servers that are not of Overread, before the offset."""

_LOOPBACK = ("127.", "localhost:", "[::1]:")


def neighbour_at(port: int, settings: HL7IntakeSettings) -> str:
    """Name what has this port, before the offset; empty when nothing has, or when the broker is another machine's."""
    if not settings.kafka_bootstrap.startswith(_LOOPBACK):
        return ""
    return neighbours(settings).get(port, "")


def neighbours(settings: HL7IntakeSettings) -> Mapping[int, str]:
    """Return each port with what has it."""
    return {
        **SERVERS,
        settings.http_port: "HTTP",
        settings.dicom_port: "DICOM",
        settings.dicom_tls_port: "DICOM over TLS",
    }
