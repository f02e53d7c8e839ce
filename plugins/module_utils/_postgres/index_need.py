# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which indexes of a database are to be dropped or rebuilt, and why.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Measuring reads an index from its first to its last page. So what an index took per row when it was packed is
remembered, and only an index that grew past the threshold by that cheap measure is read. An index that is met for the
first time is read once, and again when what is known of it is old.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.result import Finding
from .._core.sizes import format_size
from .._core.suggest import InputError
from . import catalog_indexes
from .bloat import CANNOT_MEASURE, LEARNED, MEASURED, Bloat, rows_are_sure, rows_now
from .catalog_indexes import Index
from .collation_drift import CollationDrift
from .headroom import HeadRoom
from .index_measure import Measure
from .memory import Learned, Memory
from .work import Outcome, Plan

DROP, REBUILD = "DROP INDEX CONCURRENTLY", "REINDEX INDEX CONCURRENTLY"

#: What rebuilding reads, sorts and writes in a second, for the estimate only.
_BYTES_PER_SECOND = 20e6

#: From what growth on an index is rebuilt that cannot be measured, because it is no B-tree.
_GROWN = 2.0

#: What max_parallel_maintenance_workers takes.
_MOST_WORKERS = 1024

#: Access methods whose size has nothing to do with the number of rows.
_SIZELESS = ("brin",)


@dataclasses.dataclass(frozen=True)
class Rules:
    """When an index is rebuilt."""

    bloat_percent: float = 40.0
    minimum_bytes: int = 1024 * 1024
    state_directory: str = ""
    every_index: bool = False
    collations: bool = True
    parallel_workers: int | None = None  # beside each connection


def rules_from(params: t.Mapping[str, t.Any]) -> Rules:
    """The rules that a module's parameters describe.

    :raises InputError: naming the argument, the value and what would be right.
    """
    percent, least = params["bloat_percent"], params["minimum_bytes"]
    if not 1 <= percent <= 99:
        raise InputError(f"bloat_percent is {percent}: it must be between 1 and 99")
    if least < 0:
        raise InputError(f"minimum_bytes is {least}: it must be 0 or more")
    workers = params["parallel_workers"]
    if workers is not None and not 0 <= workers <= _MOST_WORKERS:
        raise InputError(f"parallel_workers is {workers}: it must be between 0 and {_MOST_WORKERS}")
    return Rules(percent, least, params["state_dir"] or "", params["every_index"], params["collations"], workers)


@dataclasses.dataclass(frozen=True)
class Job:
    """One index, and what to do about it."""

    index: Index
    plan: Plan
    bloat: Bloat | None = None

    @property
    def rebuild(self) -> bool:
        return self.plan.action == REBUILD


