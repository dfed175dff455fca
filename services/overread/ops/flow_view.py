"""How the topics flow, as an operator is told of it: the same on the page and on the command line."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel

from overread.contracts.topics import SERVICES, Topic
from overread.runtime.flow import Flow, GroupFlow, TopicFlow


class GroupView(BaseModel):
    """How far one reader of a topic is behind."""

    service: str
    lag: int
    oldest_unread_seconds: float | None


class TopicView(BaseModel):
    """One topic, in pipeline order."""

    name: str
    says: str
    producers: list[str]
    consumers: list[str]
    records: int
    rate_per_second: float
    dead: int
    groups: list[GroupView]


class FlowView(BaseModel):
    """How the topics flow now."""

    at: datetime
    topics: list[TopicView]


def flow_view(flow: Flow, rates: Mapping[str, float]) -> FlowView:
    """Return the flow with the rate of each topic."""
    return FlowView(at=flow.at, topics=[_topic_view(one, rates, flow.at) for one in flow.topics])


def _topic_view(one: TopicFlow, rates: Mapping[str, float], at: datetime) -> TopicView:
    topic = one.topic
    return TopicView(
        name=topic.name,
        says=topic.says,
        producers=["any"] if topic.producers == SERVICES else _producers(topic),
        consumers=[group.service for group in one.groups],
        records=one.kept,
        rate_per_second=rates.get(topic.name, 0.0),
        dead=one.dead,
        groups=[_group_view(group, at) for group in one.groups],
    )


def _producers(topic: Topic) -> list[str]:
    return ["others"] if topic.from_outside else [p for p in topic.producers if p not in topic.not_yet]


def _group_view(group: GroupFlow, at: datetime) -> GroupView:
    waited = max((at - group.oldest_unread).total_seconds(), 0.0) if group.oldest_unread else None
    return GroupView(service=group.service, lag=group.lag, oldest_unread_seconds=waited)
