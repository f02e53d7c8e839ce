# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fits into memory, encrypted with the program age: what is in clear goes through pipes only.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import typing as t

from .suggest import InputError

SUFFIX = ".age"

_TIMEOUT = 60
_SHOWN = 16
_PUBLIC = re.compile(r"age1[0-9a-z]{20,}|ssh-(?:ed25519|rsa) [A-Za-z0-9+/=]{20,}(?: [^\n\r\0]*)?")
_RIGHT = "give public keys, which begin with age1, ssh-ed25519 or ssh-rsa"
_PRIVATE = re.compile(r"AGE-(?:SECRET-KEY|PLUGIN)-|-----BEGIN|PRIVATE\s+KEY|^b3BlbnNzaC1rZXk", re.IGNORECASE)


class SealError(Exception):
    """Something cannot be encrypted or decrypted; the text says why."""


def check_recipients(recipients: t.Sequence[str], option: str = "recipients") -> None:
    """:raises InputError: naming the place of what is no public key; a private key is never shown."""
    for number, recipient in enumerate(recipients, 1):
        where = f"{option}: entry {number}"
        if _PRIVATE.search(recipient):
            raise InputError(f"{where} is a private key (which is not shown here): {_RIGHT}")
        if not _PUBLIC.fullmatch(recipient):
            raise InputError(f"{where} begins with {recipient[:_SHOWN]!r}: {_RIGHT}")
    doubled = {recipient for recipient in recipients if recipients.count(recipient) > 1}
    if doubled:
        raise InputError(f"{option}: entry {min(recipients.index(one) for one in doubled) + 1} is there twice")


def seal(content: bytes, recipients: t.Sequence[str]) -> bytes:
    """:raises SealError: with what age said."""
    words = [word for recipient in recipients for word in ("-r", recipient)]
    return _age([*words], content, "recipients")


def unseal(content: bytes, identity_file: str) -> bytes:
    """:raises SealError: when the private key in that file does not open it."""
    return _age(["--decrypt", "-i", identity_file], content, "identity_file")


def _age(words: t.Sequence[str], content: bytes, option: str) -> bytes:
    program = shutil.which("age")
    if not program:
        raise SealError(f"{option} needs the program age, which is not in PATH: install the package age")
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
        raise SealError(f"age cannot be run: {exc}") from exc
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise SealError(f"age ended with status {done.returncode}: {said}")
    return done.stdout
