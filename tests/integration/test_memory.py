"""Memory stays flat under load: a short run of the benchmark of half a million messages."""

import pytest

from tests.benchmarks.bench_mllp_memory import figures, measured
from tests.e2e.hospital import FIRST_OFFSET, free_offset

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

MESSAGES, SECONDS = 20_000, 150.0
MOST_RATIO = 1.15
"""A kilobyte that stays of each message would be more; what the duplicate guard keeps, up to its limit, is less."""


def test_twenty_thousand_mixed_messages_leave_memory_as_it_was() -> None:
    """REQ-FAI-12: over sixteen connections, every kind of message, each one answered, by listener and assembly alike."""
    flat = figures(measured(MESSAGES, SECONDS, offset=free_offset(FIRST_OFFSET), catch_up_seconds=1.0))

    assert flat["mllp_memory_messages"] == MESSAGES
    assert float(str(flat["listener_rss_last_to_first_quarter"])) < MOST_RATIO, flat
    assert float(str(flat["assembly_rss_last_to_first_quarter"])) < MOST_RATIO, flat
