"""Signed results as rows of the insurance table of paraclinical results (XML4), a file for each insured order."""

from collections.abc import Iterator, Mapping

from overread.contracts.events import orders as contract
from overread.contracts.events.inference import Finding
from overread.contracts.identifiers import deterministic_id, nfc
from overread.delivery import faithful
from overread.delivery.insurance_destination import InsuranceDestination
from overread.delivery.oru_form import message_control_id_of
from overread.delivery.sequence import Position, Status
from overread.delivery.telling import Telling, Written
from overread.protocols.insurance import xml4
from overread.protocols.insurance.tables import Source
from overread.protocols.insurance.xml4 import Row, Rows

FORM = "xml4"

Telling_ = Telling[InsuranceDestination]


class InsuranceForm:
    """One file for each order with a visit number, of a patient with an insurance number, once signed.

    A correction stands in place of the file before it, as a whole; a withdrawal in its place without a row.
    """

    def write(self, telling: Telling_) -> Iterator[Written[Rows]]:
        """Yield the files; raise `RowRefused` where a column can't hold what it should."""
        table = telling.destination.columns
        for order in insured_orders(telling):
            content = _content(telling, order)
            if telling.status.takes_back and not content.replaces:
                continue
            name = name_of(content.result, content.revision, telling.status)
            message = xml4.render(content, table)
            yield Written(form=FORM, message=message, message_control_id=name, meant=content, order=order)

    def unlike(self, written: Written[Rows], telling: Telling_) -> Iterator[str]:
        """Compare the file with what was meant, and its rows with what was signed."""
        said, order = xml4.read(written.message, telling.destination.columns), written.order
        if said != _as_kept(written.meant, telling):
            yield "rows"
        if said.status != telling.status.value or said.revision != telling.document.report_revision:
            yield "status"
        if order is None or any(row.get(Source.VISIT) != nfc(order.visit_number).strip() for row in said.rows):
            yield "visit"
        conclusions = {row.get(Source.CONCLUSION, "") for row in said.rows}
        if said.rows and conclusions != {nfc(_in_words(telling)[1]).strip()}:
            yield "conclusion"
        signer = telling.document.signed_by
        readers = {row.get(Source.READER) for row in said.rows}
        if said.rows and (signer is None or readers != {telling.destination.reader_of(signer.subject)}):
            yield "signer"


def insured_orders(telling: Telling_) -> tuple[contract.ServiceRequest, ...]:
    """Return the orders that belong into the table: of a visit, of a patient whom the insurance knows."""
    is_due = telling.status.is_signed and _is_insured(telling)
    return tuple(order for order in telling.orders if order.visit_number.strip()) if is_due else ()


def _is_insured(telling: Telling_) -> bool:
    identifiers = telling.document.patient.identifiers
    return any(telling.destination.is_insurance(i.assigning_authority, i.identifier_type_code) for i in identifiers)


def why_no_file(telling: Telling_) -> str:
    """Return the reason why `write` yields no file, the first that there is."""
    if not telling.status.is_signed:
        return "only what is signed has a row"
    if not _is_insured(telling):
        known = ", ".join(telling.destination.insurance)
        return f"the patient has no insurance number: no identifier's type or authority is one of {known}"
    if not telling.orders:
        return "it answers no order, and a row needs an order's visit"
    if not insured_orders(telling):
        return "its orders have no visit number (PV1-19)"
    return "what it takes back was never in a file"


def name_of(result: str, revision: int, status: Status) -> str:
    """Return the file's name, without its ending: it names a result and nobody."""
    return f"{result}-{revision}-{status.value}"


def _result_of(telling: Telling_, order: contract.ServiceRequest) -> str:
    """Return what all files of this result are known by."""
    document = telling.document
    number = deterministic_id("insurance row", document.site_id, str(document.report_id), str(order.order_id))
    return message_control_id_of(number)


def _content(telling: Telling_, order: contract.ServiceRequest) -> Rows:
    result = _result_of(telling, order)
    return Rows(
        result=result,
        revision=telling.document.report_revision,
        status=telling.status.value,
        replaces=_replaced(telling, result),
        rows=() if telling.status.takes_back else tuple(_rows(telling, order)),
    )


def _replaced(telling: Telling_, result: str) -> str:
    """Return the newest file about this result that was not refused; none after one that took it back."""
    kept = [before for before in telling.earlier if before.form == FORM and not before.was_refused]
    own = [before for before in kept if before.message_control_id == _name(result, before)]
    newest = max(own, key=lambda before: before.rank, default=None)
    return _name(result, newest) if newest and not newest.status.takes_back else ""


def _name(result: str, position: Position) -> str:
    return name_of(result, position.report_revision, position.status)


def _rows(telling: Telling_, order: contract.ServiceRequest) -> Iterator[Row]:
    """Yield the result in words, then each number whose index the destination names."""
    common = _common(telling, order)
    yield {**common, Source.DESCRIPTION: _in_words(telling)[0]}
    for finding, _ in telling.stated:
        index = telling.destination.indices.get(finding.code)
        if index and finding.value is not None:
            yield {**common, **_measured(finding, index)}


def _in_words(telling: Telling_) -> tuple[str, str]:
    """Return description and conclusion: of imaging the insurance wants both, so the one stands for a missing other."""
    described = "\n".join(_described(finding) for finding, _ in telling.stated)
    concluded = "\n".join(faithful.lines(telling.document.conclusion))
    return described or concluded, concluded or described


def _common(telling: Telling_, order: contract.ServiceRequest) -> dict[Source, str]:
    service = order.service.identifier if order.service else ""
    signer = telling.document.signed_by
    return {
        Source.VISIT: order.visit_number,
        Source.SERVICE: telling.destination.services.get(service, service),
        Source.CONCLUSION: _in_words(telling)[1],
        Source.RESULTED_AT: xml4.moment(telling.said_at),
        Source.READER: telling.destination.reader_of(signer.subject) if signer else "",
    }


def _measured(finding: Finding, index: str) -> dict[Source, str]:
    return {
        Source.INDEX_CODE: index,
        Source.INDEX_NAME: finding.display,
        Source.VALUE: finding.value or "",
        Source.UNIT: finding.unit_display or finding.unit,
    }


def _described(finding: Finding) -> str:
    value = finding.value if finding.value is not None else finding.coded_value_display or finding.coded_value
    site = f" ({finding.finding_site.display})" if finding.finding_site else ""
    return f"{finding.display}{site}: {value} {finding.unit_display or finding.unit}".rstrip(": ")


def _as_kept(meant: Rows, telling: Telling_) -> Rows:
    """Return what was meant in the shape in which a file keeps it: in NFC, without blanks around and empty columns."""
    columns = {column.source for column in telling.destination.columns.columns}
    rows = tuple(_kept(row, columns) for row in meant.rows)
    return Rows(result=meant.result, revision=meant.revision, status=meant.status, replaces=meant.replaces, rows=rows)


def _kept(row: Row, columns: set[Source]) -> Mapping[Source, str]:
    said = {source: nfc(value).strip() for source, value in row.items() if source in columns}
    return {source: value for source, value in said.items() if value}
