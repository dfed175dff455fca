"""Structured logs without patient data, traces by W3C trace context, and every metric with its meaning."""

import json
import logging
import secrets
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from prometheus_client import Counter, Gauge, Histogram

from overread.contracts.errors import OverreadError

CONSUMED = Counter("overread_consumed_records_total", "Records whose effects were committed", ["topic"])
PUBLISHED = Counter("overread_published_records_total", "Records acknowledged by the broker", ["topic"])
DEAD_LETTERS = Counter("overread_dead_letters_total", "Records set aside, by kind of reason", ["topic", "kind"])
PAUSED = Gauge("overread_consumption_paused", "1 while a dependency is away and the topic waits", ["topic"])
BATCH_SECONDS = Histogram("overread_batch_seconds", "Time to handle and commit one batch", ["topic"])
OUTBOX_WAITING = Gauge("overread_outbox_waiting_records", "Rows of the outbox not yet acknowledged by the broker")
OUTBOX_REFUSED = Counter("overread_outbox_refused_total", "Events too large for the broker, kept and marked", ["topic"])
HL7_ACKNOWLEDGED = Counter("overread_hl7_acknowledged_total", "HL7 v2 messages answered, by code", ["link", "code"])
HL7_CONNECTIONS = Gauge("overread_hl7_connections", "Open connections that have said which link they use", ["link"])
HL7_TURNED_AWAY = Counter(
    "overread_hl7_connections_refused_total",
    "Connections closed at once; no link when none allows the address",
    ["link"],
)
ORDERS_TAKEN = Counter("overread_orders_taken_total", "Statements about orders that are kept, by form", ["form"])
ORDER_SOURCE_ITEMS = Counter(
    "overread_order_source_items_total",
    "Rows of files and items of worklists, by what became of them",
    ["link", "outcome"],
)
ORDER_SOURCE_AWAY = Gauge("overread_order_source_away", "1 while a link's folder or RIS can't be read", ["link"])
DICOM_STORED = Counter("overread_dicom_instances_total", "C-STORE requests answered, by status", ["status"])
JOBS_WAITING = Gauge("overread_inference_jobs_waiting", "Jobs that could start if a slot were free", ["model"])
BACKLOG_SECONDS = Gauge("overread_inference_backlog_seconds", "Waiting jobs times measured service time", ["model"])
INFERENCE_SECONDS = Histogram("overread_inference_seconds", "Time of one job from claim to result", ["model"])
GATE_DECISIONS = Counter("overread_gate_decisions_total", "Signed reports that delivery's gate judged", ["verdict"])
DELIVERIES_ENDED = Counter("overread_deliveries_ended_total", "Messages that ended", ["destination", "outcome"])
DELIVERIES_POSTPONED = Counter(
    "overread_deliveries_postponed_total", "Refusals that will be tried again", ["destination"]
)
DELIVERIES_OPEN = Gauge("overread_deliveries_open", "Messages a destination has not acknowledged yet", ["destination"])
DELIVERIES_HELD = Gauge("overread_deliveries_held", "Refused messages that wait for an operator", ["destination"])
DESTINATION_AWAY = Gauge("overread_destination_away", "1 while a destination does not answer", ["destination"])
DESTINATION_BREAKER = Gauge(
    "overread_destination_breaker", "0 closed, 1 half open (a probe is under way), 2 open: left alone", ["destination"]
)

BROKER_LOGGER = "overread.broker"
TRACER = "overread"

log: structlog.stdlib.BoundLogger = structlog.get_logger("overread")


def described(error: BaseException) -> dict[str, object]:
    """Say what failed and where, without the error's text or any variable: either may hold a patient's data.

    The texts of our own errors are kept: they promise to name nobody.
    """
    frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)[-8:]]
    said: dict[str, object] = {"type": type(error).__name__, "frames": frames}
    if isinstance(error, OverreadError):
        said["message"] = str(error)
    if isinstance(error, BaseExceptionGroup):
        said["errors"] = [described(part) for part in error.exceptions]
    if error.__cause__ is not None:
        said["cause"] = described(error.__cause__)
    return said


def without_values(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Replace `exc_info` by what may be logged of it (a structlog processor)."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        event["failure"] = described(error)
    return event


class _OneLine(logging.Formatter):
    """Libraries' own records as JSON: their sentence up to its first line end, and of an exception what we log of ours."""

    def format(self, record: logging.LogRecord) -> str:
        sentence = record.getMessage().split("\n", 1)[0]
        said: dict[str, object] = {"event": sentence, "level": record.levelname.lower(), "logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            said["failure"] = described(record.exc_info[1])
        return json.dumps(said)


def configure_logging(service: str, level: str) -> None:
    """Write one JSON object a line to stderr: ids and counts, never a name, a number of a patient, or a payload."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger(BROKER_LOGGER).setLevel(logging.ERROR)  # its warning, that topics are not created, is our wish
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_values,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


class OwnSpans(BatchSpanProcessor):
    """Lets only our own spans leave: a library's, as FastAPI's, name what was asked for, down to the query's values."""

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span of ours for the next export, and drop any other."""
        if span.instrumentation_scope is not None and span.instrumentation_scope.name == TRACER:
            super().on_end(span)


def configure_tracing(service: str, otlp_endpoint: str | None) -> None:
    """Make this process's spans; they leave it only when a collector is named."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"overread.{service}"}))
    if otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - costs time

        provider.add_span_processor(OwnSpans(OTLPSpanExporter(endpoint=otlp_endpoint)))
    trace.set_tracer_provider(provider)


def new_traceparent() -> str:
    """Begin a trace: the value of a W3C traceparent header."""
    random = secrets.token_hex(24)
    return f"00-{random[:32]}-{random[32:]}-01"


def child_traceparent(parent: str) -> str:
    """Return a new span of the same trace."""
    return f"{parent[:36]}{secrets.token_hex(8)}{parent[-3:]}"


def parent_context(traceparent: str) -> Context:
    """Return `traceparent` as the OpenTelemetry context to start a span in."""
    _, trace_id, span_id, flags = traceparent.split("-")
    remote = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return trace.set_span_in_context(NonRecordingSpan(remote))


def tracer() -> trace.Tracer:
    """Return the tracer of this process."""
    return trace.get_tracer(TRACER)
