"""The one check that an entitled clinician of this site signed exactly these bytes (promise 3)."""

from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from overread.runtime import signatures
from overread.runtime.signatures import CLINICIAN_VALIDITY, Certified, SignatureRefused
from tests.builders.events import NOON

PASSWORD = b"synthetic"
DOCUMENT = b'{"conclusion":"synthetic"}'
SIGNED_AT = NOON + timedelta(minutes=5)


@pytest.fixture(scope="module")
def ca() -> Certified:
    """Return a site CA."""
    return signatures.make_site_ca("site", now=NOON, password=PASSWORD)


@pytest.fixture(scope="module")
def clinician(ca: Certified) -> Certified:
    """Return a clinician of that site."""
    return signatures.certify_clinician(ca, "dr.test", "site", now=NOON, password=PASSWORD)


def verdict(
    ca: Certified,
    signer: Certified,
    *,
    document: bytes = DOCUMENT,
    signature: bytes | None = None,
    certificate: str | None = None,
    site_id: str = "site",
    signed_at: datetime = SIGNED_AT,
) -> str:
    """Return who signed, as delivery's gate asks."""
    return signatures.check(
        document,
        signature if signature is not None else signatures.sign(DOCUMENT, signer, password=PASSWORD),
        certificate if certificate is not None else signer.certificate_pem.decode(),
        root_pem=ca.certificate_pem.decode(),
        site_id=site_id,
        signed_at=signed_at,
    )


def test_signature_of_an_entitled_clinician_names_the_clinician(ca: Certified, clinician: Certified) -> None:
    """REQ-REV-01."""
    assert verdict(ca, clinician) == "dr.test"


def test_one_changed_bit_is_refused(ca: Certified, clinician: Certified) -> None:
    """The signature is over exactly these bytes."""
    for position in range(len(DOCUMENT)):
        changed = bytearray(DOCUMENT)
        changed[position] ^= 1

        with pytest.raises(SignatureRefused, match="not the one that was signed"):
            verdict(ca, clinician, document=bytes(changed))


@pytest.mark.parametrize("signature", [b"", b"x", b"\x30\x06\x02\x01\x00\x02\x01\x00"])
def test_bytes_that_are_no_signature_are_refused(ca: Certified, clinician: Certified, signature: bytes) -> None:
    """Neither an empty nor an all-zero signature passes."""
    with pytest.raises(SignatureRefused):
        verdict(ca, clinician, signature=signature)


def test_signature_of_another_clinician_is_refused(ca: Certified, clinician: Certified) -> None:
    """The certificate and the signature must belong together."""
    other = signatures.certify_clinician(ca, "dr.other", "site", now=NOON, password=PASSWORD)

    with pytest.raises(SignatureRefused, match="not the one that was signed"):
        verdict(ca, clinician, signature=signatures.sign(DOCUMENT, other, password=PASSWORD))


def test_certificate_of_another_ca_is_refused(ca: Certified) -> None:
    """Delivery trusts the root in its own configuration, and no other; its name alone proves nothing."""
    forged_ca = signatures.make_site_ca("site", now=NOON, password=PASSWORD)
    forged = signatures.certify_clinician(forged_ca, "dr.test", "site", now=NOON, password=PASSWORD)

    with pytest.raises(SignatureRefused, match="not issued by this site's CA"):
        verdict(ca, forged)


def test_certificate_of_another_site_is_refused(ca: Certified, clinician: Certified) -> None:
    """Site isolation holds for signatures too."""
    with pytest.raises(SignatureRefused, match="another site"):
        verdict(ca, clinician, site_id="elsewhere")


@pytest.mark.parametrize("signed_at", [NOON - timedelta(hours=1), NOON + CLINICIAN_VALIDITY + timedelta(seconds=1)])
def test_signing_outside_the_certificates_validity_is_refused(
    ca: Certified, clinician: Certified, signed_at: datetime
) -> None:
    """Validity is judged at `signed_at`, not at the time of the check."""
    with pytest.raises(SignatureRefused, match="not valid when"):
        verdict(ca, clinician, signed_at=signed_at)


@pytest.mark.parametrize(
    "certificate", ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ê"]
)
def test_unreadable_certificate_is_refused(ca: Certified, clinician: Certified, certificate: str) -> None:
    """Bad input gets a clear answer, never a crash."""
    with pytest.raises(SignatureRefused, match="can't be read"):
        verdict(ca, clinician, certificate=certificate)


@pytest.mark.parametrize("units", [[], ["view"], ["sign", "sign"], ["view", "sign"]])
def test_certificate_without_exactly_the_right_to_sign_is_refused(ca: Certified, units: list[str]) -> None:
    """The right to sign is in the certificate, once and in no company."""
    signer = a_certified(ca, units=units)

    with pytest.raises(SignatureRefused, match="right to sign"):
        verdict(ca, signer)


def test_the_cas_own_certificate_signs_no_report(ca: Certified) -> None:
    """Whoever holds the CA's key is no clinician."""
    with pytest.raises(SignatureRefused, match="another site"):
        verdict(ca, ca)


def test_key_of_another_kind_is_refused(ca: Certified, clinician: Certified) -> None:
    """ECDSA P-256 is the one kind we make; another would not be checked as we say."""
    foreign = a_certified(ca, units=["sign"], key=ed25519.Ed25519PrivateKey.generate())

    with pytest.raises(SignatureRefused, match="elliptic-curve"):
        verdict(ca, clinician, certificate=foreign.certificate_pem.decode())
    with pytest.raises(SignatureRefused, match="elliptic-curve"):
        signatures.sign(DOCUMENT, foreign, password=PASSWORD)


def test_private_keys_are_kept_encrypted(ca: Certified, clinician: Certified) -> None:
    """Without the password the key file is useless."""
    assert b"ENCRYPTED" in ca.private_key_pem
    with pytest.raises(ValueError, match="password"):
        signatures.sign(DOCUMENT, clinician, password=b"wrong")


def a_certified(
    ca: Certified, *, units: list[str], key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | None = None
) -> Certified:
    """Return a key that the site's CA certified with other words than `certify_clinician` writes."""
    ca_key = serialization.load_pem_private_key(ca.private_key_pem, PASSWORD)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = key or ec.generate_private_key(ec.SECP256R1())
    words = [(NameOID.COMMON_NAME, "dr.test"), (NameOID.ORGANIZATION_NAME, "site")]
    words += [(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in words]))
        .issuer_name(x509.load_pem_x509_certificate(ca.certificate_pem).subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOON - timedelta(days=1))
        .not_valid_after(NOON + timedelta(days=1))
        .sign(ca_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSWORD),
    )
    return Certified(private, certificate.public_bytes(serialization.Encoding.PEM))