class IndexNeed:
    """Judges the indexes of one database."""

    def __init__(
        self,
        measure: Measure,
        rules: Rules,
        database: str,
        outcome: Outcome,
        memory: Memory,
        room: HeadRoom,
        drift: CollationDrift,
    ) -> None:
        self.measure = measure
        self.rules = rules
        self.database = database
        self.outcome = outcome
        self.memory = memory
        self.room = room
        self.drift = drift
        self._why: dict[int, str] = {}  # an index was picked to be measured

    def jobs(self, found: t.Sequence[Index]) -> list[Job]:
        """What is to be done, the most useful first."""
        jobs = self._repairs([index for index in found if not index.catalog])
        taken = {job.index.oid for job in jobs}
        jobs += self._wanted([index for index in found if index.oid not in taken and index.valid and not index.catalog])
        taken = {job.index.oid for job in jobs}
        jobs += self._bloated([index for index in found if index.oid not in taken and index.valid])
        self._invalid_catalogs(found)
        self.outcome.looked += len(found)
        self.outcome.of += len(found)
        return jobs

    # -- not valid -------------------------------------------------------------------------------------------

    def _repairs(self, found: t.Sequence[Index]) -> list[Job]:
        """Leftovers first: they cost every write, and they are in the way of the rebuild."""
        left = catalog_indexes.leftovers(found)
        jobs = [self._job(index, DROP, "left behind by an interrupted REINDEX CONCURRENTLY") for index in left]
        gone = {index.oid for index in left}
        for index in found:
            if index.valid or index.oid in gone:
                continue
            if index.being_built:
                self._tell("building", "info", index, "is being built by another session")
            else:
                jobs.append(self._job(index, REBUILD, "invalid: it costs every write and serves no query"))
        return jobs

    def _invalid_catalogs(self, found: t.Sequence[Index]) -> None:
        for index in found:
            if index.catalog and not index.valid:
                self._tell("catalog_invalid", "high", index, "is invalid", _window(index))

    # -- wanted whatever it looks like -----------------------------------------------------------------------

    def _wanted(self, found: t.Sequence[Index]) -> list[Job]:
        jobs = []
        for index in found:
            reason = self.drift.reason(index)
            if reason or self.rules.every_index:
                jobs.append(self._job(index, REBUILD, reason or "every index is to be rebuilt"))
        return sorted(jobs, key=lambda job: -job.index.bytes)

    # -- bloated ---------------------------------------------------------------------------------------------

    def _bloated(self, found: t.Sequence[Index]) -> list[Job]:
        jobs: list[Job] = []
        blind: list[str] = []
        large = [index for index in found if index.bytes >= self.rules.minimum_bytes]
        judged = {index.oid: self._judge(index) if index.method == "btree" else self._growth(index) for index in large}
        measured = self._measured([index for index in large if judged[index.oid] is None])
        for index in large:
            bloat = judged[index.oid] or measured[index.oid]
            if bloat.percent is None:
                blind.append(f"{index.title}: {bloat.reason}")
            elif bloat.percent >= self.rules.bloat_percent:
                reason = f"{bloat.percent:.0f} % bloat by {bloat.method}, over {self.rules.bloat_percent:g} %"
                if index.catalog:
                    reason += f", of {format_size(index.bytes)}"
                    self._tell("catalog_bloat", "low", index, reason, _window(index))
                else:
                    reason += f" ({bloat.reason})" if bloat.reason else ""
                    jobs.append(self._job(index, REBUILD, reason, bloat))
        if blind:
            self.outcome.looked -= len(blind)
            self.outcome.findings.append(self._blind(blind))
        return sorted(jobs, key=lambda job: -job.index.bytes * ((job.bloat.percent or 0) if job.bloat else 0))

    def _judge(self, index: Index) -> Bloat | None:
        """A B-tree: by what was learned of it if that is enough to leave it alone; None when it is to be measured."""
        learned, ratio = self.memory.recall(index.label), bytes_per_row(index)
        if learned is not None and ratio is not None and self._speaks(learned):
            grown = 100 * (1 - learned.bytes_per_row / ratio)
            if grown < self.rules.bloat_percent:
                self._least(index, learned, ratio)
                return Bloat(max(0.0, grown), LEARNED)
            why = f"picked by its {ratio:.0f} bytes a row, {learned.bytes_per_row:.0f} when packed"
            if not self.measure.meter.exact:
                return Bloat(grown, LEARNED, why)
            self._why[index.oid] = why
        return None

    def _measured(self, indexes: t.Sequence[Index]) -> dict[int, Bloat]:
        """By the meter, which teaches the memory."""
        found = self.measure(indexes)
        for index in indexes:
            bloat, ratio = found[index.oid], bytes_per_row(index)
            if bloat.percent is not None and bloat.method == MEASURED and ratio is not None and rows_are_sure(index):
                self.memory.learn(index.label, ratio * (1 - bloat.percent / 100))
            found[index.oid] = Bloat(bloat.percent, bloat.method, bloat.reason or self._why.get(index.oid, ""))
        return found

    def _speaks(self, learned: Learned) -> bool:
        """Whether what was learned may speak for the meter. The estimate learns from nothing but a rebuild."""
        return not learned.outdated if self.measure.meter.exact else learned.rebuilt

    def _growth(self, index: Index) -> Bloat:
        """Another index: by its growth since it was rebuilt by us, or since it was seen first."""
        ratio = bytes_per_row(index) if rows_are_sure(index) and index.method not in _SIZELESS else None
        if ratio is None:
            return Bloat(0.0, LEARNED)
        learned = self.memory.recall(index.label)
        if learned is None:
            self.memory.learn(index.label, ratio)
            return Bloat(0.0, LEARNED)
        if ratio < _GROWN * learned.bytes_per_row:
            self._least(index, learned, ratio)
            return Bloat(0.0, LEARNED)
        why = f"{ratio / learned.bytes_per_row:.1f} times what it was"
        return Bloat(100 * (1 - learned.bytes_per_row / ratio), LEARNED, why)

    def _least(self, index: Index, learned: Learned, ratio: float) -> None:
        """Somebody else may have rebuilt it."""
        if ratio < learned.bytes_per_row and rows_are_sure(index):
            self.memory.learn(index.label, ratio, learned.rebuilt)

    # -- plans and findings ----------------------------------------------------------------------------------

    def _job(self, index: Index, action: str, reason: str, bloat: Bloat | None = None) -> Job:
        won = index.bytes if action == DROP else int(index.bytes * ((bloat.percent or 0) if bloat else 0) / 100)
        estimate: dict[str, t.Any] = {
            "bytes": index.bytes,
            "rows": int(max(index.rows, 0)),
            "reclaimed_bytes": won,
            "seconds": 0.0 if action == DROP else round(index.bytes / _BYTES_PER_SECOND, 1),
        }
        if action == REBUILD:
            free = self.room.free_bytes(index)
            estimate["free_bytes"] = "not looked at: the server's disk is not visible here" if free is None else free
        if index.toast_of:
            reason += f"; it finds the long values of {index.toast_of}"
        return Job(index, Plan(self.database, index.label, action, reason, estimate), bloat)

    def _tell(self, what: str, severity: str, index: Index, message: str, action: str = "") -> None:
        self.outcome.findings.append(finding(self.database, what, severity, index, message, action))

    def _blind(self, blind: t.Sequence[str]) -> Finding:
        shown = "; ".join(blind[:5]) + ("; ..." if len(blind) > 5 else "")
        message = f"the bloat of {len(blind)} indexes could not be found out: {shown}"
        return Finding("postgres.reindex.cannot_look", "low", self.database, message, action=CANNOT_MEASURE)


def bytes_per_row(index: Index) -> float | None:
    """The size by the number of rows; None where the rows are not known."""
    rows = rows_now(index)
    return None if rows is None else index.bytes / max(rows, 1.0)


def finding(database: str, what: str, severity: str, index: Index, message: str, action: str = "") -> Finding:
    return Finding(f"postgres.reindex.{what}", severity, f"{database}: {index.label}", message, action=action)


def _window(index: Index) -> str:
    return f"REINDEX INDEX {index.sql_name} in a window: it cannot be done concurrently, and locks {index.table}"
