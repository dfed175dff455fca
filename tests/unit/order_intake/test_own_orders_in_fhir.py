"""Our own results name orders and patients in FHIR; read as orders they are the same ones, and a placer's URI stays his."""

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from overread.order_intake import fhir_orders
from overread.protocols.fhir.diagnostic_report import render
from overread.protocols.fhir.elements import Element
from overread.protocols.fhir.service_request import Names
from tests.builders.events import a_service_request
from tests.builders.fhir import a_fhir_content

NAMES = Names(systems={}, time_zone=UTC)


def resources(content: Any) -> Mapping[str, Any]:
    """Return the transaction's entries by type."""
    return {entry["resource"]["resourceType"]: entry for entry in json.loads(render(content))["entry"]}


def test_the_order_that_a_result_names_reads_as_that_order_of_that_patient() -> None:
    """REQ-NON-07: numbers, patient with each authority, and service; the assigner's name is HL7's authority."""
    content = a_fhir_content("final")
    bundle = Element.of(json.loads(render(content)), "Bundle")
    along = fhir_orders.along(fhir_orders.entries_of(bundle))
    request = Element.of(resources(content)["ServiceRequest"]["resource"], "ServiceRequest")

    statement = fhir_orders.read(request, along, NAMES).statement

    order = content.orders[0]
    assert statement.placer is not None
    assert (statement.placer.number, statement.accession_number) == (order.placer_order_number, order.accession_number)
    assert [one.assigning_authority for one in statement.patient.identifiers] == [
        one.assigning_authority for one in content.patient.identifiers
    ]
    assert {one.id_number for one in statement.patient.identifiers} == {
        one.id_number for one in content.patient.identifiers
    }


def test_a_result_names_the_placers_order_by_the_placers_own_uri() -> None:
    """REQ-NON-09: DiagnosticReport.basedOn leads to the ServiceRequest that the placer knows by this identifier."""
    order = a_service_request(placer_order_number="TEST-PLACER-7", placer_namespace="https://his.test/orders")

    told = resources(a_fhir_content("final", orders=(order,)))

    entry, report = told["ServiceRequest"], told["DiagnosticReport"]["resource"]
    placer = entry["resource"]["identifier"][0]
    assert (placer["system"], placer["value"]) == ("https://his.test/orders", "TEST-PLACER-7")
    assert entry["request"]["ifNoneExist"] == "identifier=https://his.test/orders%7CTEST-PLACER-7"
    assert report["basedOn"] == [{"reference": entry["fullUrl"]}]
