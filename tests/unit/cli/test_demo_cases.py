"""What `demo --keep` leaves unread: one case of each kind, all of it invented."""

import asyncio
import os
import signal
from datetime import datetime
from functools import cache
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from overread.cli import demo_cases, demo_keep
from overread.cli.demo_study import DemoStudy
from overread.contracts.errors import OverreadError
from overread.inference.applicability import Applicable, Verdict, Withheld, judge, summarise
from overread.protocols.dicom.attributes import read_header
from overread.protocols.dicom.part10 import split
from tests.builders.imaging import densitometry, file_bytes, lung_density_model, read_volume

MORNING = datetime(2026, 11, 26, 9, 0, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))


@cache
def cases() -> dict[str, DemoStudy]:
    return {case.name: case for case in demo_cases.waiting_cases(MORNING)}


def verdict(case: DemoStudy) -> Verdict:
    headers = []
    for dataset in case.datasets:
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        headers.append(
            (read_header([split(file_bytes(cast("FileDataset", dataset))).data_set], syntax).attributes, syntax)
        )
    return judge(lung_density_model(), summarise(headers))


def test_emergency_comes_last_and_one_case_has_no_order() -> None:
    """So the list has to put STAT first, and shows what nobody ordered."""
    names = list(cases())

    assert names[-1] == "STAT"
    assert [name for name, case in cases().items() if "TQ1|1||||||||S" in case.order] == ["STAT"]
    assert [name for name, case in cases().items() if not (case.order or case.accession_number)] == ["no order"]


@pytest.mark.parametrize("name", ["routine", "water", "no order", "STAT"])
def test_model_may_be_asked(name: str) -> None:
    """Every guard lets the case pass."""
    assert isinstance(verdict(cases()[name]), Applicable)


def test_sharp_kernel_is_withheld_for_that_alone() -> None:
    """One fault, and its reason is the row's."""
    said = verdict(cases()["sharp kernel"])

    assert isinstance(said, Withheld)
    assert said.reasons == ("convolution kernel SHARP is not on the list of soft kernels for its maker",)


def test_water_is_declined_by_the_model() -> None:
    """A cylinder of water is no chest: the answer is a refusal, never a number."""
    volume = read_volume(file_bytes(cast("FileDataset", dataset)) for dataset in cases()["water"].datasets)

    with pytest.raises(densitometry().Refused, match="no air was found inside the body"):
        densitometry().measure(volume.voxels, volume.spacing_mm)

    assert abs(float(np.median(volume.voxels[:, 50:78, 50:78]))) < 1


@pytest.mark.parametrize("name", ["routine", "sharp kernel", "water", "no order", "STAT"])
def test_case_says_that_it_is_invented(name: str) -> None:
    """Images, name and order each say so; numbers fit their fields (SH: 16 characters)."""
    case = cases()[name]

    assert {dataset.QualityControlImage for dataset in case.datasets} == {"YES"}
    assert str(case.datasets[0].PatientName).startswith("THỬ NGHIỆM^")
    assert not case.order or case.order.split("|")[10] == "T"
    assert len(case.accession_number) <= 16


def test_no_two_cases_share_a_patient_or_a_number() -> None:
    """Each row is somebody else."""
    known = cases().values()

    assert len({str(case.datasets[0].PatientID) for case in known}) == len(known)
    assert len({case.study_instance_uid for case in known}) == len(known)
    assert len({case.order.split("|")[9] for case in known if case.order}) == len(known) - 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("when", ["the list is full", "cases come in"])
async def test_signal_ends_the_waiting(number: signal.Signals, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while cases still come in: Ctrl-C is never kept waiting, and what was begun is given up."""
    given_up = asyncio.Event()

    async def fill(*_: Any) -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        if when == "cases come in":
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()

    monkeypatch.setattr(demo_keep, "_fill", fill)

    async with asyncio.timeout(5):
        await demo_keep.keep(a_profile(), a_story())

    assert given_up.is_set() == (when == "cases come in")


async def test_case_that_can_not_come_in_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is not what it should be is not left standing as if it were."""

    async def fill(*_: Any) -> None:
        raise OverreadError("the order was answered with CE, not CA")

    monkeypatch.setattr(demo_keep, "_fill", fill)

    with pytest.raises(OverreadError, match="answered with CE"):
        await demo_keep.keep(a_profile(), a_story())


def a_profile() -> Any:
    return None


def a_story() -> Any:
    class Silent:
        def note(self, line: str) -> None:
            """Say nothing."""

    return Silent()
