"""A scanner as its engineer connects it: worklist, procedure step, images, commitment (docs/dicom.md)."""

import time
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from overread.protocols.dicom import sop_classes
from tests.builders import announced
from tests.e2e.hospital import Hospital, Visit
from tests.fakes.peers import store_until_kept, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LONGER_THAN_AN_ASSOCIATIONS_QUIET = 2.5
"""Without its procedure step the stack would take the study for whole a second after its first association."""


def test_a_scanner_works_from_the_worklist_and_its_list_completes_the_study(hospital: Hospital) -> None:
    """The order is found, the step holds the study together over two associations, its end lists all, all is vouched for."""
    visit = hospital.admit()
    hospital.order(visit)
    scanner = Scanner(hospital.dicom_port)
    (item,) = wait_until(lambda: scanner.worklist(visit), "the order on the worklist", 30)
    half = len(visit.datasets) // 2

    scanner.begins(item)
    store_until_kept(hospital.dicom_port, visit.datasets[:half])
    time.sleep(LONGER_THAN_AN_ASSOCIATIONS_QUIET)
    shown_in_the_middle = hospital.images_shown(visit)
    store_until_kept(hospital.dicom_port, visit.datasets[half:])
    vouched = scanner.asks_for_commitment(visit)
    scanner.completes(visit)

    hospital.user().draft(visit)
    (case,) = hospital.user().cases(visit)
    study = case["case"]["study"]
    assert str(item.PatientName) == "THỬ NGHIỆM^NGUYỄN VĂN"
    assert shown_in_the_middle == 0
    assert (study["study_revision"], study["completeness_basis"]) == (1, "listed")
    assert study["instance_count"] == len(visit.datasets)
    assert vouched == {dataset.SOPInstanceUID for dataset in visit.datasets}
    assert scanner.worklist(visit) == []


class Scanner:
    """A CT with pynetdicom's services as SCU."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._step = f"2.25.{time.time_ns()}"

    def worklist(self, visit: Visit) -> list[Dataset]:
        """Return the visit's items on the worklist."""
        step = announced.an_item(Modality="CT", ScheduledStationAETitle="CT01", ScheduledProcedureStepStartDate="")
        keys = announced.an_item(
            PatientName="",
            PatientID=visit.patient_id,
            AccessionNumber="",
            StudyInstanceUID="",
            ScheduledProcedureStepSequence=[step],
        )
        with self._associated(sop_classes.MODALITY_WORKLIST_FIND) as association:
            answers = list(association.send_c_find(keys, sop_classes.MODALITY_WORKLIST_FIND))
        return [item for _, item in answers if item is not None]

    def begins(self, item: Dataset) -> None:
        """Begin the step that the worklist's item asks for."""
        self._steps("send_n_create", announced.a_begun_step(str(item.StudyInstanceUID)))

    def completes(self, visit: Visit) -> None:
        """End the step with a list of all images."""
        listed = [str(dataset.SOPInstanceUID) for dataset in visit.datasets]
        self._steps("send_n_set", announced.an_ended_step(listed))

    def asks_for_commitment(self, visit: Visit) -> set[str]:
        """Return for which instances the answer, on the same association, vouches."""
        reports: list[Dataset] = []
        listed = [str(dataset.SOPInstanceUID) for dataset in visit.datasets]
        request = announced.a_commitment(listed, transaction=f"{self._step}.1")

        def on_report(event: Any) -> tuple[int, None]:
            reports.append(event.event_information)
            return 0x0000, None

        handlers = [(evt.EVT_N_EVENT_REPORT, on_report)]
        with self._associated(sop_classes.STORAGE_COMMITMENT_PUSH_MODEL, handlers) as association:
            status, _ = association.send_n_action(
                request,
                1,
                sop_classes.STORAGE_COMMITMENT_PUSH_MODEL,
                sop_classes.STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
            )
            assert status.Status == 0x0000
            (report,) = wait_until(lambda: reports, "the report of the commitment", 30)
        return {str(one.ReferencedSOPInstanceUID) for one in report.get("ReferencedSOPSequence", [])}

    def _steps(self, operation: str, data_set: Dataset) -> None:
        with self._associated(sop_classes.MODALITY_PERFORMED_PROCEDURE_STEP) as association:
            send = getattr(association, operation)
            status, _ = send(data_set, sop_classes.MODALITY_PERFORMED_PROCEDURE_STEP, self._step)
        assert status.Status == 0x0000

    def _associated(self, sop_class: str, handlers: Any = ()) -> "_Association":
        entity = AE(ae_title="CT01")
        entity.add_requested_context(sop_class)
        return _Association(entity.associate("127.0.0.1", self._port, ae_title="OVERREAD", evt_handlers=list(handlers)))


class _Association:
    """An association that is released at the end of its block."""

    def __init__(self, association: Any) -> None:
        assert association.is_established
        self._association = association

    def __enter__(self) -> Any:
        return self._association

    def __exit__(self, *_: object) -> None:
        self._association.release()
