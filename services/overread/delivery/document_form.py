"""Signed reports as documents: MDM^T02 for the first, MDM^T10 for what replaces one, also for a withdrawal."""

from collections.abc import Iterator
from dataclasses import replace

from overread.contracts.events import orders as contract
from overread.contracts.identifiers import deterministic_id
from overread.delivery import attachments, oru_form
from overread.delivery.attachments import attachments_of
from overread.delivery.destinations import Hl7Destination
from overread.delivery.sequence import Position, Status
from overread.delivery.telling import Telling, Written
from overread.delivery.templates import Hl7Form
from overread.protocols import mllp
from overread.protocols.hl7 import mdm
from overread.protocols.hl7.data_types import EntityIdentifier, Visit
from overread.protocols.hl7.mdm import DocumentContent
from overread.protocols.hl7.oru_content import Attachment, differences

FORM = Hl7Form.MDM.value
UNKNOWN_CLASS = Visit(patient_class="U")
"""PV1 is required in MDM_T02; U is unknown (table HL70004)."""

Order = contract.ServiceRequest | None


class DocumentForm:
    """MDM v2.5.1 (HL7 v2.5.1, 9.6): what nobody has signed is no document, and is not written."""

    def write(self, telling: Telling[Hl7Destination]) -> Iterator[Written[DocumentContent]]:
        """Yield one document for each order, once signed; raise `NotRenderable` when HL7 can't say it."""
        if not telling.status.is_signed:
            return
        attached = attachments_of(telling)
        for order in telling.orders or (None,):
            content = _content(telling, order, attached)
            message = mdm.render(content, telling.destination.layout)
            mllp.encode(message)
            control_id = content.result.message_control_id
            yield Written(form=FORM, message=message, message_control_id=control_id, meant=content, order=order)

    def unlike(self, written: Written[DocumentContent], telling: Telling[Hl7Destination]) -> Iterator[str]:
        """Compare the document with what was meant, and with what was signed."""
        said = mdm.read_back(written.message, telling.destination.layout)
        yield from differences(written.meant, said)
        yield from oru_form.unlike_document(said.result, telling, written.order)
        yield from attachments.unlike(said.result.attachments, telling)


def _content(telling: Telling[Hl7Destination], order: Order, attached: tuple[Attachment, ...]) -> DocumentContent:
    document = telling.document
    result = oru_form.content_for(telling, order)
    own_id = oru_form.own_id_of(telling, FORM, order)
    own = Position(report_revision=document.report_revision, status=telling.status)
    return DocumentContent(
        result=replace(
            result,
            message_control_id=oru_form.message_control_id_of(own_id),
            visit=result.visit or UNKNOWN_CLASS,
            attachments=attached,
        ),
        document_number=_number(telling, order, own),
        replaces=_replaced(telling, order),
    )


def _replaced(telling: Telling[Hl7Destination], order: Order) -> EntityIdentifier | None:
    """Return the newest document about `order` that the destination has, else the newest from before it had an order."""
    kept = [before for before in telling.earlier if before.form == FORM and not before.was_refused]
    for about in dict.fromkeys((order, None)):
        own = [before for before in kept if before.message_control_id == _control_id(telling, about, before)]
        if own:
            return _number(telling, about, max(own, key=lambda before: before.rank))
    return None


def _control_id(telling: Telling[Hl7Destination], order: Order, position: Position) -> str:
    """Return MSH-10 of the document about `order` in an earlier position."""
    document = telling.document.model_copy(update={"report_revision": position.report_revision})
    then = replace(telling, document=document, status=position.status)
    return oru_form.message_control_id_of(oru_form.own_id_of(then, FORM, order))


def _number(telling: Telling[Hl7Destination], order: Order, position: Position) -> EntityIdentifier:
    """Return TXA-12 of a revision in a state: the same in every resend, and for every receiver."""
    document = telling.document
    what = (str(position.report_revision), Status(position.status).value, str(order.order_id if order else ""))
    number = deterministic_id("document", document.site_id, str(document.report_id), *what)
    return EntityIdentifier(
        entity_identifier=oru_form.message_control_id_of(number), namespace_id=telling.occasion.sending.application
    )
