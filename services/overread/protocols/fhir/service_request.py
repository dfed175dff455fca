"""ServiceRequest (FHIR R4) to a statement about an order, with what it refers to: patient, encounter, requester. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from pydantic import ValidationError

from overread.contracts.events.order_statements import OrderAction, OrderNumber, OrderStatement, RequestPriority
from overread.contracts.events.orders import CodedElement
from overread.protocols.fhir.authorities import authority_of, coding_system_of
from overread.protocols.fhir.codes import CODE_SYSTEMS, DICOM_UID_SYSTEM
from overread.protocols.fhir.elements import Element, FhirFault, NotUnderstood
from overread.protocols.fhir.persons import patient_of, practitioner_of

Resolve = Callable[[str], Element | None]
"""Returns the resource that a reference names, None where it did not come along."""

ACTIONS: Mapping[str, OrderAction] = {
    "active": OrderAction.NEW,
    "on-hold": OrderAction.HOLD,
    "revoked": OrderAction.CANCEL,
    "entered-in-error": OrderAction.CANCEL,
    "completed": OrderAction.COMPLETE,
}
"""What ServiceRequest.status makes of an order. `active` also releases one on hold, as a new order does in HL7 v2."""

_NO_ORDER_YET = {
    "draft": "A draft is no order yet: it is not kept. Send it when it is active.",
    "unknown": "This status says nothing: send the one that is known.",
}
ORDERING_INTENTS = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order"})
_CLASSES = {"AMB": "O", "IMP": "I", "ACUTE": "I", "NONAC": "I", "EMER": "E", "PRENC": "P", "SS": "O", "OBSENC": "O"}
"""Encounter.class (v3-ActCode) as PV1-2 (table HL70004)."""

_TEST = "HTEST"
_PLACES = {
    "placer": "identifier",
    "filler": "identifier",
    "accession_number": "identifier",
    "study_instance_uid": "identifier",
    "service": "code",
    "modality": "orderDetail",
    "body_part": "bodySite",
    "patient": "subject",
    "clinical_information": "reasonCode",
    "ordering_provider": "requester",
    "parent": "basedOn",
    "replaces": "replaces",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the site calls the systems of others, and its time zone, for days without a time."""

    systems: Mapping[str, str]
    time_zone: tzinfo


def place_of(field: str) -> str:
    """Return the element of ServiceRequest that a field of the statement is read from."""
    return _PLACES.get(field, field)


def read(request: Element, resolve: Resolve, names: Names) -> OrderStatement:
    """Return what `request` says of its order, or raise `NotUnderstood` with the first element for which it says nothing."""
    request.must_not_change_meaning()
    action = _action(request)
    numbers = _numbers(request, names)
    encounter = _referred(request, "encounter", resolve)
    try:
        return OrderStatement(
            action=action,
            stated_at=_stated_at(request, names),
            **numbers,
            service=_service(request, names),
            modality=_modality(request),
            body_part=_first_code(request, "bodySite", names),
            priority=_priority(request),
            scheduled_at=_scheduled_at(request, names),
            patient=patient_of(request, resolve, names.systems),
            ordering_provider=practitioner_of(request, "requester", resolve),
            visit_number=_visit_number(request, encounter),
            patient_class=_patient_class(encounter),
            patient_location=_location(encounter),
            clinical_information=_clinical_information(request),
            parent=_order_named(request, "basedOn", resolve, names),
            replaces=_order_named(request, "replaces", resolve, names),
            is_synthetic=_is_test(request),
        )
    except ValidationError as error:
        raise _not_valid(request, error) from None


def _not_valid(request: Element, error: ValidationError) -> NotUnderstood:
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = request.at(place_of(str(fault["loc"][0]))) if fault["loc"] else request.expression
    return NotUnderstood(FhirFault(place, "value", f"{fault['msg'].removeprefix('Value error, ')}."))


def _action(request: Element) -> OrderAction:
    status, intent = request.text("status"), request.text("intent")
    if status in _NO_ORDER_YET:
        raise NotUnderstood(FhirFault(request.at("status"), "business-rule", _NO_ORDER_YET[status]))
    if status not in ACTIONS:
        sentence = f"The status must be one of {', '.join(ACTIONS)}."
        raise NotUnderstood(FhirFault(request.at("status"), "code-invalid", sentence))
    if intent not in ORDERING_INTENTS:
        sentence = f"Only an order is taken: the intent must be one of {', '.join(sorted(ORDERING_INTENTS))}."
        raise NotUnderstood(FhirFault(request.at("intent"), "business-rule", sentence))
    if request.value.get("doNotPerform"):
        sentence = "A request not to do something is no order."
        raise NotUnderstood(FhirFault(request.at("doNotPerform"), "business-rule", sentence))
    return ACTIONS[status]


