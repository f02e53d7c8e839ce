# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""REINDEX CONCURRENTLY for indexes that are invalid or bloated, without leaving anything invalid behind.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.result import Finding
from .._core.sizes import format_size
from . import catalog_indexes, headroom, sessions
from .bloat import CANNOT_MEASURE, ESTIMATED, Bloat, BloatMeter
from .catalog_indexes import Index
from .connection import Login, StatementError
from .memory import Memory
from .session import INSUFFICIENT_PRIVILEGE, UNDEFINED, Cancelled, Occupied, Politeness, Session
from .work import BLOCKED, BROKEN, BUDGET, FORBIDDEN, REFUSED, Budget, Done, NotDone, Outcome, Plan

DROP, REBUILD = "DROP INDEX CONCURRENTLY", "REINDEX INDEX CONCURRENTLY"

_UNIQUE_VIOLATION = "23505"

#: What rebuilding reads, sorts and writes in a second, for the estimate only.
_BYTES_PER_SECOND = 20e6

#: Removing an own leftover may take this long after the budget is used up: it must not stay.
_GRACE_SECONDS = 60

_PAUSE = 0.5


@dataclasses.dataclass(frozen=True)
class Rules:
    """When an index is rebuilt."""

    bloat_percent: float = 40.0
    minimum_bytes: int = 1024 * 1024
    state_directory: str = ""


@dataclasses.dataclass(frozen=True)
class Job:
    """One index, and what to do about it."""

    index: Index
    plan: Plan
    bloat: Bloat | None = None


