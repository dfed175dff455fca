"""The list of destinations is refused as a whole when one line of it can't be right."""

from pathlib import Path

import pytest

from overread.delivery.destination_faults import option_of
from overread.delivery.destinations import (
    DestinationsRefused,
    DicomDestination,
    DicomForm,
    FhirDestination,
    Hl7Destination,
    load,
    parse,
)
from overread.delivery.receiver import SendUnverified
from overread.delivery.rendering import messages_for
from overread.delivery.sequence import Status
from overread.protocols.hl7.oru_reading import read_back
from tests.builders.delivery import a_telling
from tests.builders.events import SITE

EMR = """
[[destination]]
name = "emr"
kind = "hl7"
url = "mllp://127.0.0.1:2580"
"""
PORTAL = """
[[destination]]
name = "portal"
kind = "fhir"
url = "https://portal.test/fhir/"
"""
PACS = """
[[destination]]
name = "pacs"
kind = "dicom"
url = "dicom://ORTHANC@127.0.0.1:4242"
"""


def test_a_destination_takes_only_ordered_final_results_unless_it_says_more() -> None:
    """The defaults are the careful ones: nothing unverified, nothing unsolicited, its own site only."""
    (emr,) = parse(EMR, site_id="site")

    assert emr.send_unverified is SendUnverified.NONE
    assert emr.takes("site", has_order=True)
    assert not emr.takes("site", has_order=False)
    assert not emr.takes("other", has_order=True)


@pytest.mark.parametrize(
    ("more", "modes", "country"),
    [("", ("", ""), ""), ('acknowledgment = "enhanced"\ncountry_code = "VNM"', ("AL", "NE"), "VNM")],
)
def test_a_destination_says_how_it_answers_and_where_it_is(more: str, modes: tuple[str, str], country: str) -> None:
    """MSH-15 and MSH-16 are both valued or both empty (HL7 v2.5.1, 2.15.9.15); MSH-17 is three letters of ISO 3166."""
    (emr,) = parse(EMR + more, site_id=SITE)

    (message,) = messages_for(a_telling(destination=emr))

    said = read_back(message.message)
    assert (said.accept_acknowledgment_type, said.application_acknowledgment_type) == modes
    assert said.country_code == country


def test_a_destination_may_belong_to_another_site_of_the_network() -> None:
    """One delivery process may serve several sites; each destination names whose results it gets."""
    (emr,) = parse(EMR + 'site_id = "commune-7"', site_id="site")

    assert emr.takes("commune-7", has_order=True)
    assert not emr.takes("site", has_order=True)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mllp://emr.test:2580", ("emr.test", 2580, False)),
        ("mllps://emr.test", ("emr.test", 2575, True)),
        ("mllp://[::1]:2575", ("::1", 2575, False)),
    ],
)
def test_url_names_host_port_and_encryption(url: str, expected: tuple[str, int, bool]) -> None:
    """`mllps` asks for TLS; without a port it is the registered one."""
    (emr,) = parse(EMR.replace("mllp://127.0.0.1:2580", url), site_id="site")

    assert isinstance(emr, Hl7Destination)
    assert (emr.host, emr.port, emr.uses_tls) == expected


def test_one_list_names_receivers_of_three_kinds() -> None:
    """Each kind has its own address and its own careful defaults."""
    emr, portal, pacs = parse(EMR + PORTAL + PACS, site_id="site")

    assert isinstance(emr, Hl7Destination)
    assert isinstance(portal, FhirDestination)
    assert isinstance(pacs, DicomDestination)
    assert portal.url == "https://portal.test/fhir"
    assert (pacs.called_ae_title, pacs.calling_ae_title, pacs.port) == ("ORTHANC", "OVERREAD", 4242)
    assert pacs.forms == tuple(DicomForm)
    assert {each.send_unverified for each in (emr, portal, pacs)} == {SendUnverified.NONE}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("dicom://PACS@pacs.test", ("PACS", 11112, False)),
        ("dicoms://PACS@pacs.test", ("PACS", 2762, True)),
        ("dicom://MY%20PACS@pacs.test:104", ("MY PACS", 104, False)),
    ],
)
def test_a_dicom_url_names_ae_port_and_encryption(url: str, expected: tuple[str, int, bool]) -> None:
    """Without a port it is the registered one; a blank in an AE title is escaped as in any URL."""
    (pacs,) = parse(PACS.replace("dicom://ORTHANC@127.0.0.1:4242", url), site_id="site")

    assert isinstance(pacs, DicomDestination)
    assert (pacs.called_ae_title, pacs.port, pacs.uses_tls) == expected


