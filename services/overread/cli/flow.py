"""`overread flow`: what passes each second, what waits before each service and since when, and what lies dead."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping

from overread.cli import options
from overread.cli.status import failing_of
from overread.embedded.endpoints import Endpoints
from overread.ops.flow_view import FlowView, GroupView, flow_view
from overread.ops.rates import SHORTEST, Rates
from overread.runtime.clock import utc_now
from overread.runtime.flow import FlowReader
from overread.runtime.settings import ServiceSettings

LINE = "{:22} {:>10} {:>9} {:>6}  {}"
HEAD = LINE.format(
    "topic", "per second", "kept", "dead", "unread before each reader, and how long the oldest has waited"
)


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "flow",
        help="say what passes each second, what waits before each service, and what lies dead",
        description="The operators' page as text: each topic with its rate, what it keeps, what its readers have not "
        "read and since when, and its dead letters; then the services that are not ready. It looks twice, a second "
        "apart, and changes nothing.",
    )
    options.add_data(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Print how the topics flow, and which services are not ready."""
    endpoints = Endpoints.of(told.data)
    view = asyncio.run(_looked_twice(_settings(endpoints)))
    failing = failing_of(endpoints)
    if told.json:
        sys.stdout.write(json.dumps({**view.model_dump(mode="json"), "services": failing}) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines_of(view, failing))
    return 0


def lines_of(view: FlowView, failing: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield a line for each topic, then one for each service that is not ready."""
    yield HEAD
    for topic in view.topics:
        waits = ", ".join(_waits(group) for group in topic.groups)
        yield LINE.format(topic.name, f"{topic.rate_per_second:.1f}", topic.records, topic.dead, waits).rstrip()
    ready = sum(1 for why in failing.values() if not why)
    yield f"services: {ready} of {len(failing)} ready"
    for name, why in failing.items():
        if why:
            yield f"{name}: {'; '.join(f'{what}: {said}' for what, said in why.items())}"


def _waits(group: GroupView) -> str:
    if not group.lag or group.oldest_unread_seconds is None:
        return f"{group.service} {group.lag}"
    return f"{group.service} {group.lag} ({group.oldest_unread_seconds:.0f} s)"


async def _looked_twice(settings: ServiceSettings) -> FlowView:
    reader, rates = FlowReader(settings), Rates()
    try:
        rates.after(await reader.flow(utc_now()))
        await asyncio.sleep(SHORTEST.total_seconds())
        flow = await reader.flow(utc_now())
    finally:
        await reader.close()
    return flow_view(flow, rates.after(flow) or {})


def _settings(endpoints: Endpoints) -> ServiceSettings:
    return ServiceSettings(
        kafka_bootstrap=endpoints.kafka_bootstrap,
        kafka_username="ops",
        kafka_password=endpoints.kafka_password("ops"),
    )
