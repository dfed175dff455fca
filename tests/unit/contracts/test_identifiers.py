"""Names of things: what may be one, and that the same parts always give the same ID."""

import pytest

from overread.contracts.errors import Malformed
from overread.contracts.identifiers import (
    case_id_for,
    checked_site_id,
    checked_uid,
    deterministic_id,
    nfc,
    parse_uid,
    uid_from,
)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2", "0.0", "1", "1.02.3", "1." + "2" * 62])
def test_uid_of_digits_and_dots_is_taken(uid: str) -> None:
    """PS3.5, 9.1; leading zeros break it but occur in the field."""
    assert checked_uid(uid) == uid


@pytest.mark.parametrize(
    "uid", ["", ".", "1.", ".1", "1..2", "1.2a", " 1.2", "1.2\n", "1.2\x00", "../1", "1." + "2" * 63, "１.２"]
)
def test_uid_of_anything_else_is_refused(uid: str) -> None:
    """A UID becomes part of object names and keys: nothing but digits and dots may pass."""
    with pytest.raises(Malformed, match=r"PS3\.5"):
        parse_uid(uid)


@pytest.mark.parametrize("site", ["", "Site", "-a", "a/b", "a.b", "a" * 33, "bệnh-viện", "a\n"])
def test_site_that_could_break_a_key_is_refused(site: str) -> None:
    """Every key begins with the site: it may hold no separator."""
    with pytest.raises(ValueError, match="site_id"):
        checked_site_id(site)


def test_site_of_letters_digits_and_hyphens_is_taken() -> None:
    """A province's numbering fits."""
    assert checked_site_id("hn-01") == "hn-01"


def test_case_id_is_the_same_wherever_it_is_made() -> None:
    """DESIGN: UUIDv5(site, StudyInstanceUID); the value is pinned, for a change would orphan every case."""
    assert str(case_id_for("site", "1.2.3")) == "d206f599-6a97-5eb4-8c5b-2fa9d9c10c38"
    assert case_id_for("site", "1.2.3") != case_id_for("other", "1.2.3")


def test_parts_do_not_run_into_each_other() -> None:
    """('ab', 'c') and ('a', 'bc') are different causes."""
    assert deterministic_id("ab", "c") != deterministic_id("a", "bc")


def test_uid_from_a_uuid_is_a_dicom_uid() -> None:
    """PS3.5, B.2: 2.25 and the UUID as an integer."""
    uid = uid_from(case_id_for("site", "1.2.3"))

    assert uid.startswith("2.25.")
    assert checked_uid(uid) == uid


def test_text_is_kept_in_one_form() -> None:
    """A decomposed Vietnamese name equals its composed form after NFC."""
    assert nfc("NGUYÊ\u0303N") == "NGUYỄN"
