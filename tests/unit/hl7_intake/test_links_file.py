"""The file of links: what it may say, and the sentence that comes back when it says something else."""

import re
from ipaddress import ip_address
from pathlib import Path

import pytest

from overread.dicom_intake.settings import DicomIntakeSettings
from overread.embedded.places import Ports
from overread.embedded.profile import Profile
from overread.hl7_intake import links
from overread.hl7_intake.admission import address_of, allows_application, allows_peer
from overread.hl7_intake.links import LinksRefused
from overread.hl7_intake.neighbours import neighbours
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
        ('[[link]\nlink_id = "a"', "line 1, it is no heading of a link; write [[link]] with two brackets"),
        ("", 'link: there is none; write [[link]] and below it link_id = "his"'),
        ('[link]\nlink_id = "a"', "link: it is one table; write [[link]] with two brackets on each side"),
        ('[[links]]\nlink_id = "a"', "links: there is no such table; write [[link]]"),
        ("[[link]]\nlink_id = his", 'line 2, link_id: his stands there without quotes; write link_id = "his"'),
        ('[[link]]\nlink_id = "his', 'line 2, link_id: its quotes are not closed; write link_id = "his"'),
        ("[[link]]\nlink_id = “his”", "line 2, the quotes are those of a word processor; write straight ones"),
        ('[[link]]\nlink_id: "his"', "line 2, it is no setting; write a name, the sign = and a value, as in link_id ="),
        ("[[link]]\nport =", "line 2, port: nothing stands behind the sign =; write for example port = 2581"),
        ("[[link]]\nport = 0700", "line 2, port: 0700 is no number; write for example port = 2581"),
        ("[[link]]\ncommits_blocks = True", "true and false are written small; write commits_blocks = true"),
        ("[[link]]\nport = 2581\nport = 2582", "line 3, port: it stands twice in this link; leave one of the two out"),
        ('[[link]]\ntls_key = "C:\\certs\\k.pem"', "line 2, tls_key: a backslash in double quotes begins an escape"),
        ('[[link]]\nallowed_peers = ["10.0.0.0/8"', 'its list is not closed; write allowed_peers = ["10.0.0.0/8"]'),
        ('[[link]]\nlink_id = "his",', 'line 2, link_id: its comma is too much; write link_id = "his"'),
        (
            '[[link]]\nallowed_applications = [\n  "HIS"\n  "RIS"\n]',
            "line 4, in the list above it a comma is missing; write one behind each value",
        ),
        ('link_id = "his"', "link_id: it stands in no link; write [[link]] in a line above it"),
        ("[[link]]\npeers = []", "peers: there is no such setting; write allowed_peers"),
        (
            '[[link]]\nallowed_peers = ["10.0.0.0/8",\nport = 2581',
            "line 3, it is right by itself; a list [ or quotes before it are not closed: close them",
        ),
        (
            '[[link]]\nlink_id = "a"\nidle_second = 9',
            "line 3, link a, idle_second: there is no such setting; write idle_seconds",
        ),
        ('[[link]]\nlink_id = "a"\nidle = 9', "link a, idle: there is no such setting; write idle_seconds"),
        (
            '[[link]]\nlink_id = "a"\nvia = 9',
            "link a, via: there is no such setting; leave it out (overread links --settings",
        ),
        (
            '[[link]]\nlink_id = "BVX"',
            "line 2, link BVX, link_id: it must be of small letters, digits and hyphens, 32 at most, and begin with no h",
        ),
        ("[[link]]\nlink_id = 7", 'link number 1, link_id: it must be text, in quotes; write "7"'),
        ("[[link]]\nport = 0", "link number 1, port: it must be 1 or more; write for example port = 2581"),
        ("[[link]]\nport = 70000", "port: it must be 65535 or less; write for example port = 2581"),
        ("[[link]]\nport = 2581.5", "port: it must be a whole number; write for example port = 2581"),
        ("[[link]]\nport = true", "port: it must be a number, not true or false; write for example port = 2581"),
        ('[[link]]\ncommits_blocks = "maybe"', "commits_blocks: it must be true or false, without quotes; write"),
        (
            '[[link]]\nlink_id = "a"\nallowed_peers = ["10.20.0.1/16"]',
            "it must be a network or an address; 10.20.0.1/16 is an address in it: write 10.20.0.0/16 for the network",
        ),
        ('[[link]]\nallowed_peers = ["HIS"]', 'a network or an address; write for example allowed_peers = ["10.20'),
        (
            '[[link]]\nlink_id = "a"\nallowed_peers = "10.20.0.0/16"',
            'link a, allowed_peers: it must be a list, in square brackets; write allowed_peers = ["10.20.0.0/16"]',
        ),
        (
            '[[link]]\nlink_id = "a"\nallowed_applications = ["HIS|BVX|X"]',
            "link a, allowed_applications: it must be MSH-3, MSH-3|MSH-4 or |MSH-4",
        ),
        (
            '[[link]]\nlink_id = "a"\nfallback_charset = "utf-88"',
            "link a, fallback_charset: there is no character set of this name",
        ),
        ('[[link]]\nlink_id = "a"\nfallback_charset = "TCVN-3"', 'or in Python; write fallback_charset = "TCVN3"'),
        ('[[link]]\nlink_id = "a"\nfallback_charset = "vn1"', 'or in Python; write fallback_charset = "VNI"'),
        (
            '[[link]]\nlink_id = "a"\nreused_control_id = "accept"',
            "link a, reused_control_id: it must be 'refuse' or 'accept_and_warn'; write for example",
        ),
        (
            '[[link]]\nlink_id = "a"\nidle_seconds = 0\nport = 0',
            "line 4, link a, port: it must be 1 or more; write for example port = 2581 (and 1 more)",
        ),
        ('[[link]]\nlink_id = "a"\nport = 2575', "link a, port: 2575 is a default port; leave the line out, or write"),
        (
            '[[link]]\nlink_id = "a"\ntls_certificate = "c.pem"',
            "line 1, link a, link: tls_certificate needs a port of its own: write port beside it",
        ),
        (
            '[[link]]\nlink_id = "a"\nport = 2581\ntls_client_ca = "ca.pem"',
            "link a, link: tls_key and tls_client_ca need tls_certificate beside them",
        ),
        (
            '[[link]]\nlink_id = "a"\nport = 2581\n[[link]]\nlink_id = "a"\nport = 2582',
            "line 5, link a, link_id: two links have it; write another name for one of them",
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
    """REQ-TOOL-13: whoever wrote the file mends it with this sentence alone."""
    with pytest.raises(LinksRefused, match=rf"^/etc/overread/links\.toml.*{re.escape(sentence)}"):
        parsed(text)


def test_a_file_that_is_not_there_is_a_sentence_too() -> None:
    """A typing error in the setting is no empty list of links."""
    with pytest.raises(LinksRefused, match=r"^/etc/overread/links\.toml: there is no such file: mend its name, or "):
        links.load(SETTINGS)


def test_a_file_with_an_editors_mark_before_it_is_read(tmp_path: Path) -> None:
    """Windows' own editor puts U+FEFF before UTF-8; nobody sees it, and nobody has to take it away."""
    file = tmp_path / "links.toml"
    file.write_text('[[link]]\nlink_id = "his"\n', encoding="utf-8-sig")

    assert [link.link_id for link in links.load(HL7IntakeSettings(site_id="site", hl7_links=file))] == ["his"]


def test_a_file_in_utf_16_is_told_to_be_saved_as_utf_8(tmp_path: Path) -> None:
    """What the same editor calls Unicode."""
    file = tmp_path / "links.toml"
    file.write_text('[[link]]\nlink_id = "his"\n', encoding="utf-16")

    with pytest.raises(LinksRefused, match=r"links\.toml: it is not in UTF-8: save it as UTF-8"):
        links.load(HL7IntakeSettings(site_id="site", hl7_links=file))


@pytest.mark.parametrize("value", ["7", '"x"', "true", "1.5", "[]", "[7]", "{}", "nan", "-1", '[["x"]]', "1979-05-27"])
def test_no_sentence_of_a_library_reaches_whoever_wrote_the_file(value: str) -> None:
    """Each setting with a value of each type: the words are ours."""
    told = [_refused(f"[[link]]\n{name} = {value}\n") for name in Link.model_fields]

    assert any(told)
    assert [words for words in told if re.search("Input|should|valid|instance|Value error|parse", words)] == []


def test_no_link_has_a_port_of_another_of_our_doors() -> None:
    """The file would be taken, and the intake would meet the page, the broker or Triton on its port."""
    moved = HL7IntakeSettings(site_id="site", port_offset=100, http_port=8081)
    ports = [8081, 11112, 2762, 19092, 19093, 18000, 18001, 18002]

    told = [_refusal(f"[[link]]\nport = {port}\n", moved) for port in ports]

    assert [words.partition(" is Overread's own port for ")[2].partition(";")[0] for words in told] == [
        *("HTTP", "DICOM", "DICOM over TLS", "Kafka", "Kafka", "Triton", "Triton", "Triton")
    ]
    assert links.parse("[[link]]\nport = 8080\n", moved)


def test_what_is_on_other_machines_has_no_port_here() -> None:
    """In a cluster each service has an address of its own."""
    cluster = HL7IntakeSettings(site_id="site", kafka_bootstrap="kafka-0.kafka:9092")

    assert links.parse("[[link]]\nport = 8080\n", cluster)


def test_a_port_that_the_offset_moves_beyond_the_last_is_a_fault() -> None:
    """REQ-TOOL-13: 65535 is the last there is, and the sentence says which one would do."""
    moved = HL7IntakeSettings(site_id="site", port_offset=13000)

    assert "it is 65536, and there is none above 65535; write 52535 or less" in _refusal("[[link]]\nport=52536", moved)
    assert links.parse("[[link]]\nport = 52535\n", moved)


def test_the_doors_are_those_of_the_embedded_stack() -> None:
    """A service that gets another port, or a new door, must not be forgotten here."""
    settings, profile = HL7IntakeSettings(site_id="site"), Profile(data_dir=Path("data"))
    doors = {profile.port(name) for name in ("MLLP", "DICOM", "HTTP")} | set(Ports().named().values())

    assert doors - {settings.mllp_port} <= {*neighbours(settings)}
    assert settings.dicom_tls_port == DicomIntakeSettings(site_id="site").dicom_tls_port


def _refused(text: str) -> str:
    """Return why a file is refused, nothing of one that is taken."""
    try:
        parsed(text)
    except LinksRefused as refused:
        return str(refused)
    return ""


def _refusal(text: str, settings: HL7IntakeSettings) -> str:
    with pytest.raises(LinksRefused) as refused:
        links.parse(text, settings)
    return str(refused.value)


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
