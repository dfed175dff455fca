from pathlib import Path
from typing import Any

import pytest

from overread.contracts.events.cases import Case
from overread.contracts.events.inference import Lane
from overread.contracts.events.orders import CodedElement, OrderStatus, Procedure
from overread.routing import rules
from overread.routing.rules import Rule, RulesUnreadable, lane_of
from overread.routing.settings import DEFAULT_RULES
from tests.builders.events import a_case, a_service_request, a_study

CTA = CodedElement(identifier="CTCHEST", text="", coding_system="L")

CHEST = Procedure(identifier="RPID16", text="CT ngực", coding_system="RADLEX", body_part="CHEST")


def a_rule(**changed: Any) -> Rule:
    """Return a rule without any condition."""
    return Rule.model_validate({"name": "test", "models": ("ct-lung-density",), **changed})


def a_described_case(description: str, **study: Any) -> Case:
    """Return a case whose study says what it is of."""
    return a_case(study=a_study(study_description=description, **study))


CONDITIONS: list[tuple[dict[str, Any], Case, bool]] = [
    ({}, a_case(), True),
    ({}, a_case(orders=()), True),
    ({"modalities": ["CT"]}, a_case(), True),
    ({"modalities": ["MR", "CT"]}, a_case(study=a_study(modalities=("CT", "PT"))), True),
    ({"modalities": ["MR"]}, a_case(), False),
    ({"description_words": ["CHEST"]}, a_case(), True),
    ({"description_words": ["ngực"]}, a_described_case("CT NGUC KHONG THUOC"), True),
    ({"description_words": ["NGUC"]}, a_described_case("CT ngực không tiêm"), True),
    ({"description_words": ["độ phân giải"]}, a_described_case("CT ĐỘ PHÂN GIẢI cao"), True),
    ({"description_words": ["TIM"]}, a_described_case("TIMED BOLUS", body_part_examined=""), False),
    ({"description_words": ["HEAD", "CHEST"]}, a_described_case("BODY_CHEST/1"), True),
    ({"description_words": ["HEAD"]}, a_case(), False),
    ({"service_codes": ["CTCHEST"]}, a_case(orders=(a_service_request(service=CTA),)), True),
    ({"procedures": ["RPID16"]}, a_case(orders=(a_service_request(procedure=CHEST),)), True),
    ({"procedures": ["RPID16^RADLEX"]}, a_case(orders=(a_service_request(procedure=CHEST),)), True),
    ({"procedures": ["RPID16^LN"]}, a_case(orders=(a_service_request(procedure=CHEST),)), False),
    ({"procedures": ["CTCHEST"]}, a_case(orders=(a_service_request(service=CTA),)), False),
    ({"body_parts": ["CHEST"]}, a_case(orders=(a_service_request(procedure=CHEST),)), True),
    ({"body_parts": ["HEAD"]}, a_case(orders=(a_service_request(procedure=CHEST),)), False),
    ({"service_codes": ["CTHEAD"]}, a_case(), False),
    ({"service_codes": ["CTCHEST"]}, a_case(orders=()), False),
    ({"service_codes": ["CTCHEST"]}, a_case(orders=(a_service_request(service=None),)), False),
    ({"patient_classes": ["E"]}, a_case(orders=(a_service_request(patient_class="E"),)), True),
    ({"patient_classes": ["E"]}, a_case(), False),
    ({"with_order": True}, a_case(), True),
    ({"with_order": True}, a_case(orders=()), False),
    ({"with_order": False}, a_case(), False),
    ({"with_order": False}, a_case(orders=()), True),
    ({"modalities": ["CT"], "description_words": ["HEAD"]}, a_case(), False),
    ({}, a_case(study=None), False),
]


@pytest.mark.parametrize(("conditions", "case", "fits"), CONDITIONS)
def test_rule_fits_when_every_condition_holds(conditions: dict[str, Any], case: Case, *, fits: bool) -> None:
    """A condition left out always holds; words are whole words, without regard to case and diacritics."""
    assert a_rule(**conditions).fits(case) is fits


@pytest.mark.parametrize(
    ("priorities", "lane"),
    [((), Lane.ROUTINE), (("R",), Lane.ROUTINE), (("S",), Lane.STAT), (("A",), Lane.STAT), (("R", "S"), Lane.STAT)],
)
def test_priority_of_an_order_makes_a_job_stat(priorities: tuple[str, ...], lane: Lane) -> None:
    """S (STAT) and A (ASAP) overtake the rest (table HL70485)."""
    case = a_case(orders=tuple(a_service_request(priority=priority) for priority in priorities))

    assert lane_of(a_rule(), case) is lane


def test_lane_of_the_rule_comes_first() -> None:
    """A site may say that its trauma CTs never wait."""
    assert lane_of(a_rule(lane="stat"), a_case()) is Lane.STAT


def test_cancelled_order_hurries_nobody() -> None:
    """Its priority went with it."""
    cancelled = a_service_request(priority="S", status=OrderStatus.CANCELLED)

    assert lane_of(a_rule(), a_case(orders=(cancelled, a_service_request()))) is Lane.ROUTINE


def test_first_rule_that_names_the_model_and_fits_decides(tmp_path: Path) -> None:
    """The order of a file is the order of its rules."""
    file = tmp_path / "rules.toml"
    file.write_text(
        '[[rule]]\nname = "other"\nmodels = ["other"]\n'
        '[[rule]]\nname = "head"\nmodels = ["m"]\ndescription_words = ["HEAD"]\n'
        '[[rule]]\nname = "any"\nmodels = ["m"]\n[[rule]]\nname = "late"\nmodels = ["m"]\n',
        encoding="utf-8",
    )
    read = rules.load(file)

    chosen = [read.rule_for(model, a_case()) for model in ("m", "nobody")]

    assert [rule and rule.name for rule in chosen] == ["any", None]


def test_shipped_rules_send_a_chest_ct_to_the_lung_model() -> None:
    """What a new site begins with."""
    shipped = rules.load(DEFAULT_RULES)

    assert shipped.rule_for("ct-lung-density", a_case()) is not None
    assert len(shipped.digest) == 64


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", "rule"),
        (b"[[rule]]\nname = 'a'\nmodels = []\n", "rule.0.models"),
        (b"[[rule]]\nname = 'a'\nmodels = ['m']\n[[rule]]\nmodels = ['m']\n", "rule.1.name"),
        (b"[[rule]]\nname = 'a'\nmodels = ['m']\nmodality = ['CT']\n", "rule.0.modality"),
        (b"[[rule]]\nname = 'a'\nmodels = ['m']\nlane = 'fast'\n", "rule.0.lane"),
        (b"[[rule]]\nname = 'a' x\n", "line 2"),
        (b"\xff\xfe", "rules.toml"),
    ],
)
def test_unreadable_rules_name_file_and_place(content: bytes, place: str, tmp_path: Path) -> None:
    """A rule file that can't be used stops the start, not a study."""
    file = tmp_path / "rules.toml"
    file.write_bytes(content)

    with pytest.raises(RulesUnreadable) as fault:
        rules.load(file)

    assert "rules.toml" in str(fault.value)
    assert place in str(fault.value)


def test_missing_rules_name_the_file(tmp_path: Path) -> None:
    """An error says what to mend."""
    with pytest.raises(RulesUnreadable, match=r"none\.toml"):
        rules.load(tmp_path / "none.toml")
