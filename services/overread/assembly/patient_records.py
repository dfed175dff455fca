"""From ADT statements to patients: who is known under which numbers, and who became whom. Pure.

Statements are never rewritten: they fold, in their sender's order, into the records as they are. A number that ended in
a merge (A40) stays an alias of the record that took its place.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from overread.assembly import citizen_number, patients
from overread.assembly.patient_numbers import is_record_number, key_of, may_be_same, record_keys
from overread.contracts.events.orders import Patient, PatientIdentifier
from overread.contracts.identifiers import deterministic_id

OLD_NUMBER = "an ADT message named the patient by a number that was merged away; it was applied to the surviving one"
TWO_RECORDS = "an ADT message lists numbers of two patients, and no merge of them came; it was applied to the first"
TAKEN_OUT = (
    "a number in the patient's list is used now for somebody of another name and birth date, and no merge of them came;"
    " it was left to them"
)
WAITS = (
    "a merge (A40) waits: the surviving patient is not known yet; an ADT message, order or image of theirs applies it"
)
CIRCLE = "a merge (A40) is refused: the patient that it lets survive was merged into the other one before"

_MOST_VERSIONS = 20


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What one PID of an ADT message says; `prior` are the numbers that end in it, none unless it is a merge.

    What is empty is not said; `cleared` names what is to be deleted. `stated_at` is the sender's time.
    """

    event_id: UUID
    group_number: int
    message_control_id: str
    stated_at: datetime
    identifiers: tuple[PatientIdentifier, ...]
    prior: tuple[PatientIdentifier, ...] = ()
    survivors: tuple[PatientIdentifier, ...] = ()
    family_name: str = ""
    given_name: str = ""
    birth_date: str = ""
    sex: str = ""
    cleared: frozenset[str] = frozenset()

    @property
    def keys(self) -> frozenset[str]:
        """Return the keys that tie the statement to others about the same patient."""
        return frozenset((*record_keys(self.identifiers), *map(key_of, self.survivors), *map(key_of, self.prior)))


@dataclass(frozen=True, kw_only=True)
class Record:
    """One patient as ADT says: the numbers they have, those they had, and those that were merged into them (keys).

    `versions` are the names and birth dates under which the patient was known at some time; `doubts` are what a person
    should look at.
    """

    record_id: UUID
    identifiers: tuple[PatientIdentifier, ...]
    former: tuple[PatientIdentifier, ...] = ()
    merged: tuple[str, ...] = ()
    family_name: str = ""
    given_name: str = ""
    birth_date: str = ""
    sex: str = ""
    cleared: frozenset[str] = frozenset()
    versions: tuple[Patient, ...] = ()
    doubts: tuple[str, ...] = ()

    def over(self, stated: Patient) -> Patient:
        """Return `stated` as the record says it; what the record leaves open stays as it was stated."""
        is_named = bool(self.family_name or self.given_name or "name" in self.cleared)
        birth_date = full_date(self.birth_date)
        return Patient(
            identifiers=(*self.identifiers, *self._beside(stated.identifiers)),
            family_name=self.family_name if is_named else stated.family_name,
            given_name=self.given_name if is_named else stated.given_name,
            birth_date=birth_date if birth_date or "birth_date" in self.cleared else stated.birth_date,
            sex=self.sex if self.sex or "sex" in self.cleared else stated.sex,
        )

    def agrees(self, stated: Patient) -> bool:
        """Say whether `stated` can be this patient, as they are or as they were known before."""
        known = (*self.identifiers, *self.former)
        named = stated.model_copy(update={"identifiers": known})
        return any(
            patients.conflict(named, version.model_copy(update={"identifiers": known})) is None
            for version in self.versions or (Patient(identifiers=()),)
        )

    def names_merged(self, stated: Patient) -> bool:
        """Say whether `stated` names the patient by a number that a merge ended."""
        ended = [one for one in self.former if key_of(one) in self.merged]
        return any(may_be_same(one, old) for one in stated.identifiers for old in ended)

    def _beside(self, stated: Iterable[PatientIdentifier]) -> Iterator[PatientIdentifier]:
        """Yield the numbers that other systems gave: none that the record has or had, none in place of one it has."""
        taken = {(one.assigning_authority, one.identifier_type_code) for one in self.identifiers}
        known = (*self.identifiers, *self.former)
        for one in stated:
            is_known = any(may_be_same(one, other) for other in known)
            if not is_known and (one.assigning_authority, one.identifier_type_code) not in taken:
                yield one