def _numbers(request: Element, names: Names) -> dict[str, OrderNumber | str | None]:
    """Return the numbers by their types (table HL70203); one without a type is the placer's."""
    found: dict[str, OrderNumber | str | None] = {}
    for identifier in request.elements("identifier"):
        value, number = identifier.text("value"), _number(identifier, names)
        kinds = {coding.text("code") for coding in identifier.codings("type")}
        if not value or identifier.text("use") == "old":
            continue
        if identifier.text("system") == DICOM_UID_SYSTEM:
            found.setdefault("study_instance_uid", value.removeprefix("urn:oid:"))
        elif "ACSN" in kinds:
            found.setdefault("accession_number", value)
        elif "FILL" in kinds:
            found.setdefault("filler", number)
        elif "PLAC" in kinds:
            found["placer"] = number
        elif not kinds:
            found.setdefault("placer", number)
    return found


def _number(identifier: Element, names: Names) -> OrderNumber | None:
    value = identifier.text("value")
    try:
        return OrderNumber(number=value, namespace=authority_of(identifier, names.systems)) if value else None
    except ValidationError:
        raise NotUnderstood(FhirFault(identifier.at("value"), "value", "This number is too long.")) from None


def _order_named(request: Element, name: str, resolve: Resolve, names: Names) -> OrderNumber | None:
    """Return the number of the first order that is referred to, by identifier, or by what came along."""
    for reference in request.elements(name):
        if (identifier := reference.element("identifier")) and (number := _number(identifier, names)):
            return number
        other = resolve(reference.text("reference"))
        if other is not None and other.kind == "ServiceRequest":
            numbers = _numbers(other, names)
            own = numbers.get("placer") or numbers.get("filler")
            if isinstance(own, OrderNumber):
                return own
    return None


def _stated_at(request: Element, names: Names) -> object:
    """Return when the sender's record last changed (meta.lastUpdated); authoredOn stays the same through every change."""
    meta = request.element("meta")
    return meta.moment("lastUpdated", names.time_zone) if meta else None


def _service(request: Element, names: Names) -> CodedElement | None:
    code = request.element("code")
    if code is None:
        return None
    found = _first_code(request, "code", names)
    text = code.text("text")
    return found.model_copy(update={"text": found.text or text}) if found else CodedElement(identifier="", text=text)


def _first_code(request: Element, name: str, names: Names) -> CodedElement | None:
    """Return the coding that a person chose, else the first that has a code."""
    codings = [coding for coding in request.codings(name) if coding.text("code")]
    chosen = next((coding for coding in codings if coding.value.get("userSelected") is True), None)
    coding = chosen or next(iter(codings), None)
    if coding is None:
        return None
    system = coding_system_of(coding, names.systems)
    return CodedElement(identifier=coding.text("code"), text=coding.text("display"), coding_system=system)


def _modality(request: Element) -> str | None:
    """Return the first code of DICOM's own, wherever R4 gives it room; there is no element of that name."""
    for name in ("orderDetail", "category", "code", "performerType"):
        for coding in request.codings(name):
            code = coding.text("code")
            if coding.text("system") == CODE_SYSTEMS["DCM"] and 0 < len(code) <= 3:
                return code
    return None


def _priority(request: Element) -> RequestPriority | None:
    said = request.text("priority")
    if not said:
        return None
    if said not in set(RequestPriority):
        sentence = f"The priority must be one of {', '.join(RequestPriority)}."
        raise NotUnderstood(FhirFault(request.at("priority"), "code-invalid", sentence))
    return RequestPriority(said)


def _scheduled_at(request: Element, names: Names) -> object:
    period = request.element("occurrencePeriod")
    return request.moment("occurrenceDateTime", names.time_zone) or (
        period.moment("start", names.time_zone) if period else None
    )


def _visit_number(request: Element, encounter: Element | None) -> str | None:
    reference = request.element("encounter")
    named = reference.element("identifier") if reference else None
    identifiers = [*(encounter.elements("identifier") if encounter else []), *([named] if named else [])]
    numbers = (identifier.text("value") for identifier in identifiers)
    return next((number for number in numbers if number), None)


def _patient_class(encounter: Element | None) -> str | None:
    coding = encounter.element("class") if encounter else None
    code = coding.text("code") if coding else ""
    return _CLASSES.get(code, code) or None


def _location(encounter: Element | None) -> str | None:
    """Return the name of the last place: a patient moves on."""
    places = encounter.elements("location") if encounter else []
    references = [place.element("location") for place in places]
    displays = [reference.text("display") for reference in references if reference]
    return next((display for display in reversed(displays) if display), None)


def _clinical_information(request: Element) -> str | None:
    said = [reason.text("text") or _displays(reason) for reason in request.elements("reasonCode")]
    said += [note.text("text") for note in request.elements("note")]
    return "\n".join(text for text in said if text) or None


def _displays(concept: Element) -> str:
    return ", ".join(coding.text("display") for coding in concept.elements("coding") if coding.text("display"))


def _is_test(request: Element) -> bool:
    meta = request.element("meta")
    return any(coding.text("code") == _TEST for coding in (meta.elements("security") if meta else ()))


def _referred(request: Element, name: str, resolve: Resolve) -> Element | None:
    reference = request.element(name)
    return resolve(reference.text("reference")) if reference else None
