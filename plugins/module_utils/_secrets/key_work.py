# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rotation of keys works on, what the module returns of it, and what its steps ask in the place of a server.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.clock import utc_now, write_time
from .._core.health import Health
from . import keys
from . import store as stores
from .consumers import Consumer
from .keys import Lives
from .rotation import Others
from .steps import Reload
from .store import Secret, Store, StoreError


@dataclasses.dataclass(frozen=True)
class KeyWork:
    """Everything that a rotation of keys needs.

    :param present: a shared secret that is in use, for a store that has none yet.
    """

    store: Store
    algorithm: str
    lives: Lives
    period: int
    from_percent: int
    force: bool
    emergency: bool
    consumers: tuple[Consumer, ...]
    health: Health
    state_dir: str
    present: str = dataclasses.field(default="", repr=False)
    others: Others = dataclasses.field(default_factory=Others)
    now: t.Callable[[], datetime.datetime] = utc_now


@dataclasses.dataclass
class KeyOutcome:
    """What the module returns beside the result."""

    changed: bool = False
    moves: list[str] = dataclasses.field(default_factory=list)
    next_move: str = ""
    next_at: str = ""
    version: str = ""
    keys: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    written: list[str] = dataclasses.field(default_factory=list)
    #: Other hosts that have not been seen to use what is current.
    missing_hosts: list[str] = dataclasses.field(default_factory=list)
    before: str = ""
    after: str = ""

    def beside(self) -> dict[str, t.Any]:
        return {
            "moves": self.moves,
            "next_move": self.next_move,
            "next_at": self.next_at,
            "version": self.version,
            "keys": self.keys,
            "written": self.written,
            "missing_hosts": self.missing_hosts,
            "diff": {"before": self.before, "after": self.after},
        }


class Keys:
    """What the steps of a rotation ask of the keys, in the place of a server."""

    errors: tuple[type[Exception], ...] = ()
    strategy = "keys"
    overlaps = True

    def __init__(self, work: KeyWork, move: str, brought: str = "") -> None:
        """:param brought: the version that this run has seen the consumers take up already."""
        self.name = work.store.place
        self.brought = brought
        self._now = work.now
        self._move = move

    def moment(self) -> str:
        return write_time(self._now())

    def new_value(self, current: stores.Value, _user: str, _password: str) -> dict[str, t.Any]:
        return keys.moved(self._move, current, self._now())

    def fields(self, secret: Secret) -> dict[str, str]:
        return keys.fields(secret.value)

    def hidden(self, secret: Secret) -> set[str]:
        return keys.hidden(secret.value)

    def watch_failures(self) -> None:
        """Nobody sees who was refused with a token."""

    def reopen(self, old: Secret) -> None:
        """The old keys are in both."""

    def new_uses(self, _user: str, _after: str, _application: str) -> list[str]:
        return []


class Bring(Reload):
    """See that the consumers have what is current, before it is noted that they do."""

    name = "bring"

    def is_done(self) -> bool:
        brought = getattr(self.rotation.target, "brought", "")
        return brought == self.rotation.old_version or super().is_done()

    def _secret(self) -> Secret:
        old = self.rotation.old()
        if old is None:
            raise StoreError(f"{self.rotation.store.place} has no version {self.rotation.old_version} any more")
        return old

    def take_back(self) -> None:
        """Nothing: they have what they should have."""
