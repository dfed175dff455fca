"""The page that is committed is the one that its sources make, and carries nothing that it must not."""

import hashlib
import json
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from overread.embedded import boot
from overread.embedded.places import CHECKOUT
from overread.review.shell import CONTENT_SECURITY_POLICY

WEB = CHECKOUT / "web"
PAGE = CHECKOUT / "services" / "overread" / "review" / "page"
NAMED = ("index.html", "package-lock.json", "package.json", "tsconfig.json", "vite.config.ts")
IN_WHEEL = "overread/review/page/"
UV = boot.BOOT / "bin" / "uv"
MOST_BYTES = 8 * 1024 * 1024


def _digest(web: Path) -> str:
    """Return the digest as `web/scripts/stamp.mjs` makes it."""
    files = [web / name for name in NAMED] + [path for path in (web / "src").rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.relative_to(web).as_posix().encode("utf-16-be")):
        digest.update(path.relative_to(web).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def test_page_is_built_from_its_sources() -> None:
    """What a clinician gets is what a reader of `web/` reads; built without Node at a user's."""
    built_from = json.loads((PAGE / "build.json").read_text())["sources"]

    now = _digest(WEB)

    assert built_from == now, "web/ changed after the page was built: cd web && npm ci && npm run build"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_page_is_small_and_has_no_source_maps() -> None:
    """It is committed and lies in the wheel."""
    files = _files(PAGE)

    size = sum(path.stat().st_size for path in files)

    assert size < MOST_BYTES
    assert not [path.name for path in files if path.suffix == ".map"]
    assert "licences.md" in {path.name for path in files}


@pytest.mark.skipif(not UV.exists(), reason="no uv here: `./run test` makes one")
def test_wheel_carries_the_whole_page(tmp_path: Path) -> None:
    """Whoever installs Overread needs no Node: each file of the page lies in what hatchling builds, byte for byte."""
    wheel = _a_wheel(tmp_path)

    packed = {name: wheel.read(name) for name in wheel.namelist() if name.startswith(IN_WHEEL)}

    assert f"{IN_WHEEL}index.html" in packed
    assert packed == {f"{IN_WHEEL}{path.relative_to(PAGE)}": path.read_bytes() for path in _files(PAGE)}


def _a_wheel(folder: Path) -> zipfile.ZipFile:
    """Build a wheel by the project's own build system; where it was cached at set-up, without a network."""
    words = [str(UV), "build", "--wheel", "--quiet", "--out-dir", str(folder), str(CHECKOUT)]
    tries = (subprocess.run([*words, *more], env=boot.own_caches(), check=False) for more in (["--offline"], []))
    assert any(tried.returncode == 0 for tried in tries)
    [built] = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_page_has_nothing_inline() -> None:
    """The page's policy lets no inline script or style run, so there must be none."""
    shell = (PAGE / "index.html").read_text(encoding="utf-8")

    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", shell, re.DOTALL)

    assert scripts
    assert all('src="/assets/' in attributes and not body.strip() for attributes, body in scripts)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", shell)


@pytest.mark.parametrize("forbidden", ["'unsafe-eval'", "script-src 'self' 'unsafe-inline'", "http:", "https:", "*"])
def test_policy_lets_no_foreign_code_in(forbidden: str) -> None:
    """A report is signed on this page: nothing but its own files may run in it (CSP 3)."""
    directives = [directive.strip() for directive in CONTENT_SECURITY_POLICY.split(";")]

    assert "default-src 'none'" in directives
    assert "frame-ancestors 'none'" in directives
    assert forbidden not in CONTENT_SECURITY_POLICY.replace("'wasm-unsafe-eval'", "")
