# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verifier against a published example, and SASLprep against the examples of its RFC."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation_scram import (
    salt_of,
    saslprep,
    verifier,
)


def test_it_fits_the_exchange_of_rfc_7677() -> None:
    """The RFC shows what client and server send: both must follow from our two keys."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    _name, _iterations, keys = verifier("pencil", salt, 4096).split("$")
    stored, server = (base64.b64decode(key) for key in keys.split(":"))
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}".encode()
    signature = hmac.new(stored, message, hashlib.sha256).digest()
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client = bytes(one ^ other for one, other in zip(signature, proof))
    assert hashlib.sha256(client).digest() == stored
    told = hmac.new(server, message, hashlib.sha256).digest()
    assert base64.b64encode(told) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.parametrize(
    ("given", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("\u0007", None),
        ("\u0627\u0031", None),
        ("\u00adx\u00a0y", "x y"),
        ("\u00ad", None),
    ],
)
def test_saslprep_does_what_the_rfc_shows(given: str, prepared: str | None) -> None:
    assert saslprep(given) == prepared


def test_a_salt_is_the_same_again_for_a_version_and_no_other() -> None:
    salts = {salt_of(version, user) for version in ("one", "two") for user in ("a", "b")}
    assert len(salts) == 4
    assert all(len(salt) == 16 for salt in salts)
    assert salt_of("one", "a") in salts
    assert verifier("x", salt_of("one", "a")) == verifier("x", salt_of("one", "a"))
