"""Keycloak, a real identity provider, with the realm that we ship; its users are made here, as its administrator does."""

import os
import re
import shutil
import signal
import socket
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from overread.embedded.places import CACHE, CHECKOUT
from tests.fakes.peers import wait_until

VERSION = "26.0.8"
REALM_FILE = CHECKOUT / "compose" / "keycloak" / "overread-realm.json"
REALM = "overread"
ADMIN, ADMIN_PASSWORD, PASSWORD = "admin", "only for this test", "a long enough password"
START_SECONDS = 150.0
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"


class Keycloak:
    """A running Keycloak."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.issuer = f"{self.url}/realms/{REALM}"

    def set_site(self, site_id: str) -> None:
        """Say which site the members of the group `Site`, which are all users, belong to."""
        group = self._group("Site")
        self._ask("PUT", f"/groups/{group['id']}", json=group | {"attributes": {"site_id": [site_id]}})

    def add_user(self, username: str, *groups: str) -> None:
        """Make a user in `groups`."""
        user = {
            "username": username,
            "enabled": True,
            "firstName": "BÌNH",
            "lastName": "TRẦN THỊ",
            "email": f"{username}@example.org",
            "emailVerified": True,
            "groups": list(groups),
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
        }
        self._ask("POST", "/users", json=user)

    def _group(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self._ask("GET", "/groups").json() if one["name"] == name)
        return found

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        token = httpx.post(
            f"{self.url}/realms/master/protocol/openid-connect/token",
            data={
                "grant_type": "password",
                "client_id": "admin-cli",
                "username": ADMIN,
                "password": ADMIN_PASSWORD,
            },
            timeout=30,
        ).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.url}/admin/realms/{REALM}{path}"
        return httpx.request(method, url, headers=headers, timeout=30, **content).raise_for_status()

    def sign_in(self, go_to: str, username: str, password: str = PASSWORD) -> httpx.Response:
        """Do what a person does whom the page has sent here: fill in the form; return where Keycloak sends the browser."""
        with httpx.Client(timeout=30) as browser:
            form = browser.get(go_to)
            action = re.search(r'action="([^"]+)"', form.text)
            assert action is not None, form.text
            filled = {"username": username, "password": password, "credentialId": ""}
            # They are Secure; a browser sends them on loopback, which it trusts, and httpx does not.
            cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
            return browser.post(unescape(action.group(1)), data=filled, headers={"Cookie": cookies})

    def access_token(self, code: str, asked: Mapping[str, str]) -> str:
        """Redeem `code` as a client with PKCE does."""
        form = {"grant_type": "authorization_code", "code": code, **asked}
        answer = httpx.post(f"{self.issuer}/protocol/openid-connect/token", data=form, timeout=30)
        return str(answer.raise_for_status().json()["access_token"])


@contextmanager
def running_keycloak(folder: Path) -> Iterator[Keycloak]:
    """Run Keycloak on a free port of loopback, its data in `folder`."""
    home = folder / f"keycloak-{VERSION}"
    shutil.unpack_archive(_archive(), folder)
    (home / "bin" / "kc.sh").chmod(0o755)
    (home / "data" / "import").mkdir(parents=True)
    shutil.copy(REALM_FILE, home / "data" / "import")
    port = _free_port()
    with (folder / "keycloak.log").open("wb") as log:
        process = _started(_words(home, port), log.fileno())
        try:
            server = Keycloak(port)
            wait_until(lambda: process.poll() is not None or _is_up(server), "Keycloak", START_SECONDS)
            assert process.poll() is None, (folder / "keycloak.log").read_text(errors="replace")[-3_000:]
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def _words(home: Path, port: int) -> Sequence[str]:
    where = ("--http-host=127.0.0.1", f"--http-port={port}", "--cache=local")
    return (str(home / "bin" / "kc.sh"), "start-dev", "--import-realm", *where)


def _started(words: Sequence[str], log: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1",
    }
    return subprocess.Popen(words, stdout=log, stderr=log, env=environment, start_new_session=True)  # this test's own


def _is_up(server: Keycloak) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{server.issuer}/.well-known/openid-configuration", timeout=5).is_success
    return False


def _archive() -> Path:
    """Return the distribution, fetched once by Maven."""
    place = CACHE / "keycloak"
    archive = place / f"keycloak-quarkus-dist-{VERSION}.zip"
    if not archive.exists() or not zipfile.is_zipfile(archive):
        artifact = f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
        subprocess.run(["mvn", "-q", "-B", _COPY, artifact, f"-DoutputDirectory={place}"], check=True, timeout=240)
    return archive


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
