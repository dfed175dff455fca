"""`overread rules test`: is a rule file sound, and what does it say."""

import argparse
import sys
from pathlib import Path

from overread.contracts.errors import OverreadError
from overread.embedded.profile import MODELS_FILE
from overread.inference import catalog
from overread.routing import rules
from overread.routing.settings import DEFAULT_RULES


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "rules", help="check a rule file", description="Rules say which studies go to which models."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="test")
    test = actions.add_parser("test", help="read a rule file as routing would, and say what it offers to which model")
    test.add_argument("file", nargs="?", type=Path, default=DEFAULT_RULES, help="default: the rules that are shipped")
    test.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Print the rules, or the first fault."""
    read = rules.load(told.file)
    known = {model.name for model in catalog.load(MODELS_FILE).models}
    for rule in read.rules:
        if unknown := set(rule.models) - known:
            raise OverreadError(f"rule {rule.name!r} names {', '.join(sorted(unknown))}, which is not in the catalogue")
        conditions = rule.model_dump(exclude={"name", "models"}, exclude_defaults=True)
        sys.stdout.write(f"{rule.name}: {', '.join(rule.models)} when {conditions or 'always'}\n")
    sys.stdout.write(f"{len(read.rules)} rules, digest {read.digest[:12]}\n")
    return 0
