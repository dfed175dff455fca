"""`overread`: the command line. Each command is a module with `add_to(subparsers)` and a function that runs it."""

import argparse
import os
import sys
from collections.abc import Sequence

from overread.cli import audit, bench, dead, deliveries, demo, models, rules, status, token, up, worklist
from overread.contracts.errors import OverreadError

EPILOG = """\
A first look:   ./run demo --keep        the whole way once; then the stack stays up
To send yours:  ./run up --emr mllp://127.0.0.1:2580
                dcmsend -aec OVERREAD 127.0.0.1 11112 --scan-directories DIR
What is there:  ./run overread status · cases · reports · dead list · deliveries list
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    commands = argparse.ArgumentParser(
        prog="overread",
        description="A gateway between a hospital's systems and imaging AI; a clinician signs before anything is final.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = commands.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (up, demo, bench, status, worklist, token, dead, deliveries, models, rules, audit):
        module.add_to(subparsers)
    return commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error is one sentence on stderr, with what to do next."""
    told = parser().parse_args(arguments)
    try:
        return int(told.run(told) or 0)
    except OverreadError as error:
        return _explain(str(error))
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not try to write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _explain(f"{error.filename or 'the system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        return 130


def _explain(sentence: str) -> int:
    sys.stderr.write(f"overread: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