@dataclass(frozen=True, kw_only=True)
class Folded:
    """What statements say together: records, merges that wait for their survivor, and merges that can't be."""

    records: tuple[Record, ...]
    waiting: tuple[Statement, ...] = ()
    refused: tuple[Statement, ...] = ()


def fold(statements: Sequence[Statement], site_id: str, *, known_elsewhere: frozenset[str] = frozenset()) -> Folded:
    """Return what `statements`, in order of arrival, say together.

    They fold by the sender's time; within one moment by arrival, which of one link is its sender's order. A merge waits
    while nobody but merges names its survivor: no statement, and no order or image (`known_elsewhere`, keys).
    """
    said = {key for one in statements if not one.prior for key in record_keys(one.identifiers)}
    folding = _Folding(site_id, said | known_elsewhere)
    for statement in sorted(statements, key=lambda one: one.stated_at):
        folding.take(statement)
    return folding.result()


def said_in(reason: str, message_control_id: str) -> str:
    """Return what a person is told, with the message (MSH-10) by which they find the patient in their own system."""
    return f"{reason} (message {message_control_id})"


def full_date(iso: str) -> date | None:
    """Return an ISO 8601 date that names its day, None for a coarser one."""
    return date.fromisoformat(iso) if len(iso) == len("1970-01-01") else None


@dataclass(kw_only=True)
class _Open:
    """A record while statements fold into it."""

    record_id: UUID
    identifiers: list[PatientIdentifier]
    former: list[PatientIdentifier] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    survived: set[str] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)
    cleared: set[str] = field(default_factory=set)
    versions: list[Patient] = field(default_factory=list)
    doubts: tuple[str, ...] = ()
    message_control_id: str = ""

    def set_identifiers(self, now: Iterable[PatientIdentifier]) -> None:
        """Replace the list: what it no longer holds was the patient's once (2.10.5); an ended number stays ended."""
        kept = [one for one in dict.fromkeys(now) if key_of(one) not in self.merged]
        before, self.identifiers = self.identifiers, kept or self.identifiers
        held = {key_of(one) for one in self.identifiers}
        self.end(one for one in before if key_of(one) not in held)
        self.former = [one for one in self.former if key_of(one) not in held]

    def end(self, identifiers: Iterable[PatientIdentifier]) -> None:
        """Keep numbers as ones that the patient had."""
        self.former += [one for one in dict.fromkeys(identifiers) if one not in self.former]

    def has_lost(self, key: str) -> bool:
        """Say whether the number left the patient's list by itself: it was not merged, it was taken out."""
        return key not in self.merged and all(key_of(one) != key for one in self.identifiers)

    def lists_beside(self, key: str, said: Iterable[str]) -> bool:
        """Say whether the number stands in the patient's list with another one that is not `said`."""
        held = record_keys(self.identifiers)
        return key in held and key not in self.merged and any(one not in said for one in held)

    def is_other_than(self, statement: Statement) -> bool:
        """Say whether the statement's name and birth date both differ from the patient's as they are known now."""
        said = _version(statement.family_name, statement.given_name, statement.birth_date)
        return patients.are_two_persons(said, self._version_now())

    def forget(self, key: str) -> None:
        """Let a number never have been the patient's."""
        self.identifiers = [one for one in self.identifiers if key_of(one) != key]
        self.former = [one for one in self.former if key_of(one) != key]

    def say(self, statement: Statement, *, fills: bool = False) -> None:
        """Take name, birth date and sex; `fills` leaves what was said before."""
        self.message_control_id = statement.message_control_id
        name = {"family_name": statement.family_name, "given_name": statement.given_name}
        for about, fields in (
            ("name", name),
            ("birth_date", {"birth_date": statement.birth_date}),
            ("sex", {"sex": statement.sex}),
        ):
            is_known = any(self.said.get(one) for one in fields)
            if any(fields.values()) and not (fills and is_known):
                self.said |= fields
                self.cleared.discard(about)
            elif about in statement.cleared and not fills:
                self.said |= dict.fromkeys(fields, "")
                self.cleared.add(about)
        self._note_version()

    def _note_version(self) -> None:
        version = self._version_now()
        if version not in (*self.versions, Patient(identifiers=())):
            self.versions = [*self.versions, version][-_MOST_VERSIONS:]

    def _version_now(self) -> Patient:
        names = (self.said.get("family_name", ""), self.said.get("given_name", ""))
        return _version(*names, self.said.get("birth_date", ""))

    def closed(self) -> Record:
        """Return the record as it is now."""
        year = self.said.get("birth_date", "")[:4]
        sex = self.said.get("sex", "")
        soft = (
            doubt
            for one in self.identifiers
            for doubt in citizen_number.doubts(one, sex=sex, birth_year=int(year) if year else None)
        )
        return Record(
            record_id=self.record_id,
            identifiers=tuple(self.identifiers),
            former=tuple(self.former),
            merged=tuple(self.merged),
            family_name=self.said.get("family_name", ""),
            given_name=self.said.get("given_name", ""),
            birth_date=self.said.get("birth_date", ""),
            sex=sex,
            cleared=frozenset(self.cleared),
            versions=tuple(self.versions),
            doubts=tuple(said_in(doubt, self.message_control_id) for doubt in dict.fromkeys((*self.doubts, *soft))),
        )


