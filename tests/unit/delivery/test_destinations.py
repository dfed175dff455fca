"""The list of destinations is refused as a whole when one line of it can't be right."""

import pytest

from overread.delivery.destinations import DestinationsRefused, SendUnverified, load, parse

EMR = """
[[destination]]
name = "emr"
kind = "hl7"
url = "mllp://127.0.0.1:2580"
"""


def test_a_destination_takes_only_ordered_final_results_unless_it_says_more() -> None:
    """The defaults are the careful ones: nothing unverified, nothing unsolicited, its own site only."""
    (emr,) = parse(EMR, site_id="site")

    assert emr.send_unverified is SendUnverified.NONE
    assert emr.takes("site", has_order=True)
    assert not emr.takes("site", has_order=False)
    assert not emr.takes("other", has_order=True)


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

    assert (emr.host, emr.port, emr.uses_tls) == expected


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
        'name = "emr"',
        "[[destination",
    ],
)
def test_a_list_with_a_fault_is_refused(fault: str) -> None:
    """A destination that isn't what somebody meant must not be half right: the service says so and does not start."""
    with pytest.raises(DestinationsRefused):
        parse(fault, site_id="site")


def test_no_file_means_no_destinations() -> None:
    """A site may begin without any."""
    assert load(None, site_id="site") == ()
