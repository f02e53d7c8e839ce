# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rotation of one API key: its two keys, how long is waited, and what the steps ask in the place of a server.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
import typing as t

from .._core.clock import write_time
from .._core.durations import format_duration
from . import store as stores
from .provider import Key, Provider, ProviderError, find
from .rotation import Rotation, StaysOpen
from .store import CURRENT, Secret

_PAUSE = 1.0

Moment = datetime.datetime


class Waiting(StaysOpen):
    """The time of the next step has not come; `why` is one of the words of C(waits_for)."""

    def __init__(self, why: str, message: str, until: Moment | None = None) -> None:
        super().__init__(message)
        self.why = why
        self.until = until


@dataclasses.dataclass(frozen=True)
class Waits:
    """Times in seconds.

    :param ready: how long a new key may take until it is let in.
    :param quiet: how long the old key must not have been used before it is closed.
    :param rest: how long it is closed before it is deleted.
    """

    ready: float = 60
    quiet: float = 86400
    rest: float = 7 * 86400


@dataclasses.dataclass
class ApiKeys:
    """What the steps that all secrets have in common ask of an API key, in the place of a server."""

    provider: Provider
    now: t.Callable[[], Moment]

    errors: t.ClassVar[tuple[type[Exception], ...]] = (ProviderError,)
    strategy: t.ClassVar[str] = "api_key"
    overlaps: t.ClassVar[bool] = True

    @property
    def name(self) -> str:
        return self.provider.place

    def moment(self) -> str:
        return write_time(self.now())

    def watch_failures(self) -> None:
        """No service tells who was refused."""

    def reopen(self, old: Secret) -> None:
        """L{TakeUp} sees to it."""

    def fields(self, secret: Secret) -> dict[str, str]:
        return {name: str(value) for name, value in secret.value.items() if isinstance(value, (str, int))}

    def hidden(self, secret: Secret) -> t.AbstractSet[str]:
        text = str(secret.value.get(self.provider.secret_field) or "")
        return {text} if text else set()

    def new_uses(self, _user: str, _after: str, _application: str) -> list[str]:
        return []


@dataclasses.dataclass
class KeyRotation:
    """One rotation of a key.

    :param known: the keys that were there before it: any other one is its own.
    :param switched: when the consumers had the new one; nothing when that is not known yet.
    :param closed: when the old key was closed.
    :param given_out: whether anybody may have been given the new one.
    :param emergency: somebody else knows the old key, so that nothing is waited for.
    """

    rotation: Rotation
    provider: Provider
    waits: Waits
    known: tuple[str, ...]
    now: t.Callable[[], Moment]
    emergency: bool = False
    switched: Moment | None = None
    closed: Moment | None = None
    given_out: bool = False

    def id_of(self, secret: Secret | None) -> str:
        return str(secret.value.get(self.provider.id_field) or "") if secret else ""

    @property
    def new_id(self) -> str:
        return self.id_of(self.rotation.store.read_version(self.rotation.token))

    @property
    def old_id(self) -> str:
        return self.id_of(self.rotation.old())

    def find(self, key: str) -> Key | None:
        return find(self.provider.list_keys(), key)

    def see_old_open(self) -> None:
        """See that the old key is let in, before the new one is taken from anybody.

        A key that others know is not brought back for its own sake, and may have been closed before we came.
        """
        old = self.rotation.old()
        if self.emergency or old is None:
            return
        self.try_out(old, "the old key")

    def try_out(self, secret: Secret, what: str) -> None:
        """:raises ProviderError: when it is not let in, however long a service takes until all of it knows."""
        deadline = time.monotonic() + self.waits.ready
        while True:
            wrong = self.provider.refusal(secret.value)
            if not wrong:
                return
            if time.monotonic() >= deadline:
                after = format_duration(self.waits.ready)
                raise ProviderError(f"{what} {self.id_of(secret)} is not let in after {after}: {wrong}")
            time.sleep(_PAUSE)

    def stored_ids(self) -> set[str]:
        """The keys of all versions that anybody has given a label, and of our own."""
        store = self.rotation.store
        labelled = [version.id for version in store.versions() if version.stages]
        return {self.id_of(store.read_version(version)) for version in (*labelled, self.rotation.token)}

    def is_current(self) -> bool:
        """Whether the store gives out the new key already."""
        current = stores.labelled(self.rotation.store.versions(), CURRENT)
        return current is not None and current.id == self.rotation.token
