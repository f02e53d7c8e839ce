# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rotation of an API key works on, and what the module returns of it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.clock import utc_now
from .._core.health import Health
from .api_key import Waits
from .consumers import Consumer
from .provider import Provider
from .rotation import Others
from .store import Store


@dataclasses.dataclass(frozen=True)
class ApiKeyWork:
    """Everything that the rotation of a key needs.

    :param present: identifier and secret that are in use, for a store that has none yet.
    """

    store: Store
    provider: Provider
    waits: Waits
    period: int
    from_percent: int
    force: bool
    emergency: bool
    consumers: tuple[Consumer, ...]
    health: Health
    state_dir: str
    present: tuple[str, str] | None = dataclasses.field(default=None, repr=False)
    others: Others = dataclasses.field(default_factory=Others)
    now: t.Callable[[], datetime.datetime] = utc_now

    @property
    def subject(self) -> str:
        return f"key {self.store.place}"


@dataclasses.dataclass
class ApiKeyOutcome:
    """What the module returns beside the result."""

    changed: bool = False
    rotated: bool = False
    key: str = ""
    old_key: str = ""
    version: str = ""
    waits_for: str = ""
    next_at: str = ""
    planned: list[str] = dataclasses.field(default_factory=list)
    written: list[str] = dataclasses.field(default_factory=list)
    #: Other hosts that have not been seen to use what is current.
    missing_hosts: list[str] = dataclasses.field(default_factory=list)
    #: Whether the next run goes on with it.
    stays_open: bool = False
    before: str = ""
    after: str = ""

    def beside(self) -> dict[str, t.Any]:
        names = ["rotated", "key", "old_key", "version", "waits_for", "next_at", "planned", "written"]
        names += ["missing_hosts", "stays_open"]
        diff = {"before": self.before, "after": self.after}
        return {**{name: getattr(self, name) for name in names}, "diff": diff}
