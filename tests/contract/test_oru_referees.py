"""Our messages before parsers that other people wrote: hl7apy always, HAPI where there is a JDK."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from overread.protocols.hl7.acknowledgement import AcknowledgmentCode, acknowledge
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.oru import render
from overread.protocols.hl7.oru_content import Language, TakenBack, without_value
from overread.protocols.hl7.tokenise import read_header
from tests.builders.hl7 import NOON, a_remark, a_volume, a_withdrawn_content, an_omi, an_oru, an_oru_content
from tests.referees import hapi

MISSING = HL7Error(MessageErrorCondition.REQUIRED_FIELD_MISSING, ErrorLocation("PID", 1, 3), "Thiếu mã bệnh nhân")


def _ack(code: AcknowledgmentCode, error: HL7Error | None = None, now: datetime = NOON) -> bytes:
    return acknowledge(read_header(an_omi()), code, now=now, control_id="OVR1", error=error)


MESSAGES: Mapping[str, bytes] = {
    **{f"oru_{status}": an_oru(status) for status in "RPFCX"},
    **{f"oru_R_{language}": an_oru("R", language=language, is_synthetic=True) for language in Language},
    "oru_X_synthetic": an_oru("X", is_synthetic=True, processing_id="T"),
    "oru_enhanced": an_oru("F", accept_acknowledgment_type="AL", application_acknowledgment_type="NE"),
    "oru_paragraphs": render(an_oru_content("F", narrative="Một.\n\nHai: 50 % | ^ ~ \\ &")),
    "oru_no_order": an_oru("F", placer_order_number=None, filler_order_number=None, visit=None, priority=None),
    "oru_no_findings": an_oru("F", observations=()),
    **{f"oru_taken_back_{word}": render(a_withdrawn_content(word)) for word in TakenBack},
    "oru_retracting": render(an_oru_content("C", observations=(a_volume(),), retracted=(without_value(a_remark()),))),
    "ack_CA": _ack(AcknowledgmentCode.CA),
    "ack_CE": _ack(AcknowledgmentCode.CE, MISSING),
}


@pytest.mark.parametrize("level", [VALIDATION_LEVEL.TOLERANT, VALIDATION_LEVEL.STRICT])
@pytest.mark.parametrize("name", list(MESSAGES))
def test_hl7apy_accepts_what_we_send(name: str, level: int) -> None:
    """Parsed and validated against the v2.5.1 profile.

    hl7apy checks every OBX-5 as ST, at most 199 characters; TX and FT may be longer (2.A.79), and HAPI knows it.
    """
    text = MESSAGES[name].decode("utf-8")

    message = parse_message(text, validation_level=level)

    assert message.validate()


@pytest.mark.jdk
def test_hapi_accepts_what_we_send(tmp_path: Path) -> None:
    """Parsed with HAPI's default validation, no unexpected segment, and written again the same."""
    classpath = hapi.classpath()
    paths = [tmp_path / f"{name}.hl7" for name in MESSAGES]
    for path in paths:
        path.write_bytes(MESSAGES[path.stem])

    verdicts = hapi.judge(classpath, paths)

    assert [verdict.split()[0] for verdict in verdicts] == ["OK"] * len(paths), "\n".join(verdicts)
