"""The content tree of a structured report: its items written, and found again (PS3.3, C.17.3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from overread.contracts.identifiers import nfc
from overread.protocols.dicom.composite import Code, SopReference
from overread.protocols.dicom.data_elements import Elements, elements, exact, is_control
from overread.protocols.dicom.errors import Unfaithful

CONTAINS: Final = "CONTAINS"
HAS_CONCEPT_MOD: Final = "HAS CONCEPT MOD"
HAS_OBS_CONTEXT: Final = "HAS OBS CONTEXT"
HAS_ACQ_CONTEXT: Final = "HAS ACQ CONTEXT"
_MAPPING_RESOURCE_UID: Final = "1.2.840.10008.8.1.1"


def dcm(value: str, meaning: str) -> Code:
    """Return a code of DICOM's own terminology (PS3.16, D)."""
    return Code(value=value, scheme="DCM", meaning=meaning)


def root(title: Code, template: str, items: list[Elements]) -> Elements:
    """Return the root container of a document after a root template (PS3.3, C.18.8)."""
    made = _container(title, items)
    made.put("ContentTemplateSequence", [_template(template)])
    return made


def container(name: Code, items: list[Elements], *, template: str = "") -> Elements:
    """Return a container below another."""
    made = _container(name, items)
    made.put("RelationshipType", CONTAINS)
    if template:
        made.put("ContentTemplateSequence", [_template(template)])
    return made


def _container(name: Code, items: list[Elements]) -> Elements:
    return elements(
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[name.item()],
        ContinuityOfContent="SEPARATE",
        ContentSequence=items or None,
    )


def _template(identifier: str) -> Elements:
    return elements(MappingResource="DCMR", MappingResourceUID=_MAPPING_RESOURCE_UID, TemplateIdentifier=identifier)


def coded(relationship: str, name: Code, value: Code) -> Elements:
    """Return a CODE item."""
    return _item(relationship, "CODE", name, ConceptCodeSequence=[value.item()])


def worded(relationship: str, name: Code, value: str) -> Elements:
    """Return a TEXT item; lines end as DICOM ends them (PS3.5, 6.1.3)."""
    return _item(relationship, "TEXT", name, TextValue="\r\n".join(words(value).split("\n")))


def words(value: str) -> str:
    """Return a text as it reads after writing: NFC, line feeds, nothing at line ends, no other control characters."""
    lines = nfc(value).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = ("".join(character for character in line if not is_control(character)).rstrip() for line in lines)
    return "\n".join(kept).strip()


def measured(name: Code, value: str, unit: Code) -> Elements:
    """Return a NUM item; the decimal string stays as it is."""
    number = elements(NumericValue=value, MeasurementUnitsCodeSequence=[unit.item()])
    return _item(CONTAINS, "NUM", name, MeasuredValueSequence=[number])


def identified(relationship: str, name: Code, uid: str) -> Elements:
    """Return a UIDREF item."""
    return _item(relationship, "UIDREF", name, UID=uid)


def named(relationship: str, name: Code, person: str) -> Elements:
    """Return a PNAME item."""
    return _item(relationship, "PNAME", name, PersonName=exact(person))


def depicted(name: Code | None, reference: SopReference, *, segment_number: int | None = None) -> Elements:
    """Return an IMAGE item, of one segment if it names one."""
    item = reference.item()
    if segment_number is not None:
        item.put("ReferencedSegmentNumber", segment_number)
    return _item(CONTAINS, "IMAGE", name, ReferencedSOPSequence=[item])


def composed(reference: SopReference) -> Elements:
    """Return a COMPOSITE item: an object that is no image."""
    return _item(CONTAINS, "COMPOSITE", None, ReferencedSOPSequence=[reference.item()])


def _item(relationship: str, value_type: str, name: Code | None, **value: object) -> Elements:
    names = [name.item()] if name else None
    return elements(RelationshipType=relationship, ValueType=value_type, ConceptNameCodeSequence=names, **value)


@dataclass(frozen=True, slots=True)
class Node:
    """One content item that was read."""

    item: Dataset

    @property
    def value_type(self) -> str:
        """CONTAINER, TEXT, CODE and so on."""
        return str(self.item.ValueType)

    @property
    def name(self) -> Code:
        """The concept name; a Code without value where there is none."""
        names = self.item.get("ConceptNameCodeSequence")
        return Code.read(names[0]) if names else Code(value="", scheme="")

    def is_named(self, name: Code) -> bool:
        """Tell whether this is the concept's item; meanings don't count."""
        return (self.name.value, self.name.scheme) == (name.value, name.scheme)

    def children(self, name: Code | None = None) -> Iterator["Node"]:
        """Yield the items below, those of one concept if it is given."""
        for item in self.item.get("ContentSequence") or ():
            node = Node(item)
            if name is None or node.is_named(name):
                yield node

    def child(self, name: Code) -> "Node | None":
        """Return the only item of that concept below, None without one."""
        found = list(self.children(name))
        if len(found) > 1:
            raise Unfaithful(f"The document says {name.meaning} more than once in one place.")
        return found[0] if found else None

    def needed(self, name: Code) -> "Node":
        """Return the only item of that concept below."""
        found = self.child(name)
        if found is None:
            raise Unfaithful(f"The document does not say {name.meaning}.")
        return found

    @property
    def text(self) -> str:
        """The value of a TEXT, UIDREF or PNAME item."""
        keyword = {"TEXT": "TextValue", "UIDREF": "UID", "PNAME": "PersonName"}[self.value_type]
        return words(str(self.item[keyword].value))

    @property
    def code(self) -> Code:
        """The value of a CODE item."""
        return Code.read(self.item.ConceptCodeSequence[0])

    @property
    def number(self) -> tuple[str, Code]:
        """The decimal string of a NUM item, as written, and its unit."""
        (value,) = self.item.MeasuredValueSequence
        return str(value.NumericValue), Code.read(value.MeasurementUnitsCodeSequence[0])

    @property
    def reference(self) -> SopReference:
        """The object of an IMAGE or COMPOSITE item."""
        (item,) = self.item.ReferencedSOPSequence
        return SopReference(
            sop_class_uid=str(item.ReferencedSOPClassUID), sop_instance_uid=str(item.ReferencedSOPInstanceUID)
        )

    @property
    def segment_number(self) -> int:
        """The segment that an IMAGE item names."""
        return int(self.item.ReferencedSOPSequence[0].ReferencedSegmentNumber)
