# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private keys made anew, requests for certificates, and certificates that we sign ourselves.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import ipaddress
import typing as t

from .names import is_address
from .x509 import Certificate, CertificateError

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:  # told by need_library(), where somebody can read it
    x509 = None  # type: ignore[assignment]

#: By name: type and size, as a certificate tells them.
KINDS = {
    "ecdsa-p256": ("ec", 256),
    "ecdsa-p384": ("ec", 384),
    "rsa-2048": ("rsa", 2048),
    "rsa-3072": ("rsa", 3072),
    "rsa-4096": ("rsa", 4096),
}

#: Clocks differ: a certificate of ours is valid from a little before it was made.
_BEFORE = datetime.timedelta(minutes=5)
_LONGEST_COMMON_NAME = 64  # RFC 5280, ub-common-name


def new_key(kind: str) -> t.Any:
    family, bits = KINDS[kind]
    if family == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return ec.generate_private_key(ec.SECP256R1() if bits == KINDS["ecdsa-p256"][1] else ec.SECP384R1())


def pem_of_key(key: t.Any) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def load_key(data: bytes, passphrase: str = "") -> t.Any:
    """:raises CertificateError: when it is no private key, or the passphrase is wrong; the text quotes neither."""
    try:
        return serialization.load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except TypeError:
        told = "is not encrypted, and a passphrase was given" if passphrase else "is encrypted: give its passphrase"
        raise CertificateError(f"the key {told}") from None
    except (ValueError, UnsupportedAlgorithm):
        told = "it is damaged, or the passphrase is wrong" if passphrase else "it is damaged, or of an unknown kind"
        raise CertificateError(f"the key cannot be read: {told}") from None


def is_of_kind(certificate: Certificate, kind: str) -> bool:
    return (certificate.key_type, certificate.key_size) == KINDS[kind]


def request_for(key: t.Any, names: t.Iterable[str]) -> bytes:
    """A request (RFC 2986) for these names, without a common name, in DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.add_extension(_alternative(names), critical=False).sign(key, hashes.SHA256())
    return bytes(request.public_bytes(serialization.Encoding.DER))


def certificate_der(pem: bytes) -> t.Any:
    """:raises CertificateError: when it is none."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as exc:
        raise CertificateError(f"the certificate cannot be read: {exc}") from None


def authority_identifier(der: bytes) -> bytes | None:
    """The key identifier in the authorityKeyIdentifier; None where a certificate has none."""
    try:
        found = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        return None
    return found.value.key_identifier


def is_signed_by(certificate: bytes, authority: bytes) -> bool:
    """Whether the signature of a certificate (DER) is of the key in another one (DER)."""
    signed, signer = (x509.load_der_x509_certificate(der) for der in (certificate, authority))
    key, digest = signer.public_key(), signed.signature_hash_algorithm
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signed.signature, signed.tbs_certificate_bytes, padding.PKCS1v15(), digest)  # type: ignore[arg-type]
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signed.signature, signed.tbs_certificate_bytes, ec.ECDSA(digest))  # type: ignore[arg-type]
        else:
            key.verify(signed.signature, signed.tbs_certificate_bytes)  # type: ignore[call-arg, union-attr]
    except (InvalidSignature, TypeError, AttributeError):
        return False
    return True


def sign(
    key: t.Any,
    names: t.Sequence[str],
    lifetime: int,
    now: datetime.datetime,
    authority: t.Any = None,
    authority_key: t.Any = None,
) -> bytes:
    """A certificate in PEM, by an authority or, without one, by itself. It never outlives its authority."""
    begins = now.replace(microsecond=0) - _BEFORE
    subject = _subject(names[0])
    signer, issuer = (authority_key, authority.subject) if authority is not None else (key, subject)
    if authority is not None:
        begins = max(begins, _moment(authority, "not_valid_before"))
    ends = begins + datetime.timedelta(seconds=lifetime)
    if authority is not None:
        ends = min(ends, _moment(authority, "not_valid_after"))
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    # Old versions take moments in UTC that do not say so; new ones take both.
    builder = builder.not_valid_before(begins.replace(tzinfo=None)).not_valid_after(ends.replace(tzinfo=None))
    for extension, critical in _extensions(key, names, authority, signer):
        builder = builder.add_extension(extension, critical=critical)
    digest = None if not isinstance(signer, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)) else hashes.SHA256()
    return bytes(builder.sign(signer, digest).public_bytes(serialization.Encoding.PEM))


def _extensions(key: t.Any, names: t.Sequence[str], authority: t.Any, signer: t.Any) -> list[tuple[t.Any, bool]]:
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=isinstance(key, rsa.RSAPrivateKey),
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (_alternative(names), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (_authority_identifier(authority, signer), False),
    ]


def _authority_identifier(authority: t.Any, signer: t.Any) -> t.Any:
    if authority is not None:
        try:
            own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
            return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)
        except x509.ExtensionNotFound:
            pass
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())


def _subject(name: str) -> t.Any:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if len(name) <= _LONGEST_COMMON_NAME else [])


def _alternative(names: t.Iterable[str]) -> t.Any:
    return x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name) for name in names]
    )


def _moment(certificate: t.Any, name: str) -> datetime.datetime:
    aware = getattr(certificate, f"{name}_utc", None)
    moment = aware if aware is not None else getattr(certificate, name).replace(tzinfo=datetime.timezone.utc)
    return t.cast("datetime.datetime", moment)
