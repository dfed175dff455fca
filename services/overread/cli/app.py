"""`overread`: the command line. Each command is a module with `add_to(subparsers)` and a function that runs it."""

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from overread.contracts.errors import OverreadError

MODULES: Mapping[str, str] = {
    "up": "up",
    "demo": "demo",
    "bench": "bench",
    "status": "status",
    "flow": "flow",
    "reports": "worklist",
    "cases": "worklist",
    "token": "token",
    "dead": "dead",
    "deliveries": "deliveries",
    "desk": "desk",
    "models": "models",
    "rules": "rules",
    "audit": "audit",
    "hl7": "hl7",
    "dicom": "dicom",
    "simulate": "simulate",
    "links": "links",
    "orders": "orders",
    "mapping": "mapping",
    "link": "link",
}
"""Each command's module in `overread.cli`; only the one that is called is imported, since imports cost seconds."""

EPILOG = """\
A first look:   ./run demo --keep        the whole way once; then a worklist to read, until Ctrl-C
To send yours:  ./run up --emr mllp://127.0.0.1:2580
                dcmsend -aec OVERREAD 127.0.0.1 11112 --scan-directories DIR
To connect HL7: ./run overread link add; hl7 explain FILE · send · watch · record · replay; ./run overread simulate his
Other orders:   ./run overread orders links · try FILE · worklist
To connect DICOM: ./run overread dicom echo · worklist · step · send · commit · explain FILE
What is there:  ./run overread status · flow · cases · reports · desk list · dead list · deliveries list
"""


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of every command, or, quicker, of the one that is called."""
    called = MODULES.get(command or "")
    wanted = [called] if called else list(dict.fromkeys(MODULES.values()))
    commands = argparse.ArgumentParser(
        prog="overread",
        description="A gateway between a hospital's systems and imaging AI; a clinician signs before anything is final.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = commands.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in wanted:
        importlib.import_module(f"overread.cli.{name}").add_to(subparsers)
    return commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error is one sentence on stderr, with what to do next."""
    words = sys.argv[1:] if arguments is None else arguments
    told = parser(words[0] if words else None).parse_args(words)
    try:
        status = int(told.run(told) or 0)
        sys.stdout.flush()  # a short output would else meet its reader's absence only when the interpreter ends
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
    return status


def _explain(sentence: str) -> int:
    sys.stderr.write(f"overread: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
