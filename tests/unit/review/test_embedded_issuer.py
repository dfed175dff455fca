import stat
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from overread.review import users
from overread.review.embedded_issuer import (
    FAILED_AT_MOST,
    EmbeddedIssuer,
    SignInRefused,
    TooManyAttempts,
    issuer_key,
)
from overread.review.identity import Identity, TokenVerifier
from overread.review.users import UserRefused
from tests.builders.events import NOON, SITE
from tests.fakes.power_cuts import SyncedNames
from tests.fakes.review import PASSWORD, PLACER, READER, MovedClock, some_users

URL = "http://127.0.0.1:8080/issuer"


def an_issuer(folder: Path, clock: MovedClock, *, is_demo_profile: bool = False) -> EmbeddedIssuer:
    """Return an issuer with the bench's users."""
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    return EmbeddedIssuer(
        url=URL,
        site_id=SITE,
        users_file=some_users(folder),
        key=key,
        clock=clock,
        is_demo_profile=is_demo_profile,
    )


async def verified(issuer: EmbeddedIssuer, token: str, clock: MovedClock) -> Identity:
    """Return who `token` says is asking."""
    return await TokenVerifier(issuer=URL, site_id=SITE, source=issuer, clock=clock).verify(token)


async def test_password_gives_a_token_that_the_verifier_takes(tmp_path: Path) -> None:
    """Issuer and verifier agree on every claim."""
    clock = MovedClock()
    issuer = an_issuer(tmp_path, clock)

    granted = await issuer.grant(READER, PASSWORD)

    identity = await verified(issuer, granted.access_token, clock)
    assert (identity.subject, identity.auth_time, identity.may_sign) == (READER, NOON, True)
    assert (granted.expires_in, granted.is_demo) == (900, False)


@pytest.mark.parametrize(("username", "password"), [(READER, "wrong"), (READER, ""), ("nobody", PASSWORD)])
async def test_wrong_name_or_password_gives_nothing(tmp_path: Path, username: str, password: str) -> None:
    """Both are refused alike."""
    with pytest.raises(SignInRefused):
        await an_issuer(tmp_path, MovedClock()).grant(username, password)


async def test_guesses_are_bounded_and_forgiven_with_time(tmp_path: Path) -> None:
    """Five wrong passwords, then a pause of five minutes, also for the right one."""
    clock = MovedClock()
    issuer = an_issuer(tmp_path, clock)
    for _ in range(FAILED_AT_MOST):
        with pytest.raises(SignInRefused):
            await issuer.grant(READER, "wrong")

    with pytest.raises(TooManyAttempts):
        await issuer.grant(READER, PASSWORD)
    clock.pass_by(minutes=5, seconds=1)
    await issuer.grant(READER, PASSWORD)


@pytest.mark.parametrize(("in_file", "in_profile"), [(True, False), (False, True), (False, False)])
async def test_no_password_is_enough_only_for_demo_users_in_the_demo_profile(
    tmp_path: Path, *, in_file: bool, in_profile: bool
) -> None:
    """Either alone opens nothing."""
    issuer = an_issuer(tmp_path, MovedClock(), is_demo_profile=in_profile)
    path = tmp_path / "users.json"
    users.write_users(path, users.read_users(path).model_copy(update={"demo": in_file}))

    with pytest.raises(SignInRefused):
        await issuer.grant(READER, "")


async def test_demo_token_says_that_it_is_one(tmp_path: Path) -> None:
    """With a password or without, every token of the demo profile carries `demo`."""
    clock = MovedClock()
    issuer = an_issuer(tmp_path, clock, is_demo_profile=True)
    path = tmp_path / "users.json"
    users.write_users(path, users.read_users(path).model_copy(update={"demo": True}))

    granted = [await issuer.grant(READER, password) for password in ("", PASSWORD)]

    assert all([(await verified(issuer, each.access_token, clock)).is_demo for each in granted])
    assert (await issuer.configuration())["overread_demo_profile"] is True


def test_signing_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """A restart keeps the tokens that are out."""
    first, second = issuer_key(tmp_path), issuer_key(tmp_path)

    [path] = tmp_path.iterdir()
    assert (first.kid, stat.S_IMODE(path.stat().st_mode)) == (second.kid, 0o600)


def test_users_file_holds_no_password_and_is_its_owners_alone(tmp_path: Path) -> None:
    """A read users file gives nobody a sign-in."""
    path = tmp_path / "users.json"

    users.add_user(path, "dr.new", password=PASSWORD, family_name="MỚI")

    kept = users.read_users(path).named("dr.new")
    assert PASSWORD not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kept is not None
    assert users.is_password(PASSWORD, kept.password)


@pytest.mark.parametrize(("username", "password"), [("dr.new", "short"), ("dr new", PASSWORD), ("", PASSWORD)])
def test_user_that_could_not_sign_in_safely_is_refused(tmp_path: Path, username: str, password: str) -> None:
    """Short passwords and names with spaces are refused when the user is added."""
    with pytest.raises(UserRefused):
        users.add_user(tmp_path / "users.json", username, password=password, family_name="MỚI")


def test_right_that_was_taken_does_not_come_back_by_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-ACK-10: the file that says who may sign is the new one, on disk, before the command ends."""
    path, disk = some_users(tmp_path), SyncedNames(monkeypatch)

    users.add_user(path, READER, password=PASSWORD, family_name="BÁC SĨ", roles=(), entitlements=())

    assert disk.keep(path)


async def test_a_machine_gets_a_token_by_its_secret_and_in_no_other_way(tmp_path: Path) -> None:
    """REQ-NON-06: client credentials (RFC 6749, 4.4); what a machine may is in its roles, and it can sign nothing."""
    clock = MovedClock()
    issuer = an_issuer(tmp_path, clock)

    signed_in = await issuer.sign_in(PLACER, PASSWORD, as_client=True)

    identity = await verified(issuer, issuer.grant_to(signed_in).access_token, clock)
    assert (identity.subject, identity.roles, identity.may_sign) == (PLACER, frozenset({"order_placer"}), False)
    for username, as_client in ((PLACER, False), (READER, True)):
        with pytest.raises(SignInRefused):
            await issuer.sign_in(username, PASSWORD, as_client=as_client)


async def test_the_demo_page_offers_no_machine(tmp_path: Path) -> None:
    """A machine has no face to click on."""
    issuer = an_issuer(tmp_path, MovedClock(), is_demo_profile=True)
    path = tmp_path / "users.json"
    users.write_users(path, users.read_users(path).model_copy(update={"demo": True}))

    assert PLACER not in {user.username for user in await issuer.demo_users()}


def test_a_machine_is_entitled_to_nothing(tmp_path: Path) -> None:
    """Only a person signs."""
    with pytest.raises(UserRefused):
        users.add_user(tmp_path / "users.json", "his", password=PASSWORD, family_name="HIS", is_client=True)
