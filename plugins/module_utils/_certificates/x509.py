# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and keys as plain data, read by the library `cryptography` from version 3.3 on.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Of a private key only the digest of its public half leaves this file, and no message quotes what was read.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import hashlib
import re
import typing as t

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
    from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
except ImportError:  # told by need_library(), where somebody can read it
    x509 = None  # type: ignore[assignment]

#: Extended key usages (RFC 5280, 4.2.1.12).
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
ANY_USAGE = "2.5.29.37.0"

_PEM = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----(.*?)-----END (?:X509 )?CERTIFICATE-----", re.DOTALL)
_BEGIN = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----")
_KEY = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
#: RFC 7633: the server promises to staple an answer of the OCSP responder.
_STATUS_REQUEST = 5


class CertificateError(Exception):
    """A certificate or a key that cannot be read or used; the text says why, and quotes no key."""


def need_library() -> None:
    """:raises CertificateError: when the library is missing."""
    if x509 is None:
        raise CertificateError("cryptography is missing for this Python: install python3-cryptography")


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What this collection asks of a certificate."""

    der: bytes = dataclasses.field(repr=False)
    subject: str
    issuer: str
    serial: str
    fingerprint: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    #: DNS names and IP addresses of the subjectAltName. The common name counts nowhere any more (RFC 9525).
    names: tuple[str, ...]
    common_name: str
    key_type: str
    key_size: int
    signature_hash: str
    #: Digest of the public key: the same as that of the private key that belongs to it.
    public_key: str
    is_authority: bool
    #: None: it may be used for anything.
    usages: tuple[str, ...] | None
    must_staple: bool
    ocsp_urls: tuple[str, ...]

    @property
    def lifetime(self) -> float:
        """Seconds from the first to the last moment; both count (RFC 5280, 4.1.2.5)."""
        return (self.not_after - self.not_before).total_seconds() + 1

    def left(self, now: datetime.datetime) -> float:
        """Seconds until it ends; negative when it has ended."""
        return (self.not_after - now).total_seconds()

    def fraction_left(self, now: datetime.datetime) -> float:
        """The share of the lifetime that is left, from 1 to 0; negative when it has ended."""
        return min(1.0, self.left(now) / self.lifetime)

    @property
    def is_self_signed(self) -> bool:
        return self.subject == self.issuer

    @property
    def serves(self) -> bool:
        """Whether a TLS server may use it."""
        return self.usages is None or bool({SERVER_AUTH, ANY_USAGE} & set(self.usages))


def certificate_from_der(der: bytes) -> Certificate:
    """:raises CertificateError: when it is none, or one that the library refuses."""
    need_library()
    try:
        return _read(der, x509.load_der_x509_certificate(der))
    except (ValueError, TypeError, x509.DuplicateExtension, UnsupportedAlgorithm) as exc:
        raise CertificateError(f"a certificate cannot be read: {exc}") from None


def certificates_in(data: bytes) -> list[Certificate]:
    """All certificates of a PEM file, in the order of the file.

    :raises CertificateError: when there is none, or one of them cannot be read.
    """
    found = []
    for number, match in enumerate(_PEM.finditer(data), 1):
        try:
            der = base64.b64decode(b"".join(match.group(1).split()), validate=True)
            found.append(certificate_from_der(der))
        except (binascii.Error, CertificateError) as exc:
            raise CertificateError(f"certificate {number} in it cannot be read: {exc}") from None
    if len(_BEGIN.findall(data)) > len(found):
        raise CertificateError("its last certificate was cut off")
    if not found:
        raise CertificateError("it has no certificate in PEM format")
    return found


def key_blocks(data: bytes) -> list[bytes]:
    """The private keys of a PEM file, as they stand there."""
    return [match.group(0) for match in _KEY.finditer(data)]


def public_key_of(data: bytes) -> str:
    """The digest of the public half of the only private key in PEM data, as in L{Certificate.public_key}.

    :raises CertificateError: when there is none, more than one, or one that a server could not use by itself.
    """
    need_library()
    blocks = key_blocks(data)
    if len(blocks) != 1:
        raise CertificateError(f"it has {len(blocks) or 'no'} private key{'s' if blocks else ''} in PEM format")
    try:
        key = serialization.load_pem_private_key(blocks[0] + b"\n", None)
    except TypeError:
        raise CertificateError("its key is encrypted: no server could start with it by itself") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError("its key cannot be read: it is damaged, or of a kind that is not known") from None
    return _digest_of(key.public_key())


def _read(der: bytes, given: t.Any) -> Certificate:
    extensions = {extension.oid.dotted_string: extension.value for extension in given.extensions}
    alternative, usages = extensions.get("2.5.29.17"), extensions.get("2.5.29.37")
    basic, feature = extensions.get("2.5.29.19"), extensions.get("1.3.6.1.5.5.7.1.24")
    common = given.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    key_type, key_size = _kind_of(given)
    hashing = _hash_of(given)
    return Certificate(
        der=der,
        subject=given.subject.rfc4514_string(),
        issuer=given.issuer.rfc4514_string(),
        serial=f"{given.serial_number:x}",
        fingerprint=hashlib.sha256(der).hexdigest(),
        not_before=_moment(given, "not_valid_before"),
        not_after=_moment(given, "not_valid_after"),
        names=_names_of(alternative),
        common_name=str(common[0].value) if common else "",
        key_type=key_type,
        key_size=key_size,
        signature_hash=hashing,
        public_key=_digest_of(given.public_key()) if key_type != "unknown" else "",
        is_authority=bool(basic and basic.ca),
        usages=None if usages is None else tuple(usage.dotted_string for usage in usages),
        must_staple=any(kind.value == _STATUS_REQUEST for kind in feature or ()),
        ocsp_urls=_responders_of(extensions.get("1.3.6.1.5.5.7.1.1")),
    )


def _moment(given: t.Any, name: str) -> datetime.datetime:
    """Version 42 has both, and warns of the one that is all that older ones have."""
    aware = getattr(given, f"{name}_utc", None)
    moment = aware if aware is not None else getattr(given, name).replace(tzinfo=datetime.timezone.utc)
    return t.cast("datetime.datetime", moment)


def _names_of(alternative: t.Any) -> tuple[str, ...]:
    if alternative is None:
        return ()
    names = list(alternative.get_values_for_type(x509.DNSName))
    return tuple(names + [str(address) for address in alternative.get_values_for_type(x509.IPAddress)])


def _responders_of(access: t.Any) -> tuple[str, ...]:
    wanted = AuthorityInformationAccessOID.OCSP
    return tuple(str(entry.access_location.value) for entry in access or () if entry.access_method == wanted)


def _hash_of(given: t.Any) -> str:
    try:
        algorithm = given.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    # Ed25519 and Ed448 hash by themselves.
    return str(algorithm.name) if algorithm is not None else "none"


def _kind_of(given: t.Any) -> tuple[str, int]:
    try:
        key = given.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "unknown", 0
    kinds = (("rsa", rsa.RSAPublicKey), ("ec", ec.EllipticCurvePublicKey), ("dsa", dsa.DSAPublicKey))
    for name, kind in kinds:
        if isinstance(key, kind):
            return name, int(key.key_size)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519", 256
    return ("ed448", 456) if isinstance(key, ed448.Ed448PublicKey) else ("unknown", 0)


def _digest_of(public_key: t.Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    try:
        return hashlib.sha256(public_key.public_bytes(serialization.Encoding.DER, form)).hexdigest()
    except (AttributeError, ValueError):
        raise CertificateError("the key is of a kind that no TLS server uses") from None