class ReindexRun:
    """One database's indexes."""

    def __init__(self, session: Session, rules: Rules, database: str, outcome: Outcome, login: Login) -> None:
        self.session = session
        self.rules = rules
        self.database = database
        self.outcome = outcome
        self.login = login
        self.meter = BloatMeter(session.conn)
        self.memory = Memory(rules.state_directory)
        self._patience: float = session.politeness.lock_wait

    def go(self) -> None:
        if not self.outcome.check:
            # First of all: an orphan of ours may be building the very index that would look as if it were in good
            # hands.
            try:
                self.session.take_lock()
            except Occupied as exc:
                plan = Plan(self.database, "all indexes", "look for indexes to rebuild", "due")
                self.outcome.not_done.append(NotDone(plan, BLOCKED, str(exc), "the next run tries again"))
                return
        found = catalog_indexes.indexes(self.session.conn)
        jobs = self._repairs(found)
        jobs += self._bloated(found, {job.index.oid for job in jobs})
        self.outcome.planned += [job.plan for job in jobs]
        for job in jobs:
            obstacle = self._obstacle(job)
            if obstacle:
                self.outcome.not_done.append(obstacle)
            elif not self.outcome.check:
                self._one(job)

    # -- deciding --------------------------------------------------------------------------------------------

    def _repairs(self, found: t.Sequence[Index]) -> list[Job]:
        """Leftovers first: they cost every write, and they are in the way of the rebuild."""
        left = catalog_indexes.leftovers(found)
        jobs = [self._job(index, DROP, "left behind by an interrupted REINDEX CONCURRENTLY") for index in left]
        gone = {index.oid for index in left}
        for index in found:
            if index.valid or index.oid in gone:
                continue
            if index.being_built:
                self.outcome.findings.append(
                    self._finding("building", "info", index, "is being built by another session")
                )
            else:
                jobs.append(self._job(index, REBUILD, "invalid: it costs every write and serves no query"))
        return jobs

    def _bloated(self, found: t.Sequence[Index], taken: set[int]) -> list[Job]:
        candidates = [
            index
            for index in found
            if index.method == "btree"
            and index.valid
            and index.bytes >= self.rules.minimum_bytes
            and index.oid not in taken
        ]
        self.outcome.looked += len(found)
        self.outcome.of += len(found)
        jobs: list[Job] = []
        blind: list[str] = []
        for index in candidates:
            bloat = self._look(index)
            if bloat.percent is None:
                blind.append(f"{index.label}: {bloat.reason}")
            elif bloat.percent >= self.rules.bloat_percent and not self._known_to_stay(index):
                reason = f"{bloat.percent:.0f} % bloat by {bloat.method}, over {self.rules.bloat_percent:g} %"
                jobs.append(self._job(index, REBUILD, reason, bloat))
        if blind:
            self.outcome.looked -= len(blind)
            self.outcome.findings.append(self._blind(blind))
        return sorted(jobs, key=lambda job: -job.index.bytes * ((job.bloat.percent or 0) if job.bloat else 0))

    def _look(self, index: Index) -> Bloat:
        try:
            return self.meter.look(index)
        except StatementError as exc:
            if exc.connection_lost:
                raise
            return Bloat(None, self.meter.method, str(exc))

    def _known_to_stay(self, index: Index) -> bool:
        """Whether it looked just as bloated right after its last rebuild and did not grow by the threshold since."""
        noted = self.memory.recall(self._key(index))
        if noted is None:
            return False
        return index.bytes / max(index.rows, 1) < noted / (1 - min(self.rules.bloat_percent, 99) / 100)

    def _key(self, index: Index) -> str:
        return f"{self.login.place} {self.database} {index.label}"

    def _job(self, index: Index, action: str, reason: str, bloat: Bloat | None = None) -> Job:
        won = index.bytes if action == DROP else int(index.bytes * ((bloat.percent or 0) if bloat else 0) / 100)
        estimate: dict[str, t.Any] = {
            "bytes": index.bytes,
            "rows": int(max(index.rows, 0)),
            "reclaimed_bytes": won,
            "seconds": 0.0 if action == DROP else round(index.bytes / _BYTES_PER_SECOND, 1),
        }
        if action == REBUILD:
            free = headroom.free_bytes(self.session.conn, self.login.host, index)
            estimate["free_bytes"] = "not looked at: the server's disk is not visible here" if free is None else free
        return Job(index, Plan(self.database, index.label, action, reason, estimate), bloat)

    # -- what is in the way ----------------------------------------------------------------------------------

    def _obstacle(self, job: Job) -> NotDone | None:
        index, plan = job.index, job.plan
        if not (index.may_drop if plan.action == DROP else index.may_maintain):
            return self._forbidden(job)
        if plan.action == DROP:
            return None
        if self.session.version in catalog_indexes.CORRUPTING_VERSIONS:
            reason = "REINDEX CONCURRENTLY can corrupt indexes in 14.0 to 14.3"
            return NotDone(plan, REFUSED, reason, "update PostgreSQL 14 to its latest minor version", "high")
        if index.constraint == catalog_indexes.EXCLUSION:
            reason = "an exclusion constraint's index cannot be rebuilt concurrently"
            return NotDone(plan, REFUSED, reason, f"REINDEX INDEX {index.sql_name} in a window: it locks the table")
        missing = headroom.missing(self.session.conn, self.login.host, index)
        if missing:
            return NotDone(plan, BLOCKED, missing, "make room on the disk first", "high")
        return self._long_wait(job)

    def _long_wait(self, job: Job) -> NotDone | None:
        """Who would make the rebuild wait for long: an old snapshot in this database, or a writer of this table.

        The rebuild would be cancelled by its lock timeout and leave an invalid index that costs every write, so it
        is not begun. A short transaction ends by itself and is waited for, `lock_wait` in all for the whole database;
        check mode does not wait.
        """
        while True:
            blocked = self._blocker(job)
            if blocked is None or self.outcome.check or self._patience <= 0 or self.session.budget.left <= 0:
                return blocked
            time.sleep(_PAUSE)
            self._patience -= _PAUSE

    def _blocker(self, job: Job) -> NotDone | None:
        limit = self.session.politeness.lock_timeout
        for holder in sessions.holders(self.session.conn):
            if holder.kind == "session" and holder.snapshot and (holder.seconds or 0) > limit:
                reason = f"it would wait for an old snapshot: {holder}"
                return NotDone(job.plan, BLOCKED, reason, holder.advice)
        for peer in sessions.lock_holders(self.session.conn, job.index.table_oid, longer_than=limit):
            reason = f"it would wait for a lock on {job.index.table}, held by {peer}"
            return NotDone(job.plan, BLOCKED, reason, "let that transaction end; the next run tries again")
        return None

    def _forbidden(self, job: Job) -> NotDone:
        must_own = job.plan.action == DROP
        return NotDone(
            job.plan,
            FORBIDDEN,
            *sessions.missing_grant(self.session.conn, self.session.version, job.index.owner, must_own),
        )

    # -- acting ----------------------------------------------------------------------------------------------

    def _one(self, job: Job) -> None:
        started = time.monotonic()
        for attempt in range(1, self.session.politeness.attempts + 1):
            try:
                self.session.run(f"{job.plan.action} {job.index.sql_name}", attempts=1)
                break
            except Cancelled as exc:
                self._clean_up(job)
                if exc.budget or attempt == self.session.politeness.attempts:
                    self.outcome.not_done.append(self._cancelled(job, exc, attempt))
                    return
                time.sleep(self.session.politeness.pause * attempt)
            except StatementError as exc:
                if exc.connection_lost:
                    raise
                self._clean_up(job)
                if exc.sqlstate in UNDEFINED:
                    self.outcome.planned.remove(job.plan)  # dropped by somebody since the plan was made
                else:
                    self.outcome.not_done.append(_failed(job, exc))
                return
        self._prove(job, time.monotonic() - started)

    def _cancelled(self, job: Job, exc: Cancelled, attempts: int) -> NotDone:
        if exc.budget:
            return NotDone(job.plan, BUDGET, str(exc), "give the run a larger budget, or run it more often")
        peers = sessions.lock_holders(self.session.conn, job.index.table_oid)
        held = f"; {job.index.table} is held by {peers[0]}" if peers else ""
        return NotDone(job.plan, BLOCKED, f"{exc}, tried {attempts} times{held}", "the next run tries again")

    def _clean_up(self, job: Job) -> None:
        """Remove what the cancelled rebuild left on the table, at once: an invalid index costs every write."""
        for index in catalog_indexes.leftovers(catalog_indexes.indexes(self.session.conn, job.index.table_oid)):
            if index.oid == job.index.oid:
                continue
            try:
                self.session.run(f"{DROP} {index.sql_name}", grace=_GRACE_SECONDS)
            except (Cancelled, StatementError) as exc:
                if isinstance(exc, StatementError) and exc.connection_lost:
                    raise
                message = f"the leftover of a cancelled rebuild could not be removed: {exc}"
                advice = f"{DROP} {index.sql_name}; the next run tries again"
                self.outcome.findings.append(self._finding("leftover", "high", index, message, advice))

    # -- proving ---------------------------------------------------------------------------------------------

    def _prove(self, job: Job, seconds: float) -> None:
        """Read the catalog again. A rebuilt index has a new oid and its old name."""
        now = catalog_indexes.indexes(self.session.conn, job.index.table_oid)
        after = next((index for index in now if index.label == job.index.label), None)
        self._clean_up(job)
        size = format_size(job.index.bytes)
        state = "valid" if job.index.valid else "invalid"
        if job.plan.action == DROP:
            if after is not None:
                self.outcome.not_done.append(NotDone(job.plan, BROKEN, "it is still there after the DROP"))
                return
            self.outcome.done.append(Done(job.plan, f"{state}, {size}", "gone", seconds, job.index.bytes))
            return
        if after is None or not after.valid:
            self.outcome.not_done.append(NotDone(job.plan, BROKEN, "it is not valid after the rebuild"))
            return
        text = f"valid, {format_size(after.bytes)}"
        if job.bloat is not None:
            text += self._bloat_after(after)
        won = max(0, job.index.bytes - after.bytes)
        before = f"{state}, {size}" + (f", {job.bloat.percent:.0f} % bloat" if job.bloat else "")
        self.outcome.done.append(Done(job.plan, before, text, seconds, won))

    def _bloat_after(self, index: Index) -> str:
        bloat = self._look(index)
        if bloat.percent is None:
            return ", bloat unknown"
        if bloat.percent >= self.rules.bloat_percent and index.bytes >= self.rules.minimum_bytes:
            problem = self.memory.note(self._key(index), index.bytes / max(index.rows, 1))
            message = f"still {bloat.percent:.0f} % bloat by {bloat.method} right after its rebuild"
            message += (
                f", and that could not be remembered ({problem})" if problem else ": remembered as its normal size"
            )
            advice = "install the extension pgstattuple for exact figures" if bloat.method == ESTIMATED else ""
            self.outcome.findings.append(self._finding("still_bloated", "low", index, message, advice))
        return f", {bloat.percent:.0f} % bloat"

    # -- findings --------------------------------------------------------------------------------------------

    def _finding(self, what: str, severity: str, index: Index, message: str, action: str = "") -> Finding:
        subject = f"{self.database}: {index.label}"
        return Finding(f"postgres.reindex.{what}", severity, subject, message, action=action)

    def _blind(self, blind: t.Sequence[str]) -> Finding:
        shown = "; ".join(blind[:5]) + ("; ..." if len(blind) > 5 else "")
        message = f"the bloat of {len(blind)} indexes could not be found out: {shown}"
        return Finding("postgres.reindex.cannot_look", "low", self.database, message, action=CANNOT_MEASURE)


def _failed(job: Job, exc: StatementError) -> NotDone:
    if exc.sqlstate == _UNIQUE_VIOLATION:
        advice = "remove the duplicate rows, or drop the index"
        return NotDone(job.plan, REFUSED, f"its table has duplicates: {exc}", advice, "high")
    return NotDone(job.plan, FORBIDDEN if exc.sqlstate == INSUFFICIENT_PRIVILEGE else BROKEN, str(exc))


def reindex(
    login: Login, database: str, rules: Rules, politeness: Politeness, budget: Budget, outcome: Outcome
) -> None:
    """Repair and rebuild what needs it in one database; `outcome` takes what happened."""
    with Session(login, database, "reindex", politeness, budget) as session:
        ReindexRun(session, rules, database, outcome, login).go()
