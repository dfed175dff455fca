"""What delivery makes of one reported study for an archive: every object of every state."""

from collections.abc import Mapping
from functools import cache

from overread.contracts.events.reports import Withdrawal
from overread.delivery.rendering import messages_for
from overread.delivery.sequence import Position, Status
from tests.builders.delivery import a_dicom_destination, a_telling
from tests.builders.events import NOON, a_signer
from tests.builders.reported_study import an_imaged_document, some_imaging


@cache
def delivered() -> Mapping[str, bytes]:
    """What delivery makes of a study: the draft, what a signature lets out, and what takes it back."""
    archive, study = a_dicom_destination(), some_imaging()
    signed = an_imaged_document(signed_by=a_signer(), signed_at=NOON, verdict="accepted")
    withdrawn = signed.model_copy(update={"withdrawal": Withdrawal(reason="Nhầm.", is_wrong_patient=True)})
    final = messages_for(a_telling(signed, archive, status=Status.FINAL, imaging=study))
    earlier = tuple(
        Position(
            report_revision=1, status=Status.FINAL, form=message.form, message_control_id=message.message_control_id
        )
        for message in final
    )
    told = {
        "draft": messages_for(a_telling(an_imaged_document(), archive, status=Status.UNVERIFIED, imaging=study)),
        "final": final,
        "withdrawn": messages_for(
            a_telling(withdrawn, archive, status=Status.WITHDRAWN, imaging=study, earlier=earlier)
        ),
    }
    return {f"{message.form}_of_{state}": message.message for state, messages in told.items() for message in messages}
