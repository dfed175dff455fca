"""`overread hl7`: the interface engineer's tools, a module an action."""

import argparse
import importlib

ACTIONS = ("explain", "send", "record", "propose", "replay", "watch", "acceptance", "conformance")
"""Each action's module is `overread.cli.hl7_…`, with `add_to(actions)`."""

EPILOG = """\
a new sender, in this order:
  overread hl7 explain order.hl7                      is the vendor's sample right, and what would we do with it
  overread hl7 record --port 2599 --into day          what it really sends; at the end its link is proposed
  overread link add                                   its link, by questions; then the vendor's set-up sheet
  overread hl7 replay day --to mllp://HOST:2575       that day against your listener, offline
  overread hl7 send order.hl7 --to mllp://HOST:2575   one message, and the answer in words
  overread hl7 watch                                  each message that is taken, and what it changed
  overread hl7 acceptance day --out protocol.html     both sides sign; `hl7 conformance` is what the vendor reads first
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its actions."""
    parser = subparsers.add_parser(
        "hl7",
        help="explain, send, watch, record and replay HL7 messages",
        description="Tools for whoever connects a HIS, RIS, LIS or EMR. Patient data is hidden unless you ask for it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name in ACTIONS:
        importlib.import_module(f"overread.cli.hl7_{name}").add_to(actions)
