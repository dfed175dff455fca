import base64
import hmac
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from overread.contracts.errors import Unavailable
from overread.review.identity import AUDIENCE, IssuersKeys, TokenVerifier
from overread.review.refusals import NotEntitled, NotSignedIn, WrongSite
from tests.builders.events import NOON, SITE
from tests.fakes.review import MovedClock

ISSUER = "http://127.0.0.1:8080/issuer"
KEY = ECKey.generate_key("P-256", {"alg": "ES256"}, auto_kid=True)
NOW = int(NOON.timestamp())


class OneKey:
    """An issuer with one key."""

    async def keys(self, key_id: str | None) -> KeySet:
        """Return it."""
        return KeySet([KEY])


def some_claims(**changed: Any) -> dict[str, Any]:
    """Return claims that are accepted; None leaves a claim out."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "dr.test",
        "exp": NOW + 900,
        "auth_time": NOW,
        "site_id": SITE,
        "roles": ["radiologist"],
        "entitlements": ["sign"],
        "family_name": "BÁC SĨ",
    } | changed
    return {name: value for name, value in claims.items() if value is not None}


def a_token(key: Any = KEY, alg: str = "ES256", **changed: Any) -> str:
    """Return a token with these claims."""
    return jwt.encode({"alg": alg, "kid": key.kid}, some_claims(**changed), key, algorithms=[alg])


def a_verifier() -> TokenVerifier:
    """Return the verifier of the site at noon."""
    return TokenVerifier(issuer=ISSUER, site_id=SITE, source=OneKey(), clock=MovedClock())


async def test_token_of_the_issuer_says_who_is_asking() -> None:
    """Subject, site, rights, sign-in time and name come from the claims."""
    identity = await a_verifier().verify(a_token())

    assert (identity.subject, identity.family_name, identity.auth_time) == ("dr.test", "BÁC SĨ", NOON)
    assert (identity.may_sign, identity.is_demo) == (True, False)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "http://127.0.0.1:8080/other"},
        {"aud": "another"},
        {"aud": None},
        {"exp": NOW - 60},
        {"exp": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 65},
        {"site_id": None},
        {"roles": "radiologist"},
        {"entitlements": "sign"},
        {"auth_time": None},
        {"auth_time": "now"},
    ],
)
async def test_token_with_a_wrong_or_missing_claim_is_refused(changed: dict[str, Any]) -> None:
    """Every required claim is there, and right."""
    with pytest.raises(NotSignedIn):
        await a_verifier().verify(a_token(**changed))


@pytest.mark.parametrize("absent", ["roles", "entitlements"])
async def test_list_that_the_token_leaves_out_gives_no_right(absent: str) -> None:
    """Some providers leave out what would be empty."""
    identity = await a_verifier().verify(a_token(**dict[str, Any]({absent: None})))

    assert (identity.may_sign, identity.operates) == (False, False)


async def test_token_of_another_site_is_refused() -> None:
    """Sites share nothing."""
    with pytest.raises(WrongSite):
        await a_verifier().verify(a_token(site_id="another-site"))


async def test_token_of_another_key_is_refused() -> None:
    """Also when it names our key."""
    forged = ECKey.generate_key("P-256", {"alg": "ES256", "kid": str(KEY.kid)})

    with pytest.raises(NotSignedIn):
        await a_verifier().verify(a_token(forged))


async def test_unsigned_and_symmetric_tokens_are_refused() -> None:
    """Only RS256 and ES256: no `none`, and no public key taken for a shared secret (RFC 8725, 2.1)."""
    secret = KEY.as_pem(private=False)
    unsigned = f"{_part({'alg': 'none', 'kid': KEY.kid})}.{_part(some_claims())}"
    symmetric = f"{_part({'alg': 'HS256', 'kid': KEY.kid})}.{_part(some_claims())}"
    seal = _url64(hmac.digest(secret, symmetric.encode(), "sha256"))

    for token in (f"{unsigned}.", f"{symmetric}.{seal}", "", "x.y", "a.b.c"):
        with pytest.raises(NotSignedIn):
            await a_verifier().verify(token)


def _part(said: dict[str, Any]) -> str:
    return _url64(json.dumps(said).encode())


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_refusal_does_not_repeat_the_token() -> None:
    """What was sent is in no answer and no log."""
    with pytest.raises(NotSignedIn) as refused:
        await a_verifier().verify(a_token(sub="secret.name", exp=NOW - 60))

    assert "secret.name" not in str(refused.value)


async def test_operator_does_not_read_and_reader_does_not_operate() -> None:
    """Looking after the system is not reading reports."""
    operator = await a_verifier().verify(a_token(roles=["ops"]))
    reader = await a_verifier().verify(a_token())

    with pytest.raises(NotEntitled):
        operator.must_read()
    with pytest.raises(NotEntitled):
        reader.must_operate()


def an_external_issuer(key: RSAKey, asked: list[str]) -> "type[httpx.AsyncClient]":
    """Return a client whose only server is an identity provider with `key`."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path.endswith("openid-configuration"):
            return httpx.Response(200, json={"jwks_uri": "http://127.0.0.1/keys"})
        return httpx.Response(200, json=KeySet([key]).as_dict(private=False))

    class Client(httpx.AsyncClient):
        def __init__(self) -> None:
            super().__init__(transport=httpx.MockTransport(answer))

    return Client


async def test_external_keys_are_kept_and_asked_again_for_an_unknown_one() -> None:
    """A new key is found, and a flood of invented key IDs does not become a flood of questions."""
    key = RSAKey.generate_key(2048, {"alg": "RS256"}, auto_kid=True)
    asked: list[str] = []
    clock = MovedClock()
    source = IssuersKeys("http://127.0.0.1", clock, an_external_issuer(key, asked))

    for key_id in (key.kid, key.kid, "invented", "invented"):
        await source.keys(key_id)
    clock.now += timedelta(seconds=31)
    await source.keys("invented")

    assert len(asked) == 4


async def test_identity_provider_that_is_away_is_unavailable() -> None:
    """Nobody is called a forger because the provider does not answer."""

    class Client(httpx.AsyncClient):
        def __init__(self) -> None:
            super().__init__(transport=httpx.MockTransport(lambda _: httpx.Response(500)))

    with pytest.raises(Unavailable):
        await IssuersKeys("http://127.0.0.1", MovedClock(), Client).keys("any")


async def test_a_machines_token_need_not_say_when_somebody_signed_in() -> None:
    """REQ-NON-06: by client credentials nobody does (RFC 6749, 4.4); any provider's token with the role alone counts."""
    machine: dict[str, Any] = {"auth_time": None, "entitlements": None, "iat": NOW}

    identity = await a_verifier().verify(a_token(sub="his", roles=["order_placer"], **machine))
    with pytest.raises(NotSignedIn):
        await a_verifier().verify(a_token(roles=["order_placer", "radiologist"], **machine))

    assert (identity.roles, identity.auth_time) == (frozenset({"order_placer"}), NOON)
