"""By which numbers a message is found: those of orders, images and patients, each once, wherever they stand."""

from overread.protocols.hl7.spoken_of import spoken_of
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.hl7 import an_omi

MERGE = (
    b"MSH|^~\\&|HIS|BVX|||20261122||ADT^A40^ADT_A39|M1|P|2.5.1\rEVN|A40|20261122\r"
    b"PID|1||NEW-1^^^HIS^PI~079099000001^^^GOV^NI\rMRG|OLD-1^^^HIS^PI\r"
)


def test_every_number_of_a_patient_is_found_also_the_one_that_ends() -> None:
    """REQ-MSG-01: who has only the old number finds the merge."""
    named = spoken_of(tokenise(MERGE))

    assert named.patient_numbers == ("NEW-1", "079099000001", "OLD-1")
    assert (named.accession_numbers, named.order_numbers) == ((), ())


def test_numbers_of_an_order_are_found_without_their_namespace() -> None:
    """REQ-MSG-01: people know a number, not who gave it."""
    named = spoken_of(tokenise(an_omi(placer="P-7^HIS", accession="ACC-7", patient_id="TEST-7^^^HIS^PI")))

    assert "P-7" in named.order_numbers
    assert "ACC-7" in named.accession_numbers
    assert named.patient_numbers == ("TEST-7",)


def test_accession_number_is_found_where_the_link_keeps_it() -> None:
    """REQ-MSG-01: a Z field too, and the usual places beside it."""
    raw = an_omi(accession="ACC-7") + b"ZPA|1||A^ZACC-7\r"

    assert {"ZACC-7", "ACC-7"} <= set(spoken_of(tokenise(raw), ("ZPA-3.2",)).accession_numbers)


def test_two_double_quotes_are_no_number() -> None:
    """HL7 v2.5.1, 2.5.3: the sender asks to delete what is stored."""
    assert spoken_of(tokenise(an_omi(put={"PID-3": '""'}))).patient_numbers == ()
