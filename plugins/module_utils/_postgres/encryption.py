# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that only the holder of a private key can read: what the program age encrypts and decrypts.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The host that backs up knows public keys only. What is encrypted goes from pg_dump's memory into age's by a pipe, so
that no disk ever holds it in clear.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import re
import shutil
import typing as t

from .._core.sealing import check_recipients
from .._core.suggest import InputError
from .connection import PostgresError
from .pipeline import in_memory, run_pipeline
from .processes import ProgramFailed, output_of, run

_SHOWN = 16

# What age says when the file is to blame. All else is said of the key, or of this host.
_SPOILT_FILE = ("failed to decrypt and authenticate payload", "unexpected EOF", "failed to read header", "bad header")


_LONGEST_IDENTITY = 1 << 20
_WITH_PASSPHRASE = (b"age-encryption.org/v1", b"AGE ENCRYPTED FILE", b"ENCRYPTED")
_OPENSSH = re.compile(rb"-----BEGIN OPENSSH PRIVATE[ ]KEY-----([A-Za-z0-9+/=\s]+)-----END")


class NoKey(PostgresError):
    """There is no key to decrypt with, or it does not fit: nothing is said about the backup."""


@dataclasses.dataclass(frozen=True)
class Seal:
    """Encrypts to public keys."""

    program: str
    recipients: tuple[str, ...]

    @property
    def argv(self) -> list[str]:
        return [self.program, *(word for recipient in self.recipients for word in ("-r", recipient))]

    def write(self, data: bytes, path: str) -> None:
        """Encrypt what is in memory into a new file."""
        source = in_memory(data)
        try:
            run_pipeline([self.argv], path, source=source)
        finally:
            os.close(source)


@dataclasses.dataclass(frozen=True)
class Key:
    """Decrypts with the private keys in a file. Only its path is ever in an argument list."""

    program: str
    identity_file: str

    def argv(self, path: str) -> list[str]:
        return [self.program, "--decrypt", "-i", self.identity_file, path]

    def read(self, path: str) -> bytes:
        """The clear contents of a small file.

        :raises NoKey: when this key cannot open it.
        :raises ProgramFailed: when the file is not what age wrote.
        """
        try:
            return output_of(self.argv(path))
        except ProgramFailed as exc:
            raise self.why_not_opened(exc) from exc

    def why_not_opened(self, exc: ProgramFailed) -> PostgresError:
        """Whether the key or the file is to blame for what age said."""
        if any(words in str(exc) for words in _SPOILT_FILE):
            return exc
        return NoKey(f"the private key in {self.identity_file} does not open it: {exc}")


def find_seal(recipients: t.Sequence[str]) -> Seal | None:
    """What encrypts to these keys, tried once; nothing when there are none.

    :raises InputError: naming the key that age does not take.
    :raises PostgresError: when the program age is missing.
    """
    check_recipients(recipients)
    if not recipients:
        return None
    program = _program("recipients")
    for number, recipient in enumerate(recipients, 1):
        try:
            run([*Seal(program, (recipient,)).argv, "-o", os.devnull])
        except ProgramFailed as exc:
            shown = recipient[:_SHOWN]
            said = str(exc).replace(recipient, f"{shown}...")
            raise InputError(f"recipients: entry {number} ({shown}...) is refused: {said}") from exc
    return Seal(program, tuple(recipients))


def find_key(identity_file: str) -> Key | None:
    """What decrypts with the private keys in that file; nothing when none is named.

    :raises NoKey: when it cannot be read, or when the program age is missing.
    """
    if not identity_file:
        return None
    try:
        with open(identity_file, "rb") as handle:
            written = handle.read(_LONGEST_IDENTITY)
    except OSError as exc:
        raise NoKey(f"identity_file: {identity_file} cannot be read: {exc.strerror}") from exc
    if _has_passphrase(written):
        # age would ask for it at a terminal, and wait there.
        raise NoKey(f"identity_file: {identity_file} is protected by a passphrase, which nobody is there to type")
    try:
        return Key(_program("identity_file"), identity_file)
    except PostgresError as exc:
        raise NoKey(str(exc)) from exc


def _has_passphrase(key: bytes) -> bool:
    ssh = _OPENSSH.search(key)
    if ssh:
        # The name of the function that makes a key out of the passphrase stands in clear at the beginning.
        return b"bcrypt" in base64.b64decode(b"".join(ssh.group(1).split()))[:100]
    return any(sign in key for sign in _WITH_PASSPHRASE)


def _program(option: str) -> str:
    program = shutil.which("age")
    if not program:
        raise PostgresError(f"{option} needs the program age, which is not in PATH: install the package age")
    return program
