# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not lie in a repository in clear: lines with secrets, and files that are secrets.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
import re
import typing as t

from .._core.files import sync_directory, write_all
from .._core.suggest import InputError

_NAMES = r"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key)"
#: What is filtered unless something else is asked for. A group named `secret` is all that is replaced of a line.
PATTERNS = (
    _NAMES + r"""[\w-]*["']?\s*[:=]\s*(?P<secret>\S.*)""",
    r"(?i)^\s*\S*(?:password|passwd|passphrase|secret|token|api[_-]?key)\s+(?P<secret>[^\s=:].*)",
    r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:(?P<secret>[^\s/@]+)@",
)

_KEY_BYTES = 32
_SHOWN = 12
_PRIVATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE" + rb" KEY(?: BLOCK)?-----|AGE-SECRET-KEY-1|PuTTY-User-Key-File-")
#: Files whose very contents are secrets that no pattern tells from other words.
_SECRET_NAMES = re.compile(
    r"(?:g?shadow-?|opasswd|\.pgpass|pgpass\.conf|\.netrc|\.htpasswd|\.vault[_-]?pass\w*|\.git-credentials"
    r"|.*\.(?:jks|keystore|p12|pfx|keytab|kdbx))"
)


class Secrets:
    """Finds them, and puts in their place what shows only that they changed.

    :param key: without it, nobody can try words until one fits a placeholder.
    """

    def __init__(self, patterns: t.Sequence[str], key: bytes) -> None:
        """:raises InputError: naming the pattern that cannot be read."""
        self._key = key
        self._patterns = []
        for pattern in patterns:
            try:
                self._patterns.append(re.compile(pattern.encode()))
            except re.error as exc:
                raise InputError(f"secrets: {pattern!r} is not a regular expression: {exc}") from None

    def digest(self, content: bytes) -> str:
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()

    def filter(self, content: bytes) -> Filtered:
        """The content without secrets, and how many lines had one."""
        lines = content.split(b"\n")
        count = 0
        for number, line in enumerate(lines):
            clean = self._clean(line)
            if clean != line:
                lines[number] = clean
                count += 1
        return Filtered(b"\n".join(lines), count)

    def _clean(self, line: bytes) -> bytes:
        for pattern in self._patterns:
            if "secret" in pattern.groupindex:
                line = pattern.sub(self._without_group, line)
            elif pattern.search(line):
                return self._placeholder(line)
        return line

    def _without_group(self, match: t.Match[bytes]) -> bytes:
        start, end = match.span("secret")
        secret = match.group("secret")
        if start < 0 or secret.startswith(b"<secret:"):
            return match.group()
        begin = match.start()
        return match.group()[: start - begin] + self._placeholder(secret) + match.group()[end - begin :]

    def _placeholder(self, secret: bytes) -> bytes:
        return b"<secret:" + self.digest(secret.strip())[:_SHOWN].encode() + b">"


@dataclasses.dataclass(frozen=True)
class Filtered:
    content: bytes
    lines: int


def why_secret(path: str, content: bytes) -> str:
    """Why a file is a secret as a whole; an empty text when it is not known to be one."""
    if _PRIVATE.search(content):
        return "it holds a private key"
    if _SECRET_NAMES.fullmatch(os.path.basename(path)):
        return "files of this name hold secrets"
    return ""


def load_key(directory: str, make: bool) -> bytes:
    """The key of the placeholders of this host, made at its first use; only in memory where nothing may be made.

    :raises ValueError: when the file is not what we wrote.
    """
    path = os.path.join(directory, "placeholder.key")
    try:
        with open(path, "rb") as handle:
            key = handle.read()
    except FileNotFoundError:
        key = os.urandom(_KEY_BYTES)
        if make:
            _write_key(directory, path, key)
        return key
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path} is damaged: it has {len(key)} bytes instead of {_KEY_BYTES}; remove it")
    return key


def _write_key(directory: str, path: str, key: bytes) -> None:
    os.makedirs(directory, mode=0o700, exist_ok=True)
    temporary = f"{path}.new"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_all(file, key)
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(temporary, path)
    sync_directory(directory)
