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
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", metavar="NAME", help="radiologist, ops, or a user that you added")
    who.add_argument("--client", metavar="NAME", help="a machine that places orders: his, or one that you added")
    parser.set_defaults(run=run)


def run(told: argparse.Namespace) -> int:
    """Print the token alone on a line."""
    url = api_client.base_url()
    token = api_client.client_token(told.client, url=url) if told.client else api_client.sign_in(told.user, url=url)
    sys.stdout.write(f"{token}\n")
    return 0
