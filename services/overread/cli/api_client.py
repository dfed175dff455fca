"""The HTTP API as a command uses it: sign in, ask, and turn a refusal into one sentence."""

import os
import sys
from getpass import getpass
from typing import Any

import httpx

from overread.cli import options
from overread.contracts.errors import OverreadError
from overread.embedded.profile import HTTP_PORT
from overread.review.embedded_issuer import request_client_token, request_token


class ApiRefused(OverreadError):
    """The API did not do what was asked."""


def base_url(port_offset: int | None = None) -> str:
    """Return the address of the API on this machine."""
    return f"http://127.0.0.1:{options.http_port() if port_offset is None else HTTP_PORT + port_offset}"


def sign_in(username: str, *, url: str) -> str:
    """Return an access token; the demo profile asks for no password.

    Otherwise the password comes from OVERREAD_PASSWORD, from standard input, or is asked on the terminal.
    """
    try:
        if is_demo(url):
            return request_token(url, username, "")
        return request_token(url, username, _password(username))
    except httpx.HTTPError as error:
        raise ApiRefused(f"nothing answers at {url}: is the stack up? (./run up)") from error
    except (ValueError, KeyError) as error:
        raise ApiRefused(f"what answers at {url} is not Overread") from error


def client_token(client_id: str, *, url: str) -> str:
    """Return the access token of a machine; its secret comes as a password does. The demo profile asks for none."""
    try:
        return request_client_token(url, client_id, "" if is_demo(url) else _password(client_id))
    except httpx.HTTPError as error:
        raise ApiRefused(f"nothing answers at {url}: is the stack up? (./run up)") from error
    except (ValueError, KeyError) as error:
        raise ApiRefused(f"what answers at {url} is not Overread") from error


def is_demo(url: str) -> bool:
    """Say whether the stack at `url` runs in the demo profile."""
    answer = httpx.get(f"{url}/issuer/.well-known/openid-configuration", timeout=10.0, trust_env=False)
    return bool(answer.json().get("overread_demo_profile", False))


def _password(username: str) -> str:
    if (told := os.environ.get("OVERREAD_PASSWORD")) is not None:
        return told
    if sys.stdin.isatty():
        return getpass(f"password of {username}: ")
    return sys.stdin.readline().rstrip("\n")


class Api:
    """The API under one token; `prefix` is where what is asked begins."""

    def __init__(self, url: str, token: str, *, prefix: str = "/api/v1") -> None:
        self._client = httpx.Client(
            base_url=url + prefix,
            headers={"Authorization": f"Bearer {token}"},
            timeout=15.0,
            trust_env=False,
        )

    def get(self, path: str, **query: str | int | None) -> Any:
        """Return the JSON answer of a GET."""
        return self._ask("GET", path, params={name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the JSON answer of a POST."""
        return self._ask("POST", path, json=body or {})

    def send_file(self, path: str, content: bytes, **query: str | int | None) -> Any:
        """Return the JSON answer of a POST whose body is a file."""
        asked = {name: value for name, value in query.items() if value is not None}
        kind = {"Content-Type": "application/octet-stream"}
        return self._ask("POST", path, content=content, params=asked, headers=kind)

    def file(self, path: str, **query: str | int | None) -> bytes:
        """Return the file that a GET answers."""
        answer = self._answer("GET", path, params={name: value for name, value in query.items() if value is not None})
        if answer.is_error:
            _said(answer)
        return answer.content

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        return _said(self._answer(method, path, **content))

    def _answer(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **content)
        except httpx.HTTPError as error:
            raise ApiRefused("the API does not answer: is the stack up? (./run up)") from error


def _said(answer: httpx.Response) -> Any:
    """Return the JSON of an answer, or raise `ApiRefused` with what it says."""
    try:
        said = answer.json()
    except ValueError as error:
        raise ApiRefused(f"the API answered HTTP {answer.status_code} and nothing that can be read") from error
    if answer.is_error:
        raise ApiRefused(str(said.get("detail") or said.get("title") or f"HTTP {answer.status_code}"))
    return said
