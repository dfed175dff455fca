"""What a sender's codes mean at the site: an order is kept as it was said, and read through the mapping when shown. Pure.

The link's own row counts before one for all links, a row for the code's system before one for every system.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from overread.assembly.mapping_rows import Key, Kind, MappingRow
from overread.contracts.events.orders import CodedElement, NamedCode, Procedure, ServiceRequest

STANDARD_SYSTEMS = frozenset({"LN", "SCT", "RADLEX", "DCM", "I9", "I10", "C4", "UCUM", "ICD10"})
"""Names of code systems (table HL70396) that mean the same everywhere."""
LOCAL_SYSTEM = "L"
_MOST_FOUND = 10_000


@dataclass(frozen=True)
class SiteMapping:
    """A mapping as it is asked; without rows every order reads as it was said."""

    rows: tuple[MappingRow, ...] = ()

    @cached_property
    def _by_key(self) -> Mapping[Key, MappingRow]:
        return {row.key: row for row in self.rows}

    @cached_property
    def _found(self) -> dict[tuple[str, str, str, str], MappingRow | None]:
        """Return what was asked before, and the answer."""
        return {}

    @cached_property
    def _systems(self) -> frozenset[str]:
        """Return the local code systems whose codes rows name."""
        return frozenset(row.system for row in self.rows if row.system)

    def find(self, kind: Kind, link: str, code: str, system: str = "") -> MappingRow | None:
        """Return the row that says what the code means, None where there is none; few codes make up a day's orders."""
        asked = (kind.value, link, code, system)
        if asked not in self._found:
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            self._found[asked] = self._look(kind, link, code, system)
        return self._found[asked]

    def _look(self, kind: Kind, link: str, code: str, system: str) -> MappingRow | None:
        for one_link in dict.fromkeys((link, "")):
            for one_system in dict.fromkeys((system, self._canonical(link, system), "")):
                if row := self._by_key.get(Key(kind, one_link, code, one_system)):
                    return row
        return None

    def shown(self, order: ServiceRequest) -> ServiceRequest:
        """Return the order with what the site calls its service, ward and doctor; the sender's own codes stay."""
        if not self.rows:
            return order
        service = self._service(order)
        mapped = {
            "procedure": self._procedure(order, service),
            "models": service.models or None if service else None,
            "modality": order.modality or (service.modality if service else ""),
            "location": self._location(order),
            "requester": self._requester(order),
        }
        return order.model_copy(update=mapped)

    def unmapped(self, order: ServiceRequest) -> Iterator[tuple[Key, str]]:
        """Yield each code of the order that no row names, with the text that its sender wrote beside it."""
        service, doctor, ward = order.service, order.ordering_provider, ward_of(order)
        if service and service.identifier and self._service(order) is None and not self._says_itself(order):
            yield Key(Kind.SERVICE, order.link_id, service.identifier, service.coding_system), service.text
        if service and self._is_unknown_system(order.link_id, service.coding_system):
            yield Key(Kind.CODE_SYSTEM, order.link_id, service.coding_system, ""), ""
        if ward and self.find(Kind.WARD, _link_of_ward(order), ward) is None:
            yield Key(Kind.WARD, _link_of_ward(order), ward, ""), ""
        if doctor and doctor.identifier and self.find(Kind.DOCTOR, _link_of_doctor(order), doctor.identifier) is None:
            yield Key(Kind.DOCTOR, _link_of_doctor(order), doctor.identifier, ""), doctor.text.replace("^", " ")

    def names(self, key: Key) -> bool:
        """Say whether the mapping names the code by now."""
        if key.kind is Kind.CODE_SYSTEM:
            return not self._is_unknown_system(key.link, key.code)
        if self.find(key.kind, key.link, key.code, key.system) is not None:
            return True
        return key.kind is Kind.SERVICE and self._canonical(key.link, key.system) in STANDARD_SYSTEMS

    def _service(self, order: ServiceRequest) -> MappingRow | None:
        said = order.service
        return self.find(Kind.SERVICE, order.link_id, said.identifier, said.coding_system) if said else None

    def _procedure(self, order: ServiceRequest, row: MappingRow | None) -> Procedure | None:
        """Return the site's procedure; a code of a standard's system that no row names is one already."""
        if row is not None and (row.to_code or row.name):
            return Procedure(
                identifier=row.to_code,
                text=row.vi or row.name,
                coding_system=self._canonical(order.link_id, row.to_system),
                text_en=row.en,
                text_fr=row.fr,
                body_part=row.body_part,
            )
        if row is None and order.service and self._says_itself(order):
            system = self._canonical(order.link_id, order.service.coding_system)
            return Procedure(identifier=order.service.identifier, text=order.service.text, coding_system=system)
        return None

    def _says_itself(self, order: ServiceRequest) -> bool:
        said = order.service
        return bool(said and self._canonical(order.link_id, said.coding_system) in STANDARD_SYSTEMS)

    def _location(self, order: ServiceRequest) -> NamedCode | None:
        row = self.find(Kind.WARD, _link_of_ward(order), ward_of(order))
        if row is None:
            return None
        vi, en, fr = (
            ", ".join(filter(None, (name, row.department))) if name else "" for name in (row.name, row.en, row.fr)
        )
        return NamedCode(identifier=row.to_code or row.code, text=vi or row.department, text_en=en, text_fr=fr)

    def _requester(self, order: ServiceRequest) -> CodedElement | None:
        said = order.ordering_provider
        row = self.find(Kind.DOCTOR, _link_of_doctor(order), said.identifier) if said else None
        return CodedElement(identifier=row.to_code or row.code, text=row.vi or said.text) if row and said else None

    def _canonical(self, link: str, system: str) -> str:
        row = self._system_row(link, system)
        return row.to_system if row else system

    def _system_row(self, link: str, system: str) -> MappingRow | None:
        own = self._by_key.get(Key(Kind.CODE_SYSTEM, link, system, ""))
        return own or self._by_key.get(Key(Kind.CODE_SYSTEM, "", system, ""))

    def _is_unknown_system(self, link: str, system: str) -> bool:
        """Say whether the name is none of a standard, no local one by its form (99…, L), and in no row."""
        if not system or system == LOCAL_SYSTEM or system.startswith("99"):
            return False
        return self._system_row(link, system) is None and system not in STANDARD_SYSTEMS | self._systems


def _link_of_ward(order: ServiceRequest) -> str:
    return order.location_link_id or order.link_id


def _link_of_doctor(order: ServiceRequest) -> str:
    return order.provider_link_id or order.link_id


def ward_of(order: ServiceRequest) -> str:
    """Return the point of care (PL.1, PV1-3) of the order, empty where none was said."""
    return order.patient_location.split("^", 1)[0].split("&", 1)[0]