class _Folding:
    """Takes statements one after another; `known` are the keys that somebody names who is no merge."""

    def __init__(self, site_id: str, known: frozenset[str] | set[str]) -> None:
        self._site_id = site_id
        self._known = known
        self._by_key: dict[str, _Open] = {}
        self._waiting: list[Statement] = []
        self._refused: list[Statement] = []

    def take(self, statement: Statement) -> None:
        """Fold one statement."""
        if statement.prior:
            self._merge(statement)
        else:
            self._say(statement)

    def result(self) -> Folded:
        """Return what was folded; each record once."""
        records = {id(record): record for record in self._by_key.values()}
        return Folded(
            records=tuple(sorted((r.closed() for r in records.values()), key=lambda r: r.record_id)),
            waiting=tuple(self._waiting),
            refused=tuple(self._refused),
        )

    def _say(self, statement: Statement) -> None:
        keys = record_keys(statement.identifiers)
        self._give_back(statement, keys)
        named = [self._by_key[key] for key in keys if key in self._by_key]
        record = _first_fitting(named, statement, is_anybody=len(named) == len(keys)) or self._opened(statement)
        is_old = all(key in record.merged for key in keys)
        record.doubts = tuple(_doubts(record, statement, named, is_old=is_old))
        own = [one for one in statement.identifiers if self._by_key.get(key_of(one), record) is record]
        record.set_identifiers(_beside_old(record.identifiers, own, record.merged) if is_old else own)
        record.say(statement)
        self._name(record)

    def _merge(self, statement: Statement) -> None:
        survivor_keys = record_keys(statement.survivors)
        survivor = next((self._by_key[key] for key in survivor_keys if key in self._by_key), None)
        if survivor is None and not self._known.intersection(survivor_keys):
            self._waiting.append(statement)
            return
        survivor = survivor or self._named(statement.identifiers) or self._opened(statement)
        prior_keys = [key_of(one) for one in statement.prior]
        prior_records = [self._by_key[key] for key in prior_keys if key in self._by_key]
        if _closes_a_circle(survivor, survivor_keys, prior_keys):
            self._refused.append(statement)
            return
        for record in prior_records:
            if record is not survivor:
                self._absorb(survivor, record)
        survivor.survived.update(survivor_keys)
        _end_numbers(survivor, statement)
        survivor.say(statement, fills=True)
        self._name(survivor)

    def _absorb(self, survivor: _Open, prior: _Open) -> None:
        gone = (*prior.identifiers, *prior.former)
        survivor.merged = list(dict.fromkeys((*survivor.merged, *prior.merged, *record_keys(gone))))
        survivor.survived |= prior.survived
        held = {key_of(one) for one in survivor.identifiers}
        survivor.end(one for one in gone if key_of(one) not in held)
        survivor.versions = [*survivor.versions, *(one for one in prior.versions if one not in survivor.versions)]
        for key in [key for key, record in self._by_key.items() if record is prior]:
            self._by_key[key] = survivor

    def _give_back(self, statement: Statement, keys: Sequence[str]) -> None:
        """Let go of numbers that a record lists beside others, or no longer lists, and that somebody else has now.

        Somebody else has another name and birth date: such a number stood in the list by mistake, and what its owner says
        must never become the other's. As long as it was not taken out of the list a person looks. A merge is the hospital's
        word: a number in which another ended stays.
        """
        for key in keys:
            record = self._by_key.get(key)
            if record is None or key in record.survived or not record.is_other_than(statement):
                continue
            is_listed = record.lists_beside(key, keys)
            if is_listed or record.has_lost(key):
                record.forget(key)
                record.doubts = tuple(dict.fromkeys((*record.doubts, *((TAKEN_OUT,) if is_listed else ()))))
                del self._by_key[key]

    def _named(self, identifiers: Iterable[PatientIdentifier]) -> _Open | None:
        return next((self._by_key[key] for key in record_keys(identifiers) if key in self._by_key), None)

    def _opened(self, statement: Statement) -> _Open:
        key = record_keys(statement.identifiers)[0]
        record_id = deterministic_id("patient", self._site_id, key)
        if any(record.record_id == record_id for record in self._by_key.values()):
            # Another record was opened by this number, and has given it back since.
            record_id = deterministic_id("patient", self._site_id, key, str(statement.event_id))
        others = {key for key in record_keys(statement.identifiers) if key in self._by_key}
        own = [one for one in dict.fromkeys(statement.identifiers) if key_of(one) not in others]
        return _Open(record_id=record_id, identifiers=own)

    def _name(self, record: _Open) -> None:
        for key in (*record_keys(record.identifiers), *record.merged):
            self._by_key.setdefault(key, record)


