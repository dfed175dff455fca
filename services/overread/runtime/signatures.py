"""Clinicians' keys, the site CA that certifies them, and the one check that a document was signed by an entitled one.

ECDSA P-256 with SHA-256 (FIPS 186-5); certificates are X.509 v3 (RFC 5280). Validity is judged at `signed_at`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from overread.contracts.errors import OverreadError

CA_VALIDITY = timedelta(days=3650)
CLINICIAN_VALIDITY = timedelta(days=365)
ENTITLEMENT_SIGN = "sign"


class SignatureRefused(OverreadError):
    """The signature does not prove that an entitled clinician signed these bytes."""


@dataclass(frozen=True)
class Certified:
    """A private key and its certificate, as PEM."""

    private_key_pem: bytes
    certificate_pem: bytes


def make_site_ca(site_id: str, *, now: datetime, password: bytes) -> Certified:
    """Return a new root for `site_id`; its private key is encrypted with `password`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Overread site CA {site_id}")])
    certificate = (
        _builder(name, name, key.public_key(), now, CA_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _certified(key, certificate, password)


def certify_clinician(ca: Certified, subject: str, site_id: str, *, now: datetime, password: bytes) -> Certified:
    """Return a new key for the clinician `subject`, certified by the site CA; it may sign reports of that site."""
    ca_key = serialization.load_pem_private_key(ca.private_key_pem, password)
    ca_certificate = x509.load_pem_x509_certificate(ca.certificate_pem)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise SignatureRefused("the site CA's key is not an elliptic-curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, subject),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, site_id),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, ENTITLEMENT_SIGN),
        ]
    )
    certificate = (
        _builder(name, ca_certificate.subject, key.public_key(), now, CLINICIAN_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    return _certified(key, certificate, password)


def sign(document: bytes, signer: Certified, *, password: bytes) -> bytes:
    """Return the signature over exactly these bytes."""
    key = serialization.load_pem_private_key(signer.private_key_pem, password)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SignatureRefused("the signing key is not an elliptic-curve key")
    return key.sign(document, ec.ECDSA(hashes.SHA256()))


def check(
    document: bytes, signature: bytes, certificate_pem: str, *, root_pem: str, site_id: str, signed_at: datetime
) -> str:
    """Return the subject who signed `document`, or raise `SignatureRefused` with the first rule that does not hold.

    The certificate was issued by the site's root, was valid at `signed_at`, names this site and the right to sign,
    and its key made the signature over exactly these bytes.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        root = x509.load_pem_x509_certificate(root_pem.encode())
    except ValueError as error:
        raise SignatureRefused("the certificate can't be read") from error
    _check_issued_by(certificate, root)
    if not certificate.not_valid_before_utc <= signed_at <= certificate.not_valid_after_utc:
        raise SignatureRefused("the clinician's certificate was not valid when the report was signed")
    if _one(certificate, NameOID.ORGANIZATION_NAME) != site_id:
        raise SignatureRefused("the clinician's certificate is of another site")
    if _one(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME) != ENTITLEMENT_SIGN:
        raise SignatureRefused("the clinician's certificate does not give the right to sign")
    _check_bytes(document, signature, certificate)
    return _one(certificate, NameOID.COMMON_NAME)


def _check_issued_by(certificate: x509.Certificate, root: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise SignatureRefused("the clinician's certificate was not issued by this site's CA") from error


def _check_bytes(document: bytes, signature: bytes, certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise SignatureRefused("the clinician's key is not an elliptic-curve key")
    try:
        key.verify(signature, document, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise SignatureRefused("the document is not the one that was signed") from error


def _one(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    values = certificate.subject.get_attributes_for_oid(oid)
    return str(values[0].value) if len(values) == 1 else ""


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, validity: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + validity)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=not signs_certificates,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _certified(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, password: bytes) -> Certified:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )
    return Certified(private, certificate.public_bytes(serialization.Encoding.PEM))
