"""`overread token`: a bearer token of the embedded sign-in."""

import argparse
import sys

from overread.cli import api_client


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "token",
        help="sign in at the embedded issuer and print an access token",
        description="Prints an access token for the API. The password is asked on the terminal, or taken from "
        "OVERREAD_PASSWORD or standard input; the demo profile asks for none. The passwords made at first start are "
        "in DATA/secrets/first-users.txt.",
    )
    parser.add_argument("--user", required=True, metavar="NAME", help="radiologist, ops, or a user that you added")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Print the token alone on a line."""
    sys.stdout.write(f"{api_client.sign_in(told.user, url=api_client.base_url())}\n")
    return 0
