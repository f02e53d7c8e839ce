# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of a review share.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.result import Finding


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """From where on something is told."""

    slow_mean_ms: int = 500
    slow_share_percent: int = 25
    bloat_percent: int = 40
    minimum_bytes: int = 1024 * 1024
    dead_percent: int = 20
    cache_hit_percent: int = 90
    connections_percent: int = 80
    transaction_age: int = 3600
    unused_after: int = 30 * 86400
    check_timeout: int = 30


class CannotLook(Exception):
    """This installation does not offer what a check needs; `action` says how it would, `found` what was seen anyway."""

    def __init__(self, reason: str, action: str, found: t.Iterable[Finding] = ()) -> None:
        super().__init__(reason)
        self.action = action
        self.found = tuple(found)


@dataclasses.dataclass(frozen=True)
class Look:
    """What a check is given: a connection, what to call the place, and where to leave facts."""

    conn: t.Any
    database: str
    thresholds: Thresholds
    facts: dict[str, t.Any]

    def finding(
        self,
        what: str,
        severity: str,
        subject: str,
        message: str,
        action: str,
        value: t.Any = None,
        limit: t.Any = None,
    ) -> Finding:
        where = f"{self.database}: {subject}" if self.database and subject != self.database else subject
        return Finding(f"postgres.review.{what}", severity, where, message, value, limit, action)


Check = t.Callable[[Look], t.List[Finding]]  # evaluated at run time, on Python 3.8 too
