"""What Overread makes of a message that it takes, in sentences: which order or patient event, and found where."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.order import OrderRequest, read_orders
from overread.protocols.hl7.order_controls import CONTROLS, Effect
from overread.protocols.hl7.order_groups import OrderGroup, order_groups
from overread.protocols.hl7.sentences import Language
from overread.protocols.hl7.tokenise import Message
from overread.protocols.hl7.words import meaning_in, say

ORDERS = frozenset({"OMI", "ORM", "OMG"})
USUAL_PLACES = ("IPC-1", "OBR-18")

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


def name_of(message: Message, language: Language = "en") -> str:
    """Say what a message is by MSH-9, as in ``OMI^O23, imaging order``."""
    code, event = message.header.message_code, message.header.trigger_event
    of_event, of_code = meaning_in(language, "HL70003", event), meaning_in(language, "HL70076", code)
    known = of_event if code in {"ADT", "SIU"} or not of_code else of_code
    return f"{code}^{event}, {known}" if known else f"{code}^{event}"


def taken_as(
    message: Message,
    *,
    time_zone: tzinfo,
    accession_places: tuple[str, ...] = USUAL_PLACES,
    language: Language = "en",
) -> tuple[str, ...]:
    """Say what becomes of a message that is taken; of an order, what was found in it, and where."""
    code = message.header.message_code
    if code not in ORDERS:
        uses = _USES.get(f"{code}^{message.header.trigger_event}") or _USES.get(code, ())
        return tuple(say(language, use) for use in uses)
    found = read_orders(message, time_zone=time_zone, accession_places=accession_places)
    teller = _Teller(message, time_zone, accession_places, language)
    return tuple(
        sentence
        for number, request in enumerate(found, start=1)
        for sentence in teller.about(request, number, len(found))
    )


@dataclass(frozen=True, slots=True)
class _Teller:
    """Tells of one message's orders."""

    message: Message
    time_zone: tzinfo
    places: tuple[str, ...]
    language: Language

    def about(self, request: OrderRequest, number: int, of: int) -> Iterator[str]:
        first = self._control(request)
        template = "Order {number} of {of}: {sentence}"
        yield self._say(template, number=number, of=of, sentence=first) if of > 1 else first
        yield from self._numbers(request)
        if request.accession_number is None and request.study_instance_uid is None:
            yield self._without_images(request)
        else:
            yield self._accession(request)
            yield self._study(request)
        yield from self._asked_for(request)

    def _say(self, template: str, **values: object) -> str:
        return say(self.language, template, **values)

    def _control(self, request: OrderRequest) -> str:
        control = str(request.order_control)
        meaning = meaning_in(self.language, "HL70119", control) or self._say("an order control")
        return self._say("ORC-1 is {control}: {meaning}.", control=control, meaning=meaning)

    def _numbers(self, request: OrderRequest) -> Iterator[str]:
        if placer := request.placer_order_number:
            if placer.namespace_id:
                sentence = "The placer order number is {number}, given by {namespace}."
                yield self._say(sentence, number=placer.entity_identifier, namespace=placer.namespace_id)
            else:
                yield self._say("The placer order number is {number}.", number=placer.entity_identifier)
        if filler := request.filler_order_number:
            if filler.namespace_id:
                sentence = "The filler order number is {number}, given by {namespace}."
                yield self._say(sentence, number=filler.entity_identifier, namespace=filler.namespace_id)
            else:
                yield self._say("The filler order number is {number}.", number=filler.entity_identifier)

    def _one_of(self, places: Iterable[str]) -> str:
        return f" {self._say('or')} ".join(places)

    def _without_images(self, request: OrderRequest) -> str:
        if CONTROLS[request.order_control].effect is not Effect.OPENS:
            return self._say("It names no images, and needs not: it is about the order that is known by its number.")
        return self._say(
            "No accession number was found in {places}, and no Study Instance UID in IPC-3 or ZDS-1: no image finds this "
            "order by itself, a person has to link them at the desk. Where the number is kept elsewhere, name the place in "
            "the link's accession_places.",
            places=self._one_of(self.places),
        )

    def _accession(self, request: OrderRequest) -> str:
        if request.accession_number is None:
            return self._say(
                "No accession number was found in {places}: images find this order by their Study Instance UID, or a "
                "person links them at the desk.",
                places=self._one_of(self.places),
            )
        sentence = "The accession number {number} was found in {place}."
        place = self._found_in(request.accession_number)
        return self._say(sentence, number=request.accession_number, place=place)

    def _found_in(self, accession_number: str) -> str:
        """Name the first place that gives this number when it is the only one looked at."""
        for place in self.places:
            alone = read_orders(self.message, time_zone=self.time_zone, accession_places=(place,))
            if accession_number in {request.accession_number for request in alone}:
                return place
        return self._one_of(self.places)

    def _study(self, request: OrderRequest) -> str:
        if request.study_instance_uid is None:
            return self._say(
                "No Study Instance UID was found in IPC-3 or ZDS-1; the accession number alone leads images here."
            )
        ipcs = [ipc.text(3) for group in _groups(self.message) for ipc in group.ipcs]
        place = "IPC-3" if request.study_instance_uid in ipcs else "ZDS-1"
        return self._say("The Study Instance UID was found in {place}.", place=place)

    def _asked_for(self, request: OrderRequest) -> Iterator[str]:
        if service := request.universal_service_identifier:
            text = f" ({service.text})" if service.text else ""
            said = f"{service.identifier or self._say('no code')}{text}"
            yield self._say("What is asked for (OBR-4): {service}.", service=said)
        if request.modality:
            yield self._say("The modality is {modality}.", modality=request.modality)
        if request.priority:
            yield self._priority(request.priority)

    def _priority(self, priority: str) -> str:
        meaning = meaning_in(self.language, "HL70485", priority)
        if not meaning:
            return self._say("The priority is {priority}.", priority=priority)
        return self._say("The priority is {priority}, {meaning}.", priority=priority, meaning=meaning)


def _groups(message: Message) -> Sequence[OrderGroup]:
    try:
        return order_groups(message)
    except HL7Error:
        return ()
