# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an upgrade is set, and what is told of it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .plan import Policy

UPGRADED, RETURNED = "upgraded", "returned"
NEVER, OWN, ALWAYS = "never", "own", "always"
TELL, KEEP, REQUIRE = "tell", "keep", "require"
STAY, RETURN = "stay", "return"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How an upgrade is set."""

    state: str
    policy: Policy
    conffiles: str
    repair: str
    way_back: str
    on_failure: str
    refresh: bool
    max_age: float
    timeout: float
    upgrade_timeout: float
    lock_timeout: float
    state_dir: str
    max_release_age: float


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result shape."""

    changed: bool = False
    packages: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    changes: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    configuration: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    sources: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    did: list[str] = dataclasses.field(default_factory=list)
    output: str = ""
    evidence: str = ""
    diff: dict[str, str] = dataclasses.field(default_factory=dict)

    def beside(self) -> dict[str, t.Any]:
        names = ("packages", "changes", "sources", "did", "output", "evidence")
        return {**{name: getattr(self, name) for name in names}, "configuration_files": self.configuration}
