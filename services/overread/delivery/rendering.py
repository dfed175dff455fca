"""A report as the messages that one destination gets: rendered once, kept as bytes from then on."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from overread.contracts import codec
from overread.contracts.identifiers import deterministic_id
from overread.delivery import oru_form
from overread.delivery.forms import forms_for
from overread.delivery.telling import Form, OutboundMessage, Telling, Written


def written(telling: Telling[Any]) -> Iterator[tuple[Form[Any, Any], Written[Any]]]:
    """Yield each message in each form that the destination gets, in the order of sending."""
    for form in forms_for(telling.destination, telling.status):
        for message in form.write(telling):
            yield form, message


def outbound(message: Written[Any], telling: Telling[Any]) -> OutboundMessage:
    """Return what is kept of a message: the bytes that will be sent, and what they were made from."""
    document = telling.document
    return OutboundMessage(
        delivery_id=_delivery_id(message, telling),
        destination=telling.destination.name,
        form=message.form,
        case_id=document.case_id,
        report_id=document.report_id,
        report_revision=document.report_revision,
        order_id=message.order.order_id if message.order else None,
        status=telling.status,
        message=message.message,
        message_digest=codec.sha256(message.message),
        message_control_id=message.message_control_id,
        document=telling.raw,
    )


def messages_for(telling: Telling[Any]) -> tuple[OutboundMessage, ...]:
    """Return all that the destination is told; raise an `OverreadError` when a form of it can't say it."""
    return tuple(outbound(message, telling) for _, message in written(telling))


def _delivery_id(message: Written[Any], telling: Telling[Any]) -> UUID:
    if message.form == oru_form.FORM:
        return oru_form.delivery_id_of(telling, message.order)
    document = telling.document
    report = (document.site_id, str(document.report_id), str(document.report_revision))
    what = (telling.destination.name, telling.status.value, message.form, message.message_control_id)
    return deterministic_id("delivery", *report, *what)
