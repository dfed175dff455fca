"""`overread bench NAME`: a benchmark beside a rival or a limit, in one run, printed as a ratio."""

import argparse
import os
import sys

from overread.contracts.errors import OverreadError
from overread.embedded.places import CHECKOUT

BENCHMARKS = CHECKOUT / "tests" / "benchmarks"


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "bench",
        help="run a benchmark beside its rival",
        description=f"Benchmarks: {', '.join(_names()) or 'none in this installation'}. They print ratios and assert nothing.",
    )
    parser.add_argument("name", help="a benchmark, or all")
    parser.add_argument("--json", action="store_true", help="print one JSON object of ratios; progress goes to stderr")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Become the benchmark."""
    names = _names()
    if told.name not in {*names, "all"}:
        raise OverreadError(f"there is no benchmark {told.name!r}; there are {', '.join(names)}")
    chosen = names if told.name == "all" else [told.name]
    os.chdir(CHECKOUT)
    words = [sys.executable, "-m", "tests.benchmarks", *chosen, *(["--json"] if told.json else [])]
    os.execv(words[0], words)  # noqa: S606 - no shell is wanted


def _names() -> list[str]:
    return sorted(file.stem.removeprefix("bench_") for file in BENCHMARKS.glob("bench_*.py"))
