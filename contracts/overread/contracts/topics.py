"""THE MAP: every topic, in pipeline order, with what it says, its key, who writes it and who reads it.

Broker ACLs, topic creation, AsyncAPI and docs/message-flow.md are generated from here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from overread.contracts.envelope import Body, Event
from overread.contracts.events import (
    audit,
    cases,
    deliveries,
    inference,
    intake,
    operations,
    order_statements,
    orders,
    reports,
)

SERVICES: tuple[str, ...] = (
    "hl7_intake",
    "order_intake",
    "dicom_intake",
    "dicomweb",
    "edge",
    "archive",
    "assembly",
    "routing",
    "inference_worker",
    "review",
    "delivery",
    "governance",
)
"""Every service that has its own process, broker user and, where it owns state, database role."""

DAYS_14 = timedelta(days=14)


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic. `key` names the fields (of the envelope or the body) whose values, joined by '/', are the record key.

    `tail_readers` read back at their start what they wrote last; they consume nothing and have no group.
    `from_outside` says that systems of others write it, under broker users of their own, bodies without an envelope.
    `not_yet` names the producers and consumers of the design that are not built: they have no rights until they are.
    """

    name: str
    says: str
    bodies: tuple[type[Body], ...]
    key: tuple[str, ...]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    tail_readers: tuple[str, ...] = ()
    from_outside: bool = False
    not_yet: tuple[str, ...] = ()
    partitions: int = 24
    retention: timedelta = DAYS_14

    @property
    def dead_name(self) -> str:
        """Return the topic that keeps this one's dead letters."""
        return f"{self.name}.dead"

    def key_of(self, event: Event[Body]) -> bytes:
        """Return the record key of `event`: what shares a key keeps its order."""
        return "/".join([str(_value_of(event, field)) for field in self.key]).encode()


def _value_of(event: Event[Body], field: str) -> object:
    return getattr(event if field in Event.model_fields else event.data, field)


HL7_RECEIVED = Topic(
    name="hl7.received",
    says="one raw HL7 v2 message; a link's order is kept",
    bodies=(intake.HL7Received,),
    key=("link_id",),
    producers=("hl7_intake",),
    consumers=("assembly",),
    tail_readers=("hl7_intake",),
)

ORDERS_OFFERED = Topic(
    name="orders.offered",
    says="a system of others that speaks Kafka says something of an order",
    bodies=(order_statements.OrderOffered,),
    key=("link_id",),
    producers=(),
    consumers=("order_intake",),
    from_outside=True,
)

ORDERS_RECEIVED = Topic(
    name="orders.received",
    says="one statement about an order that came in another form than HL7 v2; a link's order is kept",
    bodies=(order_statements.OrderReceived,),
    key=("link_id",),
    producers=("order_intake",),
    consumers=("assembly",),
    tail_readers=("order_intake",),
)

DICOM_RECEIVED = Topic(
    name="dicom.received",
    says="an instance is stored; an association closed with its list, a step, availability or commitment says what there"
    " is; with study `-`: an intake restarted, a procedure step or a request for commitment as it came",
    bodies=(
        intake.InstanceStored,
        intake.StudyHint,
        intake.IntakeRestarted,
        intake.ProcedureStepReported,
        intake.CommitmentRequested,
    ),
    key=("site_id", "study_instance_uid"),
    producers=("dicom_intake", "dicomweb", "edge", "archive"),
    consumers=("assembly", "archive"),
    not_yet=("dicomweb", "edge"),
)

ORDERS_CHANGED = Topic(
    name="orders.changed",
    says="the life of an order, with or without images",
    bodies=(orders.OrderChanged,),
    key=("order_id",),
    producers=("assembly",),
    consumers=("archive", "governance"),
)

CASES_CHANGED = Topic(
    name="cases.changed",
    says="a study is ready or superseded; an order was linked, changed, cancelled; a patient corrected or merged; a case"
    " withdrawn or read elsewhere; laboratory results and appointments",
    bodies=(
        cases.StudyReady,
        cases.StudySuperseded,
        cases.OrderLinked,
        cases.OrderChangedOnCase,
        cases.OrderCancelled,
        cases.PatientCorrected,
        cases.PatientsMerged,
        cases.CaseWithdrawn,
        cases.ReadElsewhere,
        cases.ContextChanged,
    ),
    key=("case_id",),
    producers=("assembly",),
    consumers=("routing", "inference_worker", "review", "delivery", "governance"),
)

