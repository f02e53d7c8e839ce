# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption with the program age: what is in clear goes through pipes only, never through a file or an argument.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import typing as t

from .._core.suggest import InputError
from .store import StoreError

_TIMEOUT = 60
_SHOWN = 16
_PUBLIC = re.compile(r"age1[0-9a-z]{20,}|ssh-(?:ed25519|rsa) [A-Za-z0-9+/=]{20,}(?: [^\n\r\0]*)?")
_PRIVATE = re.compile(r"AGE-(?:SECRET-KEY|PLUGIN)-|-----BEGIN|PRIVATE\s+KEY", re.IGNORECASE)


def check_recipients(recipients: t.Sequence[str]) -> None:
    """:raises InputError: naming the place of what is no public key; a private key is never shown."""
    right = "give public keys, which begin with age1, ssh-ed25519 or ssh-rsa"
    if not recipients:
        raise InputError(f"store.recipients is empty: {right}")
    for number, recipient in enumerate(recipients, 1):
        where = f"store.recipients: entry {number}"
        if _PRIVATE.search(recipient):
            raise InputError(f"{where} is a private key (which is not shown here): {right}")
        if not _PUBLIC.fullmatch(recipient):
            raise InputError(f"{where} begins with {recipient[:_SHOWN]!r}: {right}")


def seal(content: bytes, recipients: t.Sequence[str]) -> bytes:
    """:raises StoreError: with what age said."""
    return _age([word for recipient in recipients for word in ("-r", recipient)], content)


def unseal(content: bytes, identity_file: str) -> bytes:
    """:raises StoreError: when the private key in that file does not open it."""
    return _age(["--decrypt", "-i", identity_file], content)


def _age(words: t.Sequence[str], content: bytes) -> bytes:
    program = shutil.which("age")
    if not program:
        raise StoreError("the program age is not in PATH: install the package age")
    try:
        done = subprocess.run(
            [program, *words],
            input=content,
            capture_output=True,
            timeout=_TIMEOUT,
            start_new_session=True,  # without a terminal it cannot wait for a passphrase
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise StoreError(f"age cannot be run: {type(exc).__name__}") from None
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise StoreError(f"age ended with status {done.returncode}: {said}")
    return done.stdout
