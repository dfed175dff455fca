"""`overread models`: which models there are, what they accept and answer, and their cards."""

import argparse
import sys

from overread.contracts.errors import OverreadError
from overread.embedded.profile import MODELS_FILE
from overread.inference import catalog


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "models",
        help="list the models, or print a model's card",
        description="Each model with its version, the digest of its files, and what it is meant for.",
    )
    parser.add_argument("name", nargs="?", help="print this model's card")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Print the list, or one card."""
    models = catalog.load(MODELS_FILE).models
    if told.name is None:
        for model in models:
            sys.stdout.write(f"{model.name} {model.version}  {model.digest[:12]}  {model.intended_use}\n")
        return 0
    chosen = next((model for model in models if model.name == told.name), None)
    if chosen is None:
        raise OverreadError(f"there is no model {told.name}; there are {', '.join(m.name for m in models)}")
    sys.stdout.write((MODELS_FILE.parent / chosen.card).read_text(encoding="utf-8"))
    return 0
