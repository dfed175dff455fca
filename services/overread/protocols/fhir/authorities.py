"""Who gave a number, and which code system a code is of: URIs of FHIR, and the names that HL7 v2 has for the same."""

from collections.abc import Mapping

from overread.protocols.fhir.codes import CODE_SYSTEMS
from overread.protocols.fhir.elements import Element

_SHORT_NAMES: Mapping[str, str] = {uri: name for name, uri in CODE_SYSTEMS.items()}


def authority_of(identifier: Element, names: Mapping[str, str]) -> str:
    """Return who gave a number: the site's name for its system, else what the sender calls the assigner, else the URI.

    The assigner's name is where our own resources say the authority of HL7 v2.
    """
    system = identifier.text("system")
    assigner = identifier.element("assigner")
    return names.get(system) or (assigner.text("display") if assigner else "") or system


def coding_system_of(coding: Element, names: Mapping[str, str]) -> str:
    """Return the short name that HL7 v2 has for a public code system, the site's own for another, else the URI."""
    system = coding.text("system")
    return _SHORT_NAMES.get(system) or names.get(system) or system