def _first_fitting(named: Sequence[_Open], statement: Statement, *, is_anybody: bool) -> _Open | None:
    """Return the first of those named who is not of another name and birth date; `is_anybody`: else the first."""
    fitting = (record for record in named if not record.is_other_than(statement))
    return next(fitting, named[0] if is_anybody else None)


def _doubts(record: _Open, statement: Statement, named: Iterable[_Open], *, is_old: bool) -> Iterator[str]:
    """Yield what a person should look at about a statement that is taken for `record`, of all `named`."""
    if is_old:
        yield OLD_NUMBER
    others = [one for one in named if one is not record]
    if others:
        yield TAKEN_OUT if all(one.is_other_than(statement) for one in others) else TWO_RECORDS


def _version(family_name: str, given_name: str, birth_date: str) -> Patient:
    return Patient(identifiers=(), family_name=family_name, given_name=given_name, birth_date=full_date(birth_date))


def _beside_old(
    identifiers: Sequence[PatientIdentifier], said: Sequence[PatientIdentifier], merged: Sequence[str]
) -> list[PatientIdentifier]:
    """Return the survivor's list, as a message says it that names them by an old number: other kinds are news."""
    news = [one for one in said if key_of(one) not in merged]
    kinds = {(one.assigning_authority, one.identifier_type_code) for one in news}
    kept = [one for one in identifiers if (one.assigning_authority, one.identifier_type_code) not in kinds]
    return [*kept, *news]


def _closes_a_circle(survivor: _Open, survivor_keys: Sequence[str], prior_keys: Sequence[str]) -> bool:
    """Say whether the number that is to live ended before, in the very record whose number is to end now."""
    held = {key_of(one) for one in survivor.identifiers}
    return all(key in survivor.merged for key in survivor_keys) and any(key in held for key in prior_keys)


def _end_numbers(survivor: _Open, statement: Statement) -> None:
    """Let the prior numbers be ones that the survivor had; the list of a merge is not the snapshot of an update's."""
    held = {key_of(one) for one in survivor.identifiers}
    ended = [one for one in statement.prior if is_record_number(one) or key_of(one) not in held]
    survivor.merged = list(dict.fromkeys((*survivor.merged, *map(key_of, ended))))
    survivor.end(ended)
    kept = [one for one in survivor.identifiers if key_of(one) not in survivor.merged]
    kinds = {(one.assigning_authority, one.identifier_type_code) for one in kept}
    news = [one for one in statement.identifiers if (one.assigning_authority, one.identifier_type_code) not in kinds]
    survivor.set_identifiers((*kept, *news))
