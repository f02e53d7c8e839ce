# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates by an authority whose key lies here, or by nobody but themselves.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .disk import certificates_of, read_file
from .keys import certificate_der, load_key, new_key, pem_of_key, sign
from .x509 import Certificate, CertificateError, certificates_in, public_key_of


@dataclasses.dataclass(frozen=True)
class OwnAuthority:
    """An authority's certificate, with its own chain where it has one, and its key."""

    certificate: str
    key: str
    passphrase: str = dataclasses.field(default="", repr=False)


class Signer:
    """Issues without asking anybody.

    :param authority: None: the certificate signs itself.
    :raises CertificateError: when the authority's files cannot be used.
    """

    def __init__(self, authority: OwnAuthority | None, lifetime: int) -> None:
        self.lifetime = lifetime
        self.chain: list[Certificate] = []
        self._authority: t.Any = None
        self._key: t.Any = None
        if authority is not None:
            self._load(authority)

    @property
    def identity(self) -> str:
        """What another authority would not have."""
        return self.chain[0].fingerprint if self.chain else ""

    def issue(self, names: t.Sequence[str], key_type: str, now: datetime.datetime) -> tuple[bytes, list[Certificate]]:
        """A fresh key, and its certificate with the chain above it, without the root."""
        key = new_key(key_type)
        own = sign(key, names, self.lifetime, now, self._authority, self._key)
        above = [each for each in self.chain if not each.is_self_signed]
        return pem_of_key(key), certificates_in(own) + above

    def _load(self, given: OwnAuthority) -> None:
        self.chain = certificates_of(given.certificate)
        pem = read_file(given.certificate)
        self._authority = certificate_der(pem)
        try:
            self._key = load_key(read_file(given.key), given.passphrase)
            public_key = public_key_of(pem_of_key(self._key))
        except CertificateError as exc:
            raise CertificateError(str(exc) if given.key in str(exc) else f"{given.key}: {exc}") from None
        own = self.chain[0]
        if not own.is_authority:
            raise CertificateError(f"{given.certificate} is no certificate of an authority (basicConstraints)")
        if public_key != own.public_key:
            raise CertificateError(f"{given.key} is not the key of {given.certificate}")
        if own.left(datetime.datetime.now(datetime.timezone.utc)) <= 0:
            raise CertificateError(f"the authority in {given.certificate} has ended: make a new one first")
