"""Which link a message on a shared port is for: remembered by its first bytes, it is what reading its header says."""

from hypothesis import given
from hypothesis import strategies as st

from overread.hl7_intake.admission import allows_application
from overread.hl7_intake.listener import Listener
from overread.hl7_intake.open_link import OpenLink
from overread.protocols.hl7.tokenise import read_header
from tests.fakes.hl7_intake import FakeBroker, an_intake

STARTS = ["MSH|^~\\&|", "MSH|^~\\&|", "MSH#^~\\&#", "\ufeffMSH|^~\\&|", "MSH|$~\\&|", "MSH|", ""]
names = st.sampled_from(["HIS", "BVX", "HIS^1.2^ISO", "", "H\r", "a" * 600])
rests = st.sampled_from(["|", "|X|Y|20261122\rPID|1", "", "\rPID|1|2|3"])
patterns = st.lists(st.sampled_from(["HIS", "HIS|BVX", "|BVX", "BVX"]), max_size=2)


def headers(start: str, application: str) -> st.SearchStrategy[list[bytes]]:
    """Messages of one application in several facilities."""
    written = st.builds(lambda facility, rest: f"{start}{application}|{facility}{rest}".encode(), names, rests)
    return st.lists(written | st.binary(max_size=40), min_size=3, max_size=8)


messages = st.tuples(st.sampled_from(STARTS), names).flatmap(lambda start: headers(*start))


@given(allowed=st.lists(patterns, min_size=2, max_size=4), payloads=messages)
def test_the_remembered_link_is_the_one_that_the_header_names(allowed: list[list[str]], payloads: list[bytes]) -> None:
    """Bytes of any kind: the first link of the file that lets the sender in, else the first, which refuses it."""
    links = tuple(OpenLink(an_intake(FakeBroker(), allowed_applications=one)) for one in allowed)
    listener = Listener(links)

    for payload in (*payloads, *payloads):
        header = read_header(payload)
        fitting = [at for at in links if allows_application(at.link, header)]

        assert listener.link_of(links, payload) is (fitting or links)[0]
