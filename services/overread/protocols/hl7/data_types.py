"""The composite data types that orders and results share, to and from their HL7 form (HL7 v2.5.1, chapter 2.A)."""

from dataclasses import dataclass
from typing import Self

from overread.protocols.hl7.delimiters import escape
from overread.protocols.hl7.tokenise import Value


def join(*encoded: str, separator: str = "^") -> str:
    """Join parts that are already escaped; trailing empty ones are left out (2.5.3)."""
    return separator.join(encoded).rstrip(separator)


def composite(*parts: str, separator: str = "^") -> str:
    """Escape plain parts and join them."""
    return join(*(escape(part) for part in parts), separator=separator)


def trimmed(value: Value) -> str:
    """Read the text of a value without the blanks around it, which no identifier means."""
    return value.text.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityIdentifier:
    """An order number and who gave it (EI, 2.A.28)."""

    entity_identifier: str
    namespace_id: str = ""
    universal_id: str = ""
    universal_id_type: str = ""

    @classmethod
    def read(cls, value: Value) -> Self | None:
        """Read an EI; None when it names nothing."""
        parts = value.texts(4)
        if not parts[0]:
            return None
        names = ("entity_identifier", "namespace_id", "universal_id", "universal_id_type")
        return cls(**dict(zip(names, parts, strict=True)))

    def write(self) -> str:
        """Write the EI as a field."""
        return composite(self.entity_identifier, self.namespace_id, self.universal_id, self.universal_id_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedElement:
    """A code with its text and coding system, and the same in a second one (CE and CWE, 2.A.3 and 2.A.13)."""

    identifier: str
    text: str = ""
    coding_system: str = ""
    alternate_identifier: str = ""
    alternate_text: str = ""
    alternate_coding_system: str = ""

    @classmethod
    def read(cls, value: Value) -> Self | None:
        """Read a CE or CWE; None when it has neither code nor text."""
        parts = value.texts(6)
        if not parts[0] and not parts[1]:
            return None
        first, second = parts[:3], parts[3:]
        alternate = dict(
            zip(("alternate_identifier", "alternate_text", "alternate_coding_system"), second, strict=True)
        )
        return cls(identifier=first[0], text=first[1], coding_system=first[2], **alternate)

    def write(self) -> str:
        """Write the element as a field."""
        return composite(
            self.identifier,
            self.text,
            self.coding_system,
            self.alternate_identifier,
            self.alternate_text,
            self.alternate_coding_system,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentifier:
    """One PID-3 repetition: the number, who gave it, and what kind it is (CX, 2.A.14)."""

    id_number: str
    assigning_authority: str = ""
    identifier_type_code: str = ""
    assigning_authority_universal_id: str = ""
    assigning_authority_universal_id_type: str = ""

    @classmethod
    def read(cls, value: Value) -> Self | None:
        """Read a CX; None when it has no number."""
        number, _, _, _, type_code = value.texts(5)
        if not number:
            return None
        authority, universal_id, universal_id_type = value.subtexts(4, 3)
        return cls(
            id_number=number,
            assigning_authority=authority,
            identifier_type_code=type_code,
            assigning_authority_universal_id=universal_id,
            assigning_authority_universal_id_type=universal_id_type,
        )

    def write(self) -> str:
        """Write the CX as one repetition of PID-3."""
        authority = composite(
            self.assigning_authority,
            self.assigning_authority_universal_id,
            self.assigning_authority_universal_id_type,
            separator="&",
        )
        return join(escape(self.id_number), "", "", authority, escape(self.identifier_type_code))


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonName:
    """A name as it was sent; for a Vietnamese name the given name holds middle and given (XPN, 2.A.88)."""

    family_name: str
    given_name: str = ""
    second_and_further_given_names: str = ""
    name_type_code: str = ""

    @classmethod
    def read(cls, value: Value) -> Self | None:
        """Read an XPN; None when it is empty."""
        _, given, further, _, _, _, type_code = value.texts(7)
        (family,) = value.subtexts(1, 1)
        if not family and not given:
            return None
        return cls(
            family_name=family,
            given_name=given,
            second_and_further_given_names=further,
            name_type_code=type_code,
        )

    def write(self) -> str:
        """Write the XPN as one repetition of PID-5."""
        names = (self.family_name, self.given_name, self.second_and_further_given_names)
        return composite(*names, "", "", "", self.name_type_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Practitioner:
    """A person who orders, reads or signs (XCN, 2.A.86; CNN inside NDL, 2.A.9)."""

    id_number: str
    family_name: str = ""
    given_name: str = ""

    @classmethod
    def read(cls, value: Value) -> Self | None:
        """Read an XCN; None when it names nobody."""
        number, _, given = value.texts(3)
        (family,) = value.subtexts(2, 1)
        if not number and not family:
            return None
        return cls(id_number=number, family_name=family, given_name=given)

    @classmethod
    def read_subcomponents(cls, value: Value) -> Self | None:
        """Read a CNN, whose parts are subcomponents of an NDL's first component (OBR-32)."""
        number, family, given = (trimmed(value.subcomponent(part)) for part in (1, 2, 3))
        return cls(id_number=number, family_name=family, given_name=given) if number or family else None

    def write(self, separator: str = "^") -> str:
        """Write the person as an XCN, or as a CNN when the separator is that of subcomponents."""
        return composite(self.id_number, self.family_name, self.given_name, separator=separator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """PID as far as a result must say it back: numbers, names, birth date (ISO 8601, any precision) and sex."""

    identifiers: tuple[PatientIdentifier, ...]
    names: tuple[PersonName, ...] = ()
    birth_date: str | None = None
    administrative_sex: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """PV1 as far as a result must say it back; the location and number are kept with their qualifiers."""

    patient_class: str | None = None
    assigned_patient_location: tuple[str, ...] = ()
    visit_number: PatientIdentifier | None = None
