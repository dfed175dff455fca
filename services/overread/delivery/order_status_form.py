"""What becomes of an order by its report: completed once it is signed, to be read anew when that is taken back."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from overread.contracts.identifiers import nfc
from overread.delivery import oru_form
from overread.delivery.destinations import Hl7Destination
from overread.delivery.sequence import Status
from overread.delivery.telling import Telling, Written
from overread.delivery.templates import Hl7Form
from overread.protocols import mllp
from overread.protocols.hl7 import order_status
from overread.protocols.hl7.order_status import OrderStatus, StatusContent
from overread.protocols.hl7.oru_content import differences

FORM = Hl7Form.ORDER_STATUS.value

TOLD: Mapping[Status, OrderStatus] = {
    Status.FINAL: OrderStatus.COMPLETED,
    Status.CORRECTED: OrderStatus.COMPLETED,
    Status.WITHDRAWN: OrderStatus.IN_PROCESS,
}
"""What nobody has signed changes no order."""


class OrderStatusForm:
    """ORM^O01 v2.5.1 with ORC-1 SC, one for each order that has a number."""

    def write(self, telling: Telling[Hl7Destination]) -> Iterator[Written[StatusContent]]:
        """Yield one message for each order with a number, once signed."""
        told = TOLD.get(telling.status)
        for order in telling.orders if told else ():
            own_id = oru_form.own_id_of(telling, FORM, order)
            result = replace(
                oru_form.content_for(telling, order), message_control_id=oru_form.message_control_id_of(own_id)
            )
            if told is None or not (result.placer_order_number or result.filler_order_number):
                continue
            meant = order_status.content_of(result, told)
            message = order_status.render(result, told, telling.destination.template.layout)
            mllp.encode(message)
            yield Written(
                form=FORM, message=message, message_control_id=result.message_control_id, meant=meant, order=order
            )

    def unlike(self, written: Written[StatusContent], telling: Telling[Hl7Destination]) -> Iterator[str]:
        """Compare the message with what was meant, and patient, order and state with what was signed."""
        said = order_status.read_back(written.message, telling.destination.template.layout)
        yield from differences(written.meant, said)
        if said.order_status is not TOLD.get(telling.status):
            yield "order status"
        if oru_form.said_patient(said.patient) != oru_form.patient_in(telling):
            yield "patient"
        order = written.order
        placer = nfc(said.placer_order_number.entity_identifier if said.placer_order_number else "")
        if order is None or placer != nfc(order.placer_order_number):
            yield "order"
        yield from oru_form.unlike_accession(said.accession_number, said.filler_order_number, telling, order)