@pytest.mark.parametrize(
    ("listed", "word", "status"),
    [
        (EMR, "R", Status.UNVERIFIED),
        (EMR, "P", Status.PRELIMINARY),
        (PORTAL, "partial", Status.UNVERIFIED),
        (PORTAL, "preliminary", Status.PRELIMINARY),
        (PACS, "unverified", Status.UNVERIFIED),
        (PACS, "none", None),
    ],
)
def test_each_form_has_its_own_word_for_what_nobody_confirmed(listed: str, word: str, status: Status | None) -> None:
    """R and `partial` are unread; P and `preliminary` claim a first human look, so a site must ask for them."""
    (destination,) = parse(f'{listed}send_unverified = "{word}"', site_id="site")

    assert destination.send_unverified.status is status


@pytest.mark.parametrize(
    "fault",
    [
        EMR + EMR,
        EMR.replace("mllp:", "http:"),
        EMR.replace("127.0.0.1:2580", ""),
        EMR.replace("2580", "70000"),
        EMR.replace("2580", "0"),
        EMR.replace("127.0.0.1", "user@127.0.0.1"),
        EMR.replace("2580", "2580/path"),
        EMR.replace('"hl7"', '"fax"'),
        EMR.replace('"emr"', '"EMR one"'),
        EMR + 'send_unverified = "F"',
        EMR + 'language = "de"',
        EMR + "unsolicited = 7",
        EMR + "unknown = true",
        EMR + 'send_unverified = "partial"',
        EMR + 'forms = ["sr"]',
        EMR + 'acknowledgment = "both"',
        EMR + 'country_code = "VN"',
        PORTAL.replace("https:", "mllp:"),
        PORTAL.replace("portal.test", "user:secret@portal.test"),
        PORTAL.replace("/fhir/", "/fhir?x=1"),
        PORTAL + 'send_unverified = "R"',
        PACS.replace("ORTHANC@", ""),
        PACS.replace("ORTHANC", "A-NAME-TOO-LONG-BY-FAR"),
        PACS.replace("ORTHANC", "ORTHANC:secret"),
        PACS.replace("4242", "4242/path"),
        PACS + "forms = []",
        PACS + 'forms = ["pdf"]',
        PACS + 'send_unverified = "R"',
        'name = "emr"',
        "[[destination",
    ],
)
def test_a_list_with_a_fault_is_refused(fault: str) -> None:
    """A destination that isn't what somebody meant must not be half right: the service says so and does not start."""
    with pytest.raises(DestinationsRefused):
        parse(fault, site_id="site")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (EMR.replace('"hl7"', '"xml"'), "destination emr, kind: it must be hl7, fhir, dicom or xml4"),
        (EMR.replace('kind = "hl7"', ""), "destination emr, kind: it is missing; it must be hl7, fhir, dicom or xml4"),
        (EMR + 'attachments.what = ["png"]', "destination emr, attachments.what: it must be 'jpeg' or 'pdf'"),
        (
            PORTAL + EMR.replace("mllp:", "ftp:"),
            "destination emr, url: must read mllp://HOST:PORT, or mllps://HOST:PORT for TLS",
        ),
        (EMR + "colour = 1", "destination emr, colour: there is no such setting"),
        (EMR.replace('name = "emr"', ""), "destination number 1, name: it is missing"),
        ("[destination]\nname = 1", "destination: write [[destination]] once for each receiver"),
    ],
)
def test_a_fault_is_told_by_the_destinations_name_and_the_setting(fault: str, sentence: str) -> None:
    """Whoever wrote the file finds the line: no words of the library, no numbers of lists."""
    with pytest.raises(DestinationsRefused) as refused:
        parse(fault, site_id="site")

    assert str(refused.value) == sentence


def test_a_fault_of_what_was_named_at_start_is_told_by_its_option() -> None:
    assert option_of("destination pacs, url: must read dicom://…", ["emr", "pacs"]) == "pacs"


def test_a_fault_of_a_file_names_the_file(tmp_path: Path) -> None:
    """An installation has several."""
    listed = tmp_path / "destinations.toml"
    listed.write_text(EMR.replace('"hl7"', '"xml"'))

    with pytest.raises(DestinationsRefused) as refused:
        load(listed, site_id="site")

    assert str(refused.value).startswith(f"{listed}, destination emr, kind: ")


def test_no_file_means_no_destinations() -> None:
    """A site may begin without any."""
    assert load(None, site_id="site") == ()
