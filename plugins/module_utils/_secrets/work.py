# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rotation works on, what it is to do, and what the module returns of it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.health import Health
from .consumers import Consumer
from .gates import Gate
from .placing import Placed
from .rotation import Others, Policy
from .store import Store
from .target import Target


class Stopped(Exception):
    """Nothing was begun, or no more; the text says why."""


class Busy(Exception):
    """Another run is at work."""


@dataclasses.dataclass(frozen=True)
class Need:
    """When it is due, and what a secret that the store does not have yet is now.

    :param present: user and password that are in use, for the very first time only.
    """

    period: int
    from_percent: int = 80
    force: bool = False
    present: tuple[str, str] | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    rotated: bool = False
    version: str = ""
    old_version: str = ""
    planned: list[str] = dataclasses.field(default_factory=list)
    written: list[str] = dataclasses.field(default_factory=list)
    #: Other hosts that have not been seen to use what is current.
    missing_hosts: list[str] = dataclasses.field(default_factory=list)
    #: Whether the next run goes on with it.
    stays_open: bool = False
    before: dict[str, str] = dataclasses.field(default_factory=dict)
    after: dict[str, str] = dataclasses.field(default_factory=dict)

    def beside(self) -> dict[str, t.Any]:
        return {
            "rotated": self.rotated,
            "version": self.version,
            "old_version": self.old_version,
            "planned": self.planned,
            "written": self.written,
            "missing_hosts": self.missing_hosts,
            "stays_open": self.stays_open,
            "diff": {"before": _lines(self.before), "after": _lines(self.after)},
        }


def _lines(facts: t.Mapping[str, str]) -> str:
    return "".join(f"{name}: {facts[name]}\n" for name in sorted(facts))


@dataclasses.dataclass
class Work:
    """Everything that a rotation needs."""

    store: Store
    target: Target
    consumers: tuple[Consumer, ...]
    health: Health
    policy: Policy
    need: Need
    state_dir: str
    gates: tuple[Gate, ...] = ()
    others: Others = dataclasses.field(default_factory=Others)

    @property
    def files(self) -> list[Placed]:
        """All files that are written, those of pools first."""
        lists = [gate.userlist for gate in self.gates if gate.userlist]
        return [*lists, *(placed for consumer in self.consumers for placed in consumer.files)]

    @property
    def is_emergency(self) -> bool:
        """Somebody else knows the old secret: whoever was let in by it is put out."""
        return self.policy.old_sessions == "end"

    @property
    def subject(self) -> str:
        return f"{self.store.place} for {self.target.name}"
