# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who wrote a manifest: a signature beside it, made and checked with openssl.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

openssl, because each host that has PostgreSQL has it, and a person can check the signature with one command; `dgst`,
because it signs with RSA and elliptic curve keys alike in every version since 1.0.
"""

from __future__ import annotations

import os
import shutil

from .._core.suggest import InputError
from .backup_sets import MANIFEST
from .connection import PostgresError
from .durable import flush
from .processes import ProgramFailed, run

SIGNATURE = "manifest.sig"

_LONGEST_KEY = 1 << 20


def check_signing_key(path: str) -> None:
    """Sign nothing once, before there is anything to sign.

    :raises InputError: when the file is no private key that openssl can sign with.
    :raises PostgresError: when openssl is missing.
    """
    if path:
        _read("signing_key", path)
        _openssl(
            "signing_key", path, "a private key without a passphrase", ["-sign", path, "-out", os.devnull], os.devnull
        )


def sign(directory: str, key: str) -> None:
    """Sign the manifest in a directory, whose name may still change."""
    target = os.path.join(directory, SIGNATURE)
    right = "a private key without a passphrase"
    _openssl("signing_key", key, right, ["-sign", key, "-out", target], os.path.join(directory, MANIFEST))
    flush(target)


def check_public_key(path: str) -> None:
    """:raises InputError: when the file is no public key."""
    if path:
        # openssl of some versions takes a private key for a public one. It must not lie where backups are checked.
        if b"PRIVATE" in _read("public_key", path):
            raise InputError(f"public_key: {path} is not a public key in PEM form, but a private one")
        try:
            run([_program("public_key"), "pkey", "-pubin", "-in", path, "-noout"])
        except ProgramFailed as exc:
            raise InputError(f"public_key: {path} is not a public key in PEM form: {exc}") from exc


def wrong_signature(directory: str, public_key: str) -> str:
    """Why the manifest cannot be trusted to be of the holder of the key; an empty text when it can."""
    signature = os.path.join(directory, SIGNATURE)
    if not os.path.exists(signature):
        return f"{os.path.join(directory, MANIFEST)} is not signed: {SIGNATURE} is missing"
    argv = ["dgst", "-sha256", "-verify", public_key, "-signature", signature, os.path.join(directory, MANIFEST)]
    try:
        run([_program("public_key"), *argv])
    except ProgramFailed:
        return f"the signature {signature} is not that of the holder of {public_key}, or not of this manifest"
    return ""


def _read(option: str, path: str) -> bytes:
    try:
        with open(path, "rb") as handle:
            return handle.read(_LONGEST_KEY)
    except OSError as exc:
        raise InputError(f"{option}: {path} cannot be read: {exc.strerror}") from exc


def _openssl(option: str, path: str, right: str, arguments: list[str], data: str) -> None:
    try:
        # Without a passphrase to ask for, a key that has one is refused.
        run([_program(option), "dgst", "-sha256", "-passin", "pass:", *arguments, data])
    except ProgramFailed as exc:
        raise InputError(f"{option}: {path} is not {right} in PEM form that openssl can sign with: {exc}") from exc


def _program(option: str) -> str:
    program = shutil.which("openssl")
    if not program:
        raise PostgresError(f"{option} needs the program openssl, which is not in PATH: install the package openssl")
    return program
