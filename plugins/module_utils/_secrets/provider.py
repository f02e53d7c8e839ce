# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every service that gives out API keys can do: list them, make one, try one, close and open one, delete one.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A key has an identifier, which is no secret, and a secret, which the service tells once, when the key is made.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

Moment = datetime.datetime


class ProviderError(Exception):
    """A service that cannot be reached, or that refuses; the text names the cause, never a secret."""


@dataclasses.dataclass(frozen=True)
class Key:
    """One key as the service lists it.

    :param used: when it was last used; nothing when it never was, or when `tells_use` is false.
    :param tells_use: whether the service knows when it was used at all.
    """

    id: str
    active: bool
    created: Moment | None = None
    used: Moment | None = None
    tells_use: bool = True


class Provider(t.Protocol):
    """The keys of one account at one service. Each method may be called again after having been killed half-way."""

    @property
    def id_field(self) -> str:
        """The name under which the identifier stands in the store."""

    @property
    def secret_field(self) -> str:
        """The name under which the secret stands there."""

    @property
    def place(self) -> str:
        """Whose keys, for people."""

    def list_keys(self) -> list[Key]:
        """All keys of the account, those that are closed, too."""

    def create(self) -> dict[str, str]:
        """Make a key: what is stored of it, with both fields."""

    def refusal(self, value: t.Mapping[str, t.Any]) -> str:
        """Use a key: an empty text when it is let in, else why not.

        :raises ProviderError: when that could not be seen.
        """

    def enable(self, key: str) -> None: ...

    def disable(self, key: str) -> None: ...

    def delete(self, key: str) -> None:
        """Delete a key; nothing happens when it is gone already."""


def find(keys: t.Iterable[Key], key: str) -> Key | None:
    return next((found for found in keys if found.id == key), None)
