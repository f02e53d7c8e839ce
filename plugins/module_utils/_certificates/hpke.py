# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hybrid public key encryption (RFC 9180) in its plainest form: one message, to the owner of one key.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Of the suites of that standard this is DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, mode base. Its curve and
cipher are in every build of OpenSSL, also in those that take nothing but what FIPS 140 names. The library cryptography
has HPKE itself in its newest releases only; hosts have older ones.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import typing as t

from .x509 import CertificateError

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:  # told by need_library(), where somebody can read it
    ec = None  # type: ignore[assignment]

_VERSION = b"HPKE-v1"
_KEM = b"KEM" + struct.pack(">H", 0x0010)
_HPKE = b"HPKE" + struct.pack(">HHH", 0x0010, 0x0001, 0x0001)
_BASE = b"\0"
_POINT, _KEY, _NONCE, _SECRET = 65, 16, 12, 32


class HpkeError(CertificateError):
    """It is for somebody else, or was changed on its way; the text quotes nothing of it."""


def public_bytes(key: t.Any) -> bytes:
    """The public half of a private key, as the standard writes it."""
    form = serialization.PublicFormat.UncompressedPoint
    return bytes(key.public_key().public_bytes(serialization.Encoding.X962, form))


def seal(recipient: bytes, info: bytes, message: bytes) -> bytes:
    """A message that only the owner of the recipient's key can open, and only for the same purpose.

    :param info: what it is for.
    :raises HpkeError: when the recipient's key is none.
    """
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    sent = public_bytes(ephemeral)
    secret = _shared(ephemeral.exchange(ec.ECDH(), _point(recipient)), sent, recipient)
    key, nonce = _scheduled(secret, info)
    return sent + AESGCM(key).encrypt(nonce, message, b"")


def unseal(key: t.Any, info: bytes, sealed: bytes, about: bytes = b"") -> bytes:
    """:raises HpkeError: when this key does not open it, or it was made for another purpose."""
    sent, content = sealed[:_POINT], sealed[_POINT:]
    secret = _shared(key.exchange(ec.ECDH(), _point(sent)), sent, public_bytes(key))
    aead_key, nonce = _scheduled(secret, info)
    try:
        return bytes(AESGCM(aead_key).decrypt(nonce, content, about))
    except (InvalidTag, ValueError):
        raise HpkeError("it was sealed for another key or purpose, or changed on its way") from None


def _point(data: bytes) -> t.Any:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except ValueError:
        raise HpkeError("it has no public key of P-256 where there should be one") from None


def _shared(agreed: bytes, sent: bytes, recipient: bytes) -> bytes:
    """ExtractAndExpand of section 4.1."""
    return _expand(_KEM, _extract(_KEM, b"", b"eae_prk", agreed), b"shared_secret", sent + recipient, _SECRET)


def _scheduled(secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of the first message, by the key schedule of section 5.1."""
    context = _BASE + _extract(_HPKE, b"", b"psk_id_hash", b"") + _extract(_HPKE, b"", b"info_hash", info)
    base = _extract(_HPKE, secret, b"secret", b"")
    return _expand(_HPKE, base, b"key", context, _KEY), _expand(_HPKE, base, b"base_nonce", context, _NONCE)


def _extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.new(salt, _VERSION + suite + label + material, hashlib.sha256).digest()


def _expand(suite: bytes, base: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """One block of HKDF-Expand (RFC 5869) is as much as is ever wanted here."""
    told = struct.pack(">H", length) + _VERSION + suite + label + info
    return hmac.new(base, told + b"\1", hashlib.sha256).digest()[:length]
