"""A service in a process of its own, to be killed: `python -m tests.fakes.service_process DATA RUN`."""

import sys
from pathlib import Path

from overread.embedded.endpoints import Endpoints
from tests.fakes.brokers import RealBench


def main(data: str, run: str) -> None:
    """Run the service of `RealBench` until a signal ends it."""
    RealBench(Endpoints.of(Path(data)), run=run).service.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
