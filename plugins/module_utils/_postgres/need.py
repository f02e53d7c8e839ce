# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tables need what, and why: pure decisions over what the catalog says.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The formula is the server's own (autovacuum's), with the table's own settings first, and one thing of ours: a table that
changed is not left alone longer than `max_age`, which is the maintenance guide's "weekly".
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.durations import format_duration
from .catalog_tables import PARTITIONED, Rows, Table

WRAPAROUND = "wraparound"
DEAD_ROWS = "dead_rows"
INSERTS = "inserts"
STATISTICS = "statistics"
AGE = "age"

#: A partitioned table goes before its partitions: up to 17, analyzing it analyzes them as well.
_FIRST = float("inf")

_ORDER = (WRAPAROUND, DEAD_ROWS, INSERTS, STATISTICS, AGE)


@dataclasses.dataclass(frozen=True)
class Need:
    """Why one table is due."""

    kind: str
    reason: str
    ratio: float  # how far over the limit, 1 is at the limit
    freeze_to: int = 0  # wraparound: how young rows must be to stay unfrozen, so that the need is gone afterwards

    @property
    def urgency(self) -> tuple[int, float]:
        """Sorts the most urgent first."""
        return (_ORDER.index(self.kind), -self.ratio)


class Limits:
    """The thresholds of one storage: its own reloptions first, then the server's settings."""

    def __init__(self, server: t.Mapping[str, float], rows: Rows) -> None:
        self._server = server
        self._options = rows.options

    def __getitem__(self, name: str) -> float:
        own = self._options.get(name)
        return float(own) if own is not None else self._server[name]

    def freeze(self, name: str) -> float:
        """Autovacuum lets a table lower this limit, never raise it."""
        return min(self[name], self._server[name])

    def most_dead(self) -> float | None:
        """The cap on the dead rows that are tolerated: 18 and newer, -1 switches it off."""
        if "autovacuum_vacuum_max_threshold" not in self._server:
            return None
        cap = self["autovacuum_vacuum_max_threshold"]
        return cap if cap >= 0 else None


def vacuum_need(table: Table, server: t.Mapping[str, float], max_age: float, freeze_percent: float) -> Need | None:
    """The most pressing reason to VACUUM a table, None when there is none.

    System catalogs are left to autovacuum unless they come near the wraparound: maintenance itself makes dead rows
    there.
    """
    if table.kind == PARTITIONED:
        return None  # has no rows of its own: its partitions are judged one by one
    needs: list[Need] = []
    for rows, what in ((table.main, ""), (table.toast, " in its TOAST table")):
        if rows is None:
            continue
        limits = Limits(server, rows)
        needs += _wraparound(rows, limits, freeze_percent, what)
        if not table.system:
            needs += _dead_rows(rows, limits, what) + _inserts(rows, limits, what)
    if not table.system:
        needs += _overdue_vacuum(table, max_age)
    return min(needs, key=lambda need: need.urgency, default=None)


def _wraparound(rows: Rows, limits: Limits, percent: float, what: str) -> list[Need]:
    needs = []
    for age, setting, unit in (
        (rows.xid_age, "autovacuum_freeze_max_age", "transactions"),
        (rows.mxid_age, "autovacuum_multixact_freeze_max_age", "multixacts"),
    ):
        limit = limits.freeze(setting) * percent / 100
        if age > limit:
            reason = f"oldest unfrozen row{what} is {age} {unit} old, over {int(limit)} ({percent:g} % of {setting})"
            needs.append(Need(WRAPAROUND, reason, age / max(limit, 1), freeze_to=int(limit / 2)))
    return needs


def _dead_rows(rows: Rows, limits: Limits, what: str) -> list[Need]:
    limit = limits["autovacuum_vacuum_threshold"] + limits["autovacuum_vacuum_scale_factor"] * max(rows.rows, 0)
    cap = limits.most_dead()
    limit = limit if cap is None else min(limit, cap)
    if rows.dead <= limit:
        return []
    return [Need(DEAD_ROWS, f"{rows.dead} dead rows{what}, over {int(limit)}", rows.dead / max(limit, 1))]


def _inserts(rows: Rows, limits: Limits, what: str) -> list[Need]:
    base = limits["autovacuum_vacuum_insert_threshold"]
    if base < 0:
        return []  # -1 switches it off
    unfrozen = max(rows.rows, 0) * (1 - min(rows.frozen_share, 1))
    limit = base + limits["autovacuum_vacuum_insert_scale_factor"] * unfrozen
    if rows.inserted <= limit:
        return []
    reason = f"{rows.inserted} rows inserted{what} since the last vacuum, over {int(limit)}"
    return [Need(INSERTS, reason, rows.inserted / max(limit, 1))]


def _overdue_vacuum(table: Table, max_age: float) -> list[Need]:
    changes = table.dead + table.inserted
    if not changes or (table.vacuumed_seconds is not None and table.vacuumed_seconds <= max_age):
        return []
    return [_overdue("vacuumed", table.vacuumed_seconds, changes, max_age)]


def _overdue(verb: str, seconds: float | None, changes: int, max_age: float) -> Need:
    if seconds is None:
        return Need(AGE, f"{changes} changed rows and never {verb}", 1.0)
    ago, limit = format_duration(seconds), format_duration(max_age)
    return Need(AGE, f"{changes} changed rows, last {verb} {ago} ago, over {limit}", seconds / max_age)


def analyze_need(table: Table, server: t.Mapping[str, float], max_age: float) -> Need | None:
    """The reason to ANALYZE a table, None when there is none."""
    if table.system:
        return None
    rows, changes = table.main.rows, table.main.modified
    if table.kind == PARTITIONED:
        rows, changes = table.leaf_rows, table.leaf_modified
        if table.analyzed is None and (rows > 0 or changes):
            return Need(STATISTICS, "partitioned table whose own statistics were never gathered", _FIRST)
    elif rows < 0:
        return Need(STATISTICS, "never analyzed", 1.0)
    limits = Limits(server, table.main)
    limit = limits["autovacuum_analyze_threshold"] + limits["autovacuum_analyze_scale_factor"] * max(rows, 0)
    if changes > limit:
        reason = f"{changes} rows changed since the last analyze, over {int(limit)}"
        return Need(STATISTICS, reason, _FIRST if table.kind == PARTITIONED else changes / max(limit, 1))
    if (changes or _parent_is_behind(table)) and (table.analyzed_seconds is None or table.analyzed_seconds > max_age):
        return _overdue("analyzed", table.analyzed_seconds, changes, max_age)
    return None


def _parent_is_behind(table: Table) -> bool:
    """Autovacuum analyzes partitions and never the partitioned table, whose own statistics then grow old."""
    if table.leaf_autoanalyzed is None or table.analyzed is None:
        return False
    return table.leaf_autoanalyzed > table.analyzed