INFERENCE_PLANNED = Topic(
    name="inference.planned",
    says="for a study revision, every model: a job, or why it never starts (`planned[].reasons`)",
    bodies=(inference.InferencePlanned,),
    key=("case_id",),
    producers=("routing",),
    consumers=("review", "governance"),
)

INFERENCE_REQUESTED = Topic(
    name="inference.requested",
    says="one job: study revision times model version",
    bodies=(inference.InferenceRequested,),
    key=("case_id",),
    producers=("routing",),
    consumers=("inference_worker",),
)

INFERENCE_DONE = Topic(
    name="inference.done",
    says="how a started job ended: findings, or why there are none (`outcome`, `reasons`)",
    bodies=(inference.InferenceDone,),
    key=("case_id",),
    producers=("inference_worker",),
    consumers=("review", "governance"),
)

REPORTS_CHANGED = Topic(
    name="reports.changed",
    says="a revision of a report entered a state",
    bodies=(reports.ReportChanged,),
    key=("case_id",),
    producers=("review",),
    consumers=("delivery", "governance"),
)

REPORTS_SIGNED = Topic(
    name="reports.signed",
    says="a clinician signed exactly these bytes; also told as `ReportChanged`; delivery's gate follows",
    bodies=(reports.ReportSigned,),
    key=("case_id",),
    producers=("review",),
    consumers=("delivery", "assembly", "governance"),
)

DELIVERIES_DONE = Topic(
    name="deliveries.done",
    says="the gate released or held a report; a destination acknowledged a message, or we gave up",
    bodies=(deliveries.GateDecided, deliveries.DeliveryDone),
    key=("case_id",),
    producers=("delivery",),
    consumers=("review", "governance"),
)

AUDIT_RECORDED = Topic(
    name="audit.recorded",
    says="a view, sign-in, decision or change of configuration",
    bodies=(audit.Recorded,),
    key=("site_id",),
    producers=SERVICES,
    consumers=("governance",),
)

REPLAYS_REQUESTED = Topic(
    name="replays.requested",
    says="an operator asks a service to take a dead letter of its own once more; names its place, carries none of it",
    bodies=(operations.ReplayRequested,),
    key=("consumer",),
    producers=("review",),  # and the command line, as the broker's user `ops`, which is no service
    consumers=(
        "hl7_intake",
        "order_intake",
        "archive",
        "assembly",
        "routing",
        "inference_worker",
        "review",
        "delivery",
        "governance",
    ),
)

CORRECTIONS_REQUESTED = Topic(
    name="corrections.requested",
    says="a person mended a message that was set aside: the intake keeps it as a new one of its link, and says which it"
    " stands for",
    bodies=(intake.CorrectionRequested,),
    key=("link_id",),
    producers=("assembly",),
    consumers=("hl7_intake",),
)

TOPICS: tuple[Topic, ...] = (
    HL7_RECEIVED,
    ORDERS_OFFERED,
    ORDERS_RECEIVED,
    DICOM_RECEIVED,
    ORDERS_CHANGED,
    CASES_CHANGED,
    INFERENCE_PLANNED,
    INFERENCE_REQUESTED,
    INFERENCE_DONE,
    REPORTS_CHANGED,
    REPORTS_SIGNED,
    DELIVERIES_DONE,
    AUDIT_RECORDED,
    REPLAYS_REQUESTED,
    CORRECTIONS_REQUESTED,
)


def topic_named(name: str) -> Topic:
    """Return the topic called `name`, or raise KeyError with the names there are."""
    for topic in TOPICS:
        if topic.name == name:
            return topic
    raise KeyError(f"no topic {name!r}; there are {', '.join(topic.name for topic in TOPICS)}")


def written_by(service: str) -> Iterator[Topic]:
    """Yield the topics that `service` may write."""
    return (topic for topic in TOPICS if service in topic.producers and service not in topic.not_yet)


def read_by(service: str) -> Iterator[Topic]:
    """Yield the topics that `service` may read."""
    return (topic for topic in TOPICS if service in topic.consumers and service not in topic.not_yet)


def tail_read_by(service: str) -> Iterator[Topic]:
    """Yield the topics that `service` may read back at its start."""
    return (topic for topic in TOPICS if service in topic.tail_readers)
