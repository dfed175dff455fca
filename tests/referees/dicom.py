"""Other people's judges of DICOM: dciodvfy for every object, PixelMed for the templates of structured reports."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

HARNESS = Path(__file__).with_name("SrReferee.java")
JARS = Path("/usr/share/java")
_CLASS_PATH = ":".join(
    str(JARS / f"{name}.jar") for name in ("pixelmed", "commons-codec", "vecmath", "slf4j-api", "javax.json")
)
# The validator's rules are larger than what the JDK's XPath takes by itself; one short run needs no second compiler.
_SETTINGS = (
    *(f"-Djdk.xml.xpath{limit}Limit=0" for limit in ("TotalOp", "ExprOp", "ExprGrp")),
    *("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8"),
)


def needed(tool: str, package: str) -> str:
    """Return where a program is, or skip with a word."""
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"no {tool} here (Debian package {package}): it was not asked")
    return found


def dciodvfy(path: Path) -> list[str]:
    """Return every line in which dciodvfy finds fault with the object's IOD, warnings too."""
    asked = subprocess.run([needed("dciodvfy", "dicom3tools"), str(path)], capture_output=True, check=False, timeout=60)
    return asked.stderr.decode("utf-8", "replace").splitlines()


def pixelmed(paths: Sequence[Path]) -> Mapping[str, list[str]]:
    """Return what PixelMed's validator says of each structured report, by the name of its file."""
    if not (JARS / "pixelmed.jar").exists():
        pytest.skip("no PixelMed here (Debian package libpixelmed-java): it was not asked")
    needed("javac", "default-jdk-headless")  # the harness is run from its source
    asked = subprocess.run(
        [needed("java", "default-jdk-headless"), *_SETTINGS, "-cp", _CLASS_PATH, str(HARNESS)],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    by_file = [part.splitlines() for part in asked.stdout.split("FILE ")[1:]]
    return {Path(lines[0]).name: lines[1:] for lines in by_file}
