# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of any date, name and fault, by an authority of the test's own."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import pathlib
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def pem_of_key(key: t.Any, password: bytes = b"") -> bytes:
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))


def ec_key() -> t.Any:
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits: int = 2048) -> t.Any:
    return rsa.generate_private_key(65537, bits)


@dataclasses.dataclass
class Issued:
    """A certificate, its key, and the chain above it, the issuer first and the root left out."""

    certificate: t.Any
    key: t.Any
    above: tuple[t.Any, ...] = ()

    @property
    def pem(self) -> bytes:
        return bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def fullchain(self) -> bytes:
        return self.pem + b"".join(each.public_bytes(serialization.Encoding.PEM) for each in self.above)

    @property
    def key_pem(self) -> bytes:
        return pem_of_key(self.key)

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()  # type: ignore[no-any-return]

    def write(self, directory: pathlib.Path, name: str = "site") -> Pair:
        directory.mkdir(parents=True, exist_ok=True)
        pair = Pair(directory / f"{name}.pem", directory / f"{name}.key")
        pair.certificate.write_bytes(self.fullchain)
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(self.key_pem)
        return pair


@dataclasses.dataclass(frozen=True)
class Pair:
    """Where a certificate with its chain, and its key, lie."""

    certificate: pathlib.Path
    key: pathlib.Path


def _name(common: str) -> t.Any:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """A root, or an authority below another one."""

    def __init__(
        self,
        common: str = "Test Root",
        parent: Authority | None = None,
        begins: datetime.datetime | None = None,
        ends: datetime.datetime | None = None,
    ) -> None:
        self.common = common
        self.key = ec_key()
        self.parent = parent
        signer = parent or self
        self.certificate = _build(
            _name(common), _name(signer.common), self.key, begins or now() - 365 * DAY, ends or now() + 3650 * DAY,
            [(x509.BasicConstraints(ca=True, path_length=None), True)], signer.key,
        )  # fmt: skip

    @property
    def pem(self) -> bytes:
        return bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def above(self) -> tuple[t.Any, ...]:
        """From this authority up to, and without, the root."""
        return (self.certificate, *self.parent.above) if self.parent else ()

    def write(self, directory: pathlib.Path, name: str = "authorities.pem") -> str:
        path = directory / name
        path.write_bytes(self.pem)
        return str(path)

    def issue(
        self,
        *names: str,
        days: float = 90,
        left: float = 60,
        key: t.Any = None,
        usages: tuple[t.Any, ...] | None = SERVER,
        must_staple: bool = False,
        ocsp: str = "",
    ) -> Issued:
        """A certificate that lives for so many days, of which so many are left; negative when it has ended."""
        ends = now() + left * DAY
        key = key or ec_key()
        extensions: list[tuple[t.Any, bool]] = [(x509.BasicConstraints(ca=False, path_length=None), True)]
        if names:
            extensions.append((x509.SubjectAlternativeName([_general(name) for name in names]), False))
        if usages is not None:
            extensions.append((x509.ExtendedKeyUsage(usages), False))
        if must_staple:
            extensions.append((x509.TLSFeature([x509.TLSFeatureType.status_request]), False))
        if ocsp:
            place = x509.UniformResourceIdentifier(ocsp)
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
            extensions.append((x509.AuthorityInformationAccess([access]), False))
        common = _name(names[0] if names else "nameless")
        certificate = _build(common, _name(self.common), key, ends - days * DAY, ends, extensions, self.key)
        return Issued(certificate, key, self.above)


def ocsp_answer(issued: Issued, authority: Authority) -> bytes:
    """What an OCSP responder says of a certificate that is well, in DER."""
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=issued.certificate,
        issuer=authority.certificate,
        algorithm=hashes.SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=now() - DAY,
        next_update=now() + DAY,
        revocation_time=None,
        revocation_reason=None,
    )
    answer = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate)
    return bytes(answer.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


def self_signed(*names: str, days: float = 90, left: float = 60) -> Issued:
    key, ends = ec_key(), now() + left * DAY
    extensions = [(x509.SubjectAlternativeName([_general(name) for name in names]), False)]
    common = _name(names[0])
    return Issued(_build(common, common, key, ends - days * DAY, ends, extensions, key), key)


def _general(name: str) -> t.Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _build(
    subject: t.Any,
    issuer: t.Any,
    key: t.Any,
    begins: datetime.datetime,
    ends: datetime.datetime,
    extensions: t.Sequence[tuple[t.Any, bool]],
    signer: t.Any,
) -> t.Any:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    # Versions before 42 take moments in UTC without saying so.
    builder = builder.not_valid_before(begins.replace(tzinfo=None)).not_valid_after(ends.replace(tzinfo=None))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer, hashes.SHA256())
