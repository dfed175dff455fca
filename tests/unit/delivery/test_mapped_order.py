"""What goes back to a sender has its own codes, whatever the site's mapping calls them."""

from overread.contracts.events.orders import CodedElement, NamedCode, Procedure
from overread.delivery.rendering import messages_for
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.delivery import a_telling
from tests.builders.events import a_service_request, a_signed_document

MAPPED = a_service_request(
    patient_location="K24^P3^G1",
    ordering_provider=CodedElement(identifier="BS0231", text="MẪU^MỘT"),
    procedure=Procedure(identifier="24627-2", text="CT ngực", coding_system="LN"),
    location=NamedCode(identifier="CC", text="Khoa Cấp cứu"),
    requester=CodedElement(identifier="000123/CCHN", text="BS. MẪU Một"),
    models=("ct-lung-density",),
    link_id="his",
)


def test_result_has_the_placers_own_codes() -> None:
    """REQ-MAP-01: OBR-4, PV1-3 and OBR-16 are those of the order; a receiver that keeps its order finds it."""
    (message, *_) = messages_for(a_telling(a_signed_document(orders=(MAPPED,))))

    read = tokenise(message.message)
    [obr], [pv1] = read.segments("OBR"), read.segments("PV1")
    assert (obr.text(4), obr.text(4, 3)) == ("CTCHEST", "L")
    assert (obr.text(16), pv1.text(3)) == ("BS0231", "K24")
    assert b"24627-2" not in message.message
    assert b"000123/CCHN" not in message.message
