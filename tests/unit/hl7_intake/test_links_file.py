"""The file of links: what it may say, and the sentence that comes back when it says something else."""

import re
from ipaddress import ip_address
from pathlib import Path

import pytest

from overread.hl7_intake import links
from overread.hl7_intake.admission import address_of, allows_application, allows_peer
from overread.hl7_intake.links import LinksRefused
from overread.hl7_intake.pace import Pace
from overread.hl7_intake.ports import ports_of
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.protocols.hl7.tokenise import read_header
from tests.builders.hl7 import an_orm

SETTINGS = HL7IntakeSettings(site_id="site", hl7_links=Path("/etc/overread/links.toml"))


def parsed(text: str) -> tuple[Link, ...]:
    return links.parse(text, SETTINGS)


def a_link(**told: object) -> Link:
    return Link.model_validate(told)


def test_without_a_file_there_is_the_one_link_of_the_settings() -> None:
    """The embedded profile as it was: any sender, both default ports."""
    settings = HL7IntakeSettings(site_id="site", mllp_link=Link(fallback_charset="cp1258"))

    assert links.load(settings) == (settings.mllp_link,)


def test_links_are_read_in_their_order() -> None:
    """The first that fits takes a message, so the order is the file's."""
    read = parsed('[[link]]\nlink_id = "ris"\nallowed_applications = ["RIS"]\n[[link]]\nlink_id = "rest"\n')

    assert [link.link_id for link in read] == ["ris", "rest"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[link]\nlink_id = "a"', "is not TOML: Expected ']]' at the end of an array declaration"),
        ("", 'link: there is none; write [[link]] and below it link_id = "his"'),
        ('[link]\nlink_id = "a"', "link: it is one table; write [[link]] with two brackets on each side"),
        ('[[links]]\nlink_id = "a"', "links: there is no such table; write [[link]]"),
        (
            '[[link]]\nlink_id = "a"\nidle_second = 9',
            "link a, idle_second: there is no such setting; write idle_seconds",
        ),
        ('[[link]]\nlink_id = "a"\nidle = 9', "link a, idle: there is no such setting; write idle_seconds"),
        (
            '[[link]]\nlink_id = "a"\nvia = 9',
            "link a, via: there is no such setting; leave it out (overread links --settings",
        ),
        ('[[link]]\nlink_id = "BVX"', "link BVX, link_id: String should match pattern"),
        ("[[link]]\nport = 0", "link number 1, port: Input should be greater than or equal to 1; write for example"),
        (
            '[[link]]\nlink_id = "a"\nallowed_peers = ["10.20.0.1/16"]',
            'link a, allowed_peers: value is not a valid IPv4 or IPv6 network; write for example allowed_peers = ["10.20.0.0/16"',
        ),
        (
            '[[link]]\nlink_id = "a"\nallowed_applications = ["HIS|BVX|X"]',
            "link a, allowed_applications: it must be MSH-3, MSH-3|MSH-4 or |MSH-4",
        ),
        (
            '[[link]]\nlink_id = "a"\nfallback_charset = "utf-88"',
            "link a, fallback_charset: there is no character set of this name",
        ),
        (
            '[[link]]\nlink_id = "a"\nreused_control_id = "accept"',
            "link a, reused_control_id: Input should be 'refuse' or 'accept_and_warn'; write for example",
        ),
        (
            '[[link]]\nlink_id = "a"\nidle_seconds = 0\nport = 0',
            "link a, port: Input should be greater than or equal to 1; write for example port = 2581 (and 1 more)",
        ),
        ('[[link]]\nlink_id = "a"\nport = 2575', "link a, port: 2575 is a default port; leave the line out, or write"),
        (
            '[[link]]\nlink_id = "a"\ntls_certificate = "c.pem"',
            "link a, link: tls_certificate needs a port of its own: write port beside it",
        ),
        (
            '[[link]]\nlink_id = "a"\nport = 2581\ntls_client_ca = "ca.pem"',
            "link a, link: tls_key and tls_client_ca need tls_certificate beside them",
        ),
        (
            '[[link]]\nlink_id = "a"\nport = 2581\n[[link]]\nlink_id = "a"\nport = 2582',
            "link a, link_id: two links have it; write another name for one of them",
        ),
        (
            '[[link]]\nlink_id = "a"\nport = 2581\ntls_certificate = "c.pem"\n[[link]]\nlink_id = "b"\nport = 2581',
            "link b, tls_certificate: both links have port 2581; write the same as for link a, or another port",
        ),
        (
            '[[link]]\nlink_id = "a"\n[[link]]\nlink_id = "b"\nallowed_peers = ["10.0.0.0/8"]',
            "link b, allowed_applications: link a before it takes all of it; write allowed_peers or",
        ),
    ],
)
def test_a_fault_names_file_link_field_and_what_to_write(text: str, sentence: str) -> None:
    """Whoever wrote the file mends it with this sentence alone."""
    with pytest.raises(LinksRefused, match=rf"^/etc/overread/links\.toml.*{re.escape(sentence)}"):
        parsed(text)


