"""Orders that come as anything but HL7 v2: one canonical statement about one order, and the bytes that it was read from."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, StringConstraints

from overread.contracts.envelope import Body, Value
from overread.contracts.events.orders import CodedElement, Patient
from overread.contracts.identifiers import AccessionNumber, PlacerOrderNumber, Sha256, StudyInstanceUid

LinkId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
MessageId = Annotated[str, StringConstraints(min_length=1, max_length=199, strip_whitespace=True)]
Short = Annotated[str, StringConstraints(max_length=64, strip_whitespace=True)]
Line = Annotated[str, StringConstraints(max_length=1_000, strip_whitespace=True)]
Paragraphs = Annotated[str, StringConstraints(max_length=16_000, strip_whitespace=True)]


class OrderAction(StrEnum):
    """What a statement does to its order; ORC-1 has the same in NW, XO, CA, DC, HD, RL and SC with ORC-5 CM."""

    NEW = "new"
    CHANGE = "change"
    CANCEL = "cancel"
    DISCONTINUE = "discontinue"
    HOLD = "hold"
    RELEASE = "release"
    COMPLETE = "complete"


class RequestPriority(StrEnum):
    """How soon (FHIR R4 request-priority): STAT is `S` of table HL70485, as soon as possible and urgent are `A`."""

    ROUTINE = "routine"
    URGENT = "urgent"
    ASAP = "asap"
    STAT = "stat"


class Clearable(StrEnum):
    """What a sender may ask to delete, which is not the same as not saying it (in HL7 v2 two double quotes)."""

    ACCESSION_NUMBER = "accession_number"
    STUDY_INSTANCE_UID = "study_instance_uid"
    PRIORITY = "priority"
    SCHEDULED_AT = "scheduled_at"
    ORDERING_PROVIDER = "ordering_provider"
    CLINICAL_INFORMATION = "clinical_information"


class OrderNumber(Value):
    """A number of an order and who gave it (EI; HL7 v2.5.1, 2A.28)."""

    number: PlacerOrderNumber
    namespace: Line = ""


class OrderStatement(Value):
    """What a sender says of one order; what is absent is not said, and stays as it was.

    `stated_at` is when the sender says so: statements about one order are put in sequence by it, whatever comes when
    (MSH-7 and ORC-9 in one); without it the moment of arrival counts. `placer` or `filler` names the order, `replaces`
    one that ends with this one, `parent` the one that this is a child of. `cleared` names what is to be deleted.
    """

    action: OrderAction
    patient: Patient
    stated_at: AwareDatetime | None = None
    placer: OrderNumber | None = None
    filler: OrderNumber | None = None
    accession_number: AccessionNumber | None = None
    study_instance_uid: StudyInstanceUid | None = None
    service: CodedElement | None = None
    modality: Short | None = None
    body_part: CodedElement | None = None
    priority: RequestPriority | None = None
    scheduled_at: AwareDatetime | None = None
    visit_number: Line | None = None
    patient_class: Short | None = None
    patient_location: Line | None = None
    ordering_provider: CodedElement | None = None
    clinical_information: Paragraphs | None = None
    parent: OrderNumber | None = None
    replaces: OrderNumber | None = None
    is_synthetic: bool = False
    cleared: tuple[Clearable, ...] = ()


class OrderForm(StrEnum):
    """How an order came."""

    JSON = "json"
    FHIR = "fhir"
    CSV = "csv"
    XML = "xml"
    MODALITY_WORKLIST = "mwl"
    KAFKA = "kafka"


class OrderOffered(Body):
    """A system that speaks Kafka offers a statement about an order: what its record on `orders.offered` holds.

    It is the record's whole value, without an envelope. `link_id` names the sender, and is best the record's key too: what
    shares a key keeps its order. `message_id` is the sender's own for this statement; without it the record's place counts,
    and a record that is written twice is two. Of the statement, null asks to delete a value and absent says nothing.
    """

    type: Literal["OrderOffered.v1"]
    link_id: LinkId
    statement: OrderStatement
    message_id: MessageId | None = None


class OrderReceived(Body):
    """A sender said something of an order, in another form than HL7 v2; the bytes that say it are kept as they came.

    Either `raw_base64` or `object_key` (too large for an event) holds them: of an array the item, of a Bundle or a file
    the part. `link_id` names the sender, whose order is kept; `message_id` and `digest` (of the bytes,
    or of what they say written one way) tell a repeat.
    """

    link_id: LinkId
    form: OrderForm
    media_type: str
    message_id: MessageId
    digest: Sha256
    received_at: AwareDatetime
    statement: OrderStatement
    raw_base64: str | None = None
    object_key: str | None = None
