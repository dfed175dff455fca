"""Our FHIR transactions before HAPI's validator: the base profiles of R4, every state, no error allowed.

It has neither LOINC nor SNOMED CT, so codes of those are only warned of; that a best-practice narrative is missing
from small resources (dom-6), that R4 recommends coded reasons, and that it does not list Vietnamese among its *common*
languages are warnings too, and stay: docs/fhir.md says why.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from overread.protocols.fhir.content import ReportStatus
from overread.protocols.fhir.diagnostic_report import render
from overread.protocols.hl7.oru_content import Language
from tests.builders.events import REPORT_ID, a_finding, a_patient
from tests.builders.fhir import a_fhir_content, a_reported, an_order
from tests.referees import hapi

TRANSACTIONS: Mapping[str, bytes] = {
    **{status.value: render(a_fhir_content(status.value)) for status in ReportStatus},
    **{f"partial_{language}": render(a_fhir_content("partial", language=language)) for language in Language},
    "unsolicited": render(a_fhir_content("final", orders=())),
    "two_orders": render(a_fhir_content("final", orders=(an_order(), an_order(order_id=REPORT_ID, service=None)))),
    "no_finding": render(a_fhir_content("final", findings=(), models=(), is_synthetic=False)),
    "sparse": render(
        a_fhir_content(
            "final", patient=a_patient(family_name="", birth_date=None, sex=""), effective_at=None, modalities=()
        )
    ),
    "retracting": render(a_fhir_content("corrected", retracted=(a_reported(a_finding(code="GONE"), sub_id="9"),))),
    "odd_flag": render(a_fhir_content("final", findings=(a_reported(a_finding(abnormal_flag="ODD")),))),
}

PREPOSTEROUS: Mapping[str, tuple[bytes, bytes]] = {
    "status": (b'"status":"final","subject"', b'"status":"signed","subject"'),
    "time": (b'"recorded":"2026-11-22T', b'"recorded":"22.11.2026T'),
    "element": (b'"resourceType":"Provenance"', b'"resourceType":"Provenance","signedBy":"x"'),
}


@pytest.mark.jdk
def test_hapi_accepts_our_transactions_and_refuses_spoilt_ones(tmp_path: Path) -> None:
    """REQ-FHIR-01: what an EMR gets is R4 by independent judgement; a judge that refuses nothing would prove nothing."""
    spoilt = {f"spoilt_{name}": TRANSACTIONS["final"].replace(*change) for name, change in PREPOSTEROUS.items()}
    paths = [tmp_path / f"{name}.json" for name in (*TRANSACTIONS, *spoilt)]
    for path in paths:
        path.write_bytes({**TRANSACTIONS, **spoilt}[path.stem])

    verdicts = hapi.judge(hapi.classpath(), paths, referee="FhirReferee")

    expected = ["OK"] * len(TRANSACTIONS) + ["FAIL"] * len(spoilt)
    assert [verdict.split()[0] for verdict in verdicts] == expected, "\n".join(verdicts)
