"""What Overread makes of a message that it takes, in sentences: which order or patient event, and found where."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo

from overread.protocols.hl7.code_tables import meaning
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.order import OrderRequest, read_orders
from overread.protocols.hl7.order_controls import CONTROLS, Effect
from overread.protocols.hl7.order_groups import OrderGroup, order_groups
from overread.protocols.hl7.tokenise import Message

ORDERS = frozenset({"OMI", "ORM", "OMG"})
USUAL_PLACES = ("IPC-1", "OBR-18")

_SPOKEN_OF = (
    ("placer_order_number", "placer order number"),
    ("filler_order_number", "filler order number"),
)


_USES: Mapping[str, tuple[str, ...]] = {
    "ADT": ("What PID says of the patient is taken over; where the patient lies or left is passed over.",),
    "ADT^A40": ("The number in MRG-1 ends: its orders and cases go to the patient of PID-3.",),
    "ORU": (
        "Laboratory and bedside results are shown beside the studies of their patient.",
        "A radiologist's final report closes what we have for its study as read elsewhere.",
    ),
    "SIU": ("It is a note of its order: when the examination is booked. It makes no order.",),
}
"""What other messages are for, by MSH-9."""


def name_of(message: Message) -> str:
    """Say what a message is by MSH-9, as in ``OMI^O23, imaging order``."""
    code, event = message.header.message_code, message.header.trigger_event
    of_event, of_code = meaning("HL70003", event), meaning("HL70076", code)
    known = of_event if code in {"ADT", "SIU"} or not of_code else of_code
    return f"{code}^{event}, {known}" if known else f"{code}^{event}"


def taken_as(
    message: Message, *, time_zone: tzinfo, accession_places: tuple[str, ...] = USUAL_PLACES
) -> tuple[str, ...]:
    """Say what becomes of a message that is taken; of an order, what was found in it, and where."""
    code = message.header.message_code
    if code not in ORDERS:
        return _USES.get(f"{code}^{message.header.trigger_event}") or _USES.get(code, ())
    found = read_orders(message, time_zone=time_zone, accession_places=accession_places)
    return tuple(
        sentence
        for number, request in enumerate(found, start=1)
        for sentence in _about(message, request, number, len(found), time_zone, accession_places)
    )


def _about(
    message: Message, request: OrderRequest, number: int, of: int, time_zone: tzinfo, places: tuple[str, ...]
) -> Iterator[str]:
    control = str(request.order_control)
    which = f"Order {number} of {of}: " if of > 1 else ""
    yield f"{which}ORC-1 is {control}: {meaning('HL70119', control) or 'an order control'}."
    for name, said in _SPOKEN_OF:
        identifier = getattr(request, name)
        if identifier:
            by = f", given by {identifier.namespace_id}" if identifier.namespace_id else ""
            yield f"The {said} is {identifier.entity_identifier}{by}."
    if request.accession_number is None and request.study_instance_uid is None:
        yield _without_images(request, places)
    else:
        yield _accession(message, request, time_zone, places)
        yield _study(message, request)
    yield from _asked_for(request)


def _without_images(request: OrderRequest, places: tuple[str, ...]) -> str:
    if CONTROLS[request.order_control].effect is not Effect.OPENS:
        return "It names no images, and needs not: it is about the order that is known by its number."
    return (
        f"No accession number was found in {' or '.join(places)}, and no Study Instance UID in IPC-3 or ZDS-1: no image "
        "finds this order by itself, a person has to link them at the desk. Where the number is kept elsewhere, name "
        "the place in the link's accession_places."
    )


def _accession(message: Message, request: OrderRequest, time_zone: tzinfo, places: tuple[str, ...]) -> str:
    looked = " or ".join(places)
    if request.accession_number is None:
        return (
            f"No accession number was found in {looked}: images find this order by their Study Instance UID, "
            "or a person links them at the desk."
        )
    place = _found_in(message, request.accession_number, time_zone, places)
    return f"The accession number {request.accession_number} was found in {place}."


def _found_in(message: Message, accession_number: str, time_zone: tzinfo, places: tuple[str, ...]) -> str:
    """Name the first place that gives this number when it is the only one looked at."""
    for place in places:
        alone = read_orders(message, time_zone=time_zone, accession_places=(place,))
        if accession_number in {request.accession_number for request in alone}:
            return place
    return " or ".join(places)


def _study(message: Message, request: OrderRequest) -> str:
    if request.study_instance_uid is None:
        return "No Study Instance UID was found in IPC-3 or ZDS-1; the accession number alone leads images here."
    ipcs = [ipc.text(3) for group in _groups(message) for ipc in group.ipcs]
    place = "IPC-3" if request.study_instance_uid in ipcs else "ZDS-1"
    return f"The Study Instance UID was found in {place}."


def _groups(message: Message) -> Sequence[OrderGroup]:
    try:
        return order_groups(message)
    except HL7Error:
        return ()


def _asked_for(request: OrderRequest) -> Iterator[str]:
    service = request.universal_service_identifier
    if service:
        text = f" ({service.text})" if service.text else ""
        yield f"What is asked for (OBR-4): {service.identifier or 'no code'}{text}."
    if request.modality:
        yield f"The modality is {request.modality}."
    if request.priority:
        known = meaning("HL70485", request.priority)
        yield f"The priority is {request.priority}{f', {known}' if known else ''}."
