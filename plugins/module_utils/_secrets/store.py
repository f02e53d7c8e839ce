# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every store of secrets can do: keep versions of one secret, and say which one is in use.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A secret has versions. Each has an identifier, and labels that say what it is now: the one in use (current), the one
that is being introduced (pending), the one that was in use before (previous). The identifier of a version that we make
is the token of the rotation that made it. A token makes one value, once and for all.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import secrets
import string
import typing as t
import uuid

from .._core.suggest import InputError

CURRENT, PENDING, PREVIOUS = "current", "pending", "previous"

_TOKEN = re.compile(r"[A-Za-z0-9-]{32,64}")
#: Letters and digits: nothing that a shell, an URL, an env file or a connection string could read as something else.
_ALPHABET = string.ascii_letters + string.digits
SHORTEST_PASSWORD, LONGEST_PASSWORD = 24, 128

Value = t.Mapping[str, t.Any]


class StoreError(Exception):
    """A store that cannot be reached, or that refuses; the text names the place and the cause, never a value."""


class TokenReused(StoreError):
    """The token has made another value already."""


class PendingElsewhere(StoreError):
    """Another version is being introduced."""


class Overtaken(PendingElsewhere):
    """Another version has become the current one meanwhile, so what was to follow the one before has no place."""


@dataclasses.dataclass(frozen=True)
class Version:
    """One version as the store lists it, without its value."""

    id: str
    stages: tuple[str, ...]
    created: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Secret:
    """One version with its value, which is never printed."""

    version: str
    value: Value = dataclasses.field(repr=False)

    @property
    def username(self) -> str:
        return str(self.value.get("username") or "")

    @property
    def password(self) -> str:
        return str(self.value.get("password") or "")


class Store(t.Protocol):
    """One secret in a store. Each method may be called again after having been killed half-way."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    def versions(self) -> list[Version]:
        """All versions that bear a label, and what else the store still lists. No value is read."""

    def read(self, stage: str) -> Secret | None:
        """The version that bears the label; nothing when there is none, or when it has no value."""

    def read_version(self, version: str) -> Secret | None:
        """The version of that identifier; nothing when there is none, or when it has no value."""

    def create_first(self, token: str, value: Value) -> None:
        """Make the first version of a secret that has none, as the current one."""

    def create_pending(self, token: str, value: Value) -> None:
        """Store a value under a token, as the pending one. Again with the same value, nothing happens.

        :raises TokenReused: when the token has made another value.
        :raises PendingElsewhere: when another version than the current one is pending.
        """

    def promote(self, token: str, replaces: str = "") -> None:
        """Make the version of that token the current one, and the one that was it the previous one.

        :param replaces: the version that has to be the current one until then; empty means any. Both are one move of
            the store's own, so of two controllers that have seen the same version, one goes on.
        :raises Overtaken: when another one is.
        """

    def restore(self, version: str, token: str) -> None:
        """Take L{promote} back: that version is the current one again, and that of the token has no label."""

    def withdraw(self, token: str) -> None:
        """Take the label off a pending version; nothing happens when it has none."""

    def retire(self, version: str) -> None:
        """Take the label off a previous version; nothing happens when it has none."""


def labelled(versions: t.Iterable[Version], stage: str) -> Version | None:
    """The version that bears a label."""
    return next((version for version in versions if stage in version.stages), None)


def new_token() -> str:
    return str(uuid.uuid4())


def check_token(token: str) -> None:
    """:raises InputError: for what is no token; AWS takes 32 to 64 characters, and so do all stores here."""
    if not _TOKEN.fullmatch(token):
        raise InputError(f"token {token!r} is none: it must have 32 to 64 letters, digits or hyphens, like an UUID")


def new_password(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _place in range(length))


def encode(value: Value) -> str:
    """The one way to write a value: the same value is the same text, so that storing it again changes nothing."""
    return json.dumps(dict(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def decode(text: str | bytes, where: str) -> dict[str, t.Any]:
    """:raises StoreError: when it is no JSON object; what it is instead is not shown."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise StoreError(f'{where} is no JSON object: it must be like {{"username": ..., "password": ...}}')
    return value
