# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hybrid public key encryption: the standard's own vector, and what must not open."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.hpke import (
    HpkeError,
    public_bytes,
    seal,
    unseal,
)

# RFC 9180, A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, mode base, the first message.
_INFO = b"Ode on a Grecian Urn"
_RECIPIENT = 0xF3CE7FDAE57E1A310D87F1EBBDE6F328BE0A99CDBCADF4D6589CF29DE4B8FFD2
_SENT = bytes.fromhex(
    "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b32"
    "5ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4"
)
_CONTENT = bytes.fromhex("5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434")


def test_the_vector_of_the_standard_opens() -> None:
    key = ec.derive_private_key(_RECIPIENT, ec.SECP256R1())
    assert unseal(key, _INFO, _SENT + _CONTENT, b"Count-0") == b"Beauty is truth, truth beauty"


def test_what_is_sealed_opens_for_one_key_and_purpose_only() -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _number in range(2))
    message = b"x" * 5000
    sealed = seal(public_bytes(key), b"purpose", message)
    assert unseal(key, b"purpose", sealed) == message
    assert seal(public_bytes(key), b"purpose", message) != sealed
    changed = bytearray(sealed)
    changed[-1] ^= 1
    for who, what, given in (
        (other, b"purpose", sealed),
        (key, b"another purpose", sealed),
        (key, b"purpose", bytes(changed)),
        (key, b"purpose", sealed[:-1]),
        (key, b"purpose", sealed[:70]),
        (key, b"purpose", b""),
        (key, b"purpose", b"\x04" + bytes(64) + sealed[65:]),
    ):
        with pytest.raises(HpkeError):
            unseal(who, what, given)


def test_nothing_is_sealed_to_what_is_no_key() -> None:
    for recipient in (b"", b"x", b"\x04" + b"\x01" * 64):
        with pytest.raises(HpkeError, match="no public key of P-256"):
            seal(recipient, b"purpose", b"message")
