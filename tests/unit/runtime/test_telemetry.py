"""Logs hold ids, not people (STYLE 22)."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import ValidationError

from overread.contracts.errors import Malformed
from overread.contracts.events.orders import Patient
from overread.runtime.telemetry import (
    TRACER,
    OwnSpans,
    _OneLine,
    child_traceparent,
    configure_logging,
    described,
    new_traceparent,
    parent_context,
)

NAME = "THỬ NGHIỆM"


def a_failure() -> ValidationError:
    """Return an error that holds a patient's data in its text and in its frames' variables."""
    family_name = NAME
    try:
        Patient.model_validate({"identifiers": family_name, "family_name": family_name})
    except ValidationError as error:
        return error
    raise AssertionError


def test_a_failure_is_logged_by_type_and_place_only() -> None:
    """Neither the error's text nor any variable may reach a log: pydantic and the database quote values."""
    said = json.dumps(described(a_failure()), ensure_ascii=False)

    assert NAME not in said
    assert "ValidationError" in said
    assert "test_telemetry.py" in said


def test_our_own_errors_say_what_they_mean() -> None:
    """Their texts promise to name nobody."""
    assert described(Malformed("no order number"))["message"] == "no order number"


def test_causes_and_groups_are_described_too() -> None:
    """The reason is often one level below."""
    caused = Malformed("not JSON")
    caused.__cause__ = a_failure()

    said = json.dumps(described(ExceptionGroup("two", [caused, KeyError(NAME)])), ensure_ascii=False)

    assert NAME not in said
    assert all(word in said for word in ("KeyError", "ValidationError", "not JSON"))


@pytest.fixture
def _configuration_put_back() -> Iterator[None]:
    """Leave logging as it was."""
    before, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    logging.getLogger().handlers = handlers


@pytest.mark.usefixtures("_configuration_put_back")
def test_service_log_is_one_json_object_a_line_without_values(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole chain, as a service configures it."""
    configure_logging("test", "INFO")
    log = structlog.get_logger("fresh")
    try:
        raise a_failure()
    except ValidationError:
        log.exception("handler_failed", offset=7)

    line = capsys.readouterr().err.strip()
    said = json.loads(line)
    assert (said["event"], said["offset"], said["failure"]["type"]) == ("handler_failed", 7, "ValidationError")
    assert NAME not in json.dumps(said, ensure_ascii=False)


def test_libraries_records_lose_the_text_of_their_exceptions() -> None:
    """asyncio prints a lost task's exception in the lines after its first sentence."""
    failure = a_failure()
    record = logging.LogRecord(
        "asyncio", logging.ERROR, "", 0, "Task failed\nfuture: %r", (failure,), (type(failure), failure, None)
    )

    said = json.loads(_OneLine().format(record))

    assert said["event"] == "Task failed"
    assert NAME not in json.dumps(said, ensure_ascii=False)


def test_a_child_span_stays_in_its_trace() -> None:
    """Follow one study by one trace (W3C Trace Context, 3.2)."""
    parent = new_traceparent()
    child = child_traceparent(parent)

    assert child[:36] == parent[:36]
    assert child != parent
    assert len(child) == 55
    assert parent_context(child)


def test_only_our_own_spans_are_exported() -> None:
    """A library's span of a request would carry the accession number that somebody looked for."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(OwnSpans(exporter))

    for name in ("fastapi", TRACER):
        with provider.get_tracer(name).start_as_current_span(f"of {name}", attributes={"url.query": "accession=1"}):
            pass
    provider.shutdown()

    assert [span.name for span in exporter.get_finished_spans()] == ["of overread"]