def test_a_file_that_is_not_there_is_a_sentence_too() -> None:
    """A typing error in the setting is no empty list of links."""
    with pytest.raises(LinksRefused, match=r"^/etc/overread/links\.toml can't be read: FileNotFoundError$"):
        links.load(SETTINGS)


@pytest.mark.parametrize(
    ("earlier", "later", "is_hidden"),
    [
        ({}, {}, True),
        ({}, {"allowed_applications": ["HIS"]}, True),
        ({"allowed_applications": ["HIS"]}, {}, False),
        ({"allowed_applications": ["HIS"]}, {"allowed_applications": ["HIS|BVX"]}, True),
        ({"allowed_applications": ["HIS|BVX"]}, {"allowed_applications": ["HIS"]}, False),
        ({"allowed_applications": ["|BVX"]}, {"allowed_applications": ["HIS|BVX", "RIS|BVX"]}, True),
        ({"allowed_applications": ["HIS", "RIS"]}, {"allowed_applications": ["RIS", "LIS"]}, False),
        ({"allowed_peers": ["10.0.0.0/8"]}, {"allowed_peers": ["10.20.0.0/16"]}, True),
        ({"allowed_peers": ["10.20.0.0/16"]}, {"allowed_peers": ["10.0.0.0/8"]}, False),
        ({"allowed_peers": ["10.0.0.0/8"]}, {"allowed_peers": ["fd00::/8"]}, False),
        ({"allowed_peers": ["10.0.0.0/8"]}, {}, False),
    ],
)
def test_a_link_that_could_never_get_a_message_is_a_fault(
    earlier: dict[str, object], later: dict[str, object], *, is_hidden: bool
) -> None:
    """Two links that overlap are told apart by their order; one that an earlier one hides whole is a mistake."""
    clash = links._clash(a_link(link_id="a", **earlier), a_link(link_id="b", **later))

    assert (clash is not None) == is_hidden


@pytest.mark.parametrize(
    ("peer", "address", "is_allowed"),
    [
        (("10.20.3.4", 5000), "10.20.3.4", True),
        (("::ffff:10.20.3.4", 5000, 0, 0), "10.20.3.4", True),
        (("fe80::1%eth0", 5000, 0, 2), "fe80::1", True),
        (("10.21.0.1", 5000), "10.21.0.1", False),
    ],
)
def test_addresses_are_the_networks_whatever_way_they_came(peer: object, address: str, *, is_allowed: bool) -> None:
    """A socket for both versions writes an IPv4 address in the form of IPv6."""
    link = a_link(allowed_peers=["10.20.0.0/16", "fe80::/10"])

    read = address_of(peer)

    assert (read, allows_peer(link, read)) == (ip_address(address), is_allowed)


def test_a_peer_without_an_address_may_use_only_what_all_may_use() -> None:
    """Nobody is let in for want of an address."""
    address = address_of("")

    assert (allows_peer(a_link(), address), allows_peer(a_link(allowed_peers=["0.0.0.0/0"]), address)) == (True, False)


@pytest.mark.parametrize(
    ("allowed", "is_allowed"),
    [([], True), (["HIS"], True), (["HIS|BVX"], True), (["|BVX"], True), (["his"], False), (["HIS|X", "RIS"], False)],
)
def test_senders_are_told_by_the_first_components_of_msh_3_and_msh_4(allowed: list[str], *, is_allowed: bool) -> None:
    """HD: a universal ID may stand behind the name, which is what people know."""
    header = read_header(an_orm(put={"MSH-3": "HIS^1.2.3^ISO", "MSH-4": "BVX^9.9^ISO"}))

    assert allows_application(a_link(allowed_applications=allowed), header) == is_allowed


def test_a_pace_lets_a_seconds_worth_through_at_once_and_then_one_after_the_other() -> None:
    """Slow reading: after a silence a burst is no offence."""
    pace = Pace(4.0)

    waits = []
    for _ in range(6):
        waits.append(pace.wait_seconds(100.0))
        pace.count(100.0)

    assert waits == [0, 0, 0, 0, 0.25, 0.5]
    assert pace.wait_seconds(102.0) == 0


def test_links_without_a_port_are_at_the_default_ports_plain_and_tls() -> None:
    """DESIGN: 2575 and 2576, all shifted by the offset of a stack."""
    settings = HL7IntakeSettings(site_id="site", port_offset=100, mllp_tls_certificate=Path("c.pem"))
    own = a_link(link_id="own", port=2581)

    found = {
        port.number: [link.link_id for link in there] for port, there in ports_of(settings, [a_link(), own]).items()
    }

    assert found == {2675: ["default"], 2676: ["default"], 2681: ["own"]}


def test_each_setting_says_what_it_means_and_shows_a_value_that_is_taken() -> None:
    """The sentence of a fault ends with it, and so does the table of docs/hl7.md."""
    for name, field in Link.model_fields.items():
        assert field.description, name
        assert field.examples, name

    whole = {name: field.examples[0] for name, field in Link.model_fields.items() if field.examples}

    assert a_link(**whole).port == 2581
