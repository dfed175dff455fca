"""`python -m tests.benchmarks NAME… [--json]`: each benchmark beside its rival, printed as ratios; nothing is asserted."""

import argparse
import importlib
import json
import sys
from pathlib import Path

NAMES = sorted(file.stem.removeprefix("bench_") for file in Path(__file__).parent.glob("bench_*.py"))


def main() -> int:
    """Run the named benchmarks; standard output holds the result, standard error the progress."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("names", nargs="+", choices=NAMES)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    figures: dict[str, object] = {}
    for name in told.names:
        measured = importlib.import_module(f"tests.benchmarks.bench_{name}").run()
        figures |= measured
        if not told.json:
            sys.stdout.writelines(f"{figure:>28}  {value}\n" for figure, value in measured.items())
    if told.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
