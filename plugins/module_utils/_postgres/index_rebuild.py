# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dropping and rebuilding the indexes of one table, one after another, without leaving anything invalid behind.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Two concurrent rebuilds on one table would wait for each other, so a table is one job of the crew.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.sizes import format_size
from . import catalog_indexes, sessions, statements
from .bloat import ESTIMATED
from .catalog_indexes import Index
from .collation_drift import CollationDrift
from .connection import StatementError
from .index_need import DROP, IndexNeed, Job, finding
from .index_obstacles import Obstacles
from .memory import Memory
from .session import INSUFFICIENT_PRIVILEGE, UNDEFINED, Session
from .statements import Ask, Ending, Pause, Request, Statement, persist
from .tally import Tally
from .work import BLOCKED, BROKEN, BUDGET, FORBIDDEN, REFUSED, Done, NotDone, Outcome

_UNIQUE_VIOLATION = "23505"
_DEADLOCK = "40P01"

#: Removing an own leftover may take this long after the budget is used up: it must not stay.
_GRACE_SECONDS = 60.0

#: How old the catalog's word may be when a rebuild begins by it.
_FRESH_SECONDS = 5.0

#: A rebuild that was cut short is not begun again with less time than this share of what was not enough.
_MORE_THAN = 1.1

#: A rebuilt index is looked at once more when it is so many times as large as it should be.
_DOUBTFUL = 1.2

_Steps = t.Generator[Request, t.Any, t.Any]


class IndexRebuild:
    """Does the jobs of one database.

    :param settings: of the sessions that rebuild.
    """

    def __init__(
        self,
        session: Session,
        outcome: Outcome,
        need: IndexNeed,
        drift: CollationDrift,
        memory: Memory,
        obstacles: Obstacles,
        settings: t.Mapping[str, str],
    ) -> None:
        self._settings = settings
        self.session = session
        self.outcome = outcome
        self.need = need
        self.drift = drift
        self.memory = memory
        self.obstacles = obstacles
        self._looked = time.monotonic()
        self._left: dict[int, tuple[Index, Ending]] = {}
        self._tally = Tally("reindex", need.database)
        self._doubtful: list[Index] = []

    def answer(self, tables: t.Sequence[t.Any]) -> dict[t.Any, list[Index]]:
        """The indexes of many tables, as the catalog has them now."""
        found: dict[t.Any, list[Index]] = {table: [] for table in tables}
        for index in catalog_indexes.indexes_of(self.session.conn, tables):
            found[index.table_oid].append(index)
        return found

    def tally(self, work: t.Sequence[Job]) -> Tally:
        """Counts the indexes, for people. The crew counts its jobs, which is the last index of each table."""
        weight = sum(job.index.bytes for job in work)
        self._tally = Tally("reindex", self.need.database, "indexes", len(work), weight)
        return self._tally

    def table(self, jobs: t.Sequence[Job]) -> _Steps:
        """The steps for the crew: all jobs of one table."""
        known, looked = None, self._looked
        for number, job in enumerate(jobs):
            self._tally.done += 1 if number else 0
            begun, known = False, None
            while not begun:
                if not job.rebuild or time.monotonic() - looked > _FRESH_SECONDS:
                    known, looked = (yield Ask(job.index.table_oid)), time.monotonic()
                if known is not None and not any(_same(index, job.index) for index in known):
                    self.outcome.planned.remove(job.plan)  # somebody dropped or rebuilt it since the plan was made
                    break
                obstacle = self.obstacles.lasting(job) or self._too_short(job)
                if obstacle is None:
                    obstacle = yield from self._wait(job)
                if obstacle:
                    self.outcome.not_done.append(obstacle)
                    break
                with self.obstacles.at_work(job.index):
                    begun = yield from self._attempts(job)
            looked = time.monotonic() if begun else looked

    def _too_short(self, job: Job) -> NotDone | None:
        """A rebuild that our time was too short for must not eat up the time of all others in every run."""
        needed, left = self.memory.seconds_not_enough(job.index.label) * _MORE_THAN, self.session.budget.left
        if not needed or left > needed:
            return None
        reason = f"it was cut short after {needed / _MORE_THAN:.0f} s the last time, and {left:.0f} s are left now"
        return NotDone(job.plan, BUDGET, reason, "give the run a larger budget")

    def _wait(self, job: Job) -> _Steps:
        """Wait for short transactions to end by themselves; the other tables go on meanwhile."""
        while True:
            blocked = self.obstacles.passing(job)
            if blocked is None or self.session.budget.left <= 0 or not self.obstacles.patience():
                return blocked
            yield Pause(self.obstacles.pause)

    # -- acting ----------------------------------------------------------------------------------------------

    def _attempts(self, job: Job) -> _Steps:
        """Whether it was begun; else it waited so long for its turn that everything is to be looked at again."""
        settings = self._settings if job.rebuild else {}
        sql = f"{job.plan.action} {job.index.sql_name}"
        statement = Statement(sql, settings, job.index.bytes, fresh_for=_FRESH_SECONDS)
        politeness, spent, attempt = self.session.politeness, 0.0, 0
        last: Ending | None = None
        while True:
            ending: Ending = yield statement
            if ending.kind == statements.STALE:
                return False
            statement = dataclasses.replace(statement, fresh_for=0.0)
            if last and ending.kind == statements.BUDGET and not ending.seconds:
                self._not_done(job, last, attempt)  # what was in the way says more than that the time is over
                return True
            last, attempt, spent = ending, attempt + 1, spent + ending.seconds
            now: list[Index] = yield Ask(job.index.table_oid)
            clean = (yield from self._clean_up(job, now)) if job.rebuild else True
            if _proved(job, now):
                self._done(job, now, spent)
                return True
            if all(index.oid != job.index.oid for index in now):
                self.outcome.planned.remove(job.plan)  # dropped by somebody since the plan was made
                return True
            if not (_may_help(ending) and clean) or attempt >= politeness.attempts:
                self._not_done(job, ending, attempt)
                return True
            yield Pause(politeness.pause * attempt)

    def _clean_up(self, job: Job, now: t.Sequence[Index]) -> _Steps:
        """Remove what the rebuild left on the table, at once: an invalid index costs every write. Whether it is
        gone."""
        clean = True
        for index in catalog_indexes.leftovers(now):
            if index.oid != job.index.oid:
                clean = (yield from self._drop(index)) and clean
        return clean

    def _drop(self, index: Index) -> _Steps:
        """Whether a leftover is gone. Who made us give up the rebuild is often in the way of this as well."""
        statement = Statement(f"{DROP} {index.sql_name}", grace=_GRACE_SECONDS)
        ending: Ending = yield from persist(statement, self.session.politeness)
        if ending.kind == statements.DONE or (ending.error and ending.error.sqlstate in UNDEFINED):
            self._left.pop(index.oid, None)
            return True
        self._left[index.oid] = (index, ending)
        return False

    def sweep(self) -> list[_Steps]:
        """The steps for the crew when all else is done: once more, for what could not be removed before."""
        return [self._sweep(index) for index, _ending in self._left.values()]

    def _sweep(self, index: Index) -> _Steps:
        now: list[Index] = yield Ask(index.table_oid)
        if any(left.oid == index.oid for left in catalog_indexes.leftovers(now)):
            yield from self._drop(index)
        else:
            self._left.pop(index.oid, None)

    def tell_what_is_left(self) -> None:
        for index, ending in self._left.values():
            message = f"the leftover of a cancelled rebuild could not be removed: {ending.error or ending.kind}"
            advice = f"{DROP} {index.sql_name}; the next run tries again"
            if not index.may_drop:
                grant = sessions.missing_grant(self.session.conn, self.session.version, index.owner, must_own=True)[1]
                advice = f"{DROP} {index.sql_name}; for the next time, {grant}"
            self._tell("leftover", "high", index, message, advice)

    # -- proving ---------------------------------------------------------------------------------------------

    def _done(self, job: Job, now: t.Sequence[Index], seconds: float) -> None:
        """A rebuilt index has a new oid, its old name, and another file."""
        size = format_size(job.index.bytes)
        state = "valid" if job.index.valid else "invalid"
        if not job.rebuild:
            self.outcome.done.append(Done(job.plan, f"{state}, {size}", "gone", seconds, job.index.bytes))
            return
        after = next(index for index in now if index.label == job.index.label)
        self.drift.rebuilt(job.index, after)
        text = f"valid, {format_size(after.bytes)}"
        if job.bloat is not None and after.method == "btree" and self._is_doubtful(job, after):
            self._doubtful.append(after)
        if after.rows >= 1:  # the rebuild has just counted them
            self.memory.learn(after.label, after.bytes / after.rows, rebuilt=True)
        if self.memory.seconds_not_enough(after.label):
            self.memory.note_not_enough(after.label, 0.0)
        before = f"{state}, {size}" + (f", {job.bloat.percent:.0f} % bloat" if job.bloat else "")
        self.outcome.done.append(Done(job.plan, before, text, seconds, max(0, job.index.bytes - after.bytes)))

    def _is_doubtful(self, job: Job, after: Index) -> bool:
        """Whether it is much larger than its bloat had promised."""
        promised = job.index.bytes * (1 - ((job.bloat.percent or 0.0) if job.bloat else 0.0) / 100)
        return after.bytes >= self.need.rules.minimum_bytes and after.bytes > promised * _DOUBTFUL

    def look_at_doubtful(self) -> None:
        """Tell of indexes that seem bloated right after their rebuild: there is something about them to be known."""
        found = self.need.measure(self._doubtful)
        for index in self._doubtful:
            bloat = found[index.oid]
            if bloat.percent is not None and bloat.percent >= self.need.rules.bloat_percent:
                message = f"still {bloat.percent:.0f} % bloat by {bloat.method} right after its rebuild"
                advice = "install the extension pgstattuple for exact figures" if bloat.method == ESTIMATED else ""
                self._tell("still_bloated", "low", index, f"{message}: remembered as its normal size", advice)

    # -- what was not done -----------------------------------------------------------------------------------

    def _not_done(self, job: Job, ending: Ending, attempts: int) -> None:
        plan, times = job.plan, f", tried {attempts} times" if attempts > 1 else ""
        if ending.kind == statements.DONE:
            what = "it is not valid after the rebuild" if job.rebuild else "it is still there after the DROP"
            result = NotDone(plan, BROKEN, what)
        elif ending.kind == statements.BUDGET:
            if ending.seconds:
                self.memory.note_not_enough(job.index.label, ending.seconds)
            reason = f"{self.session.budget.used_up} before it was done"
            reason += f", and {ending.held_back}" if ending.held_back else ""
            result = NotDone(plan, BUDGET, reason, "give the run a larger budget, or run it more often")
        elif ending.kind == statements.GAVE_WAY:
            reason = f"it gave way to {ending.waiter}{times}"
            result = NotDone(plan, BLOCKED, reason, "the next run tries again; a quieter hour would help")
        elif ending.kind == statements.LOCK:
            held, advice = self.obstacles.held(job)
            reason = f"somebody held a lock for {self.session.politeness.lock_timeout} s{times}{held}"
            result = NotDone(plan, BLOCKED, reason, advice)
        elif ending.kind == statements.CANCELLED:
            result = NotDone(plan, BLOCKED, f"somebody cancelled it: {ending.error}", "the next run tries again")
        else:
            result = _failed(job, ending.error)
        self.outcome.not_done.append(result)

    def _tell(self, what: str, severity: str, index: Index, message: str, action: str = "") -> None:
        self.outcome.findings.append(finding(self.need.database, what, severity, index, message, action))


def _may_help(ending: Ending) -> bool:
    """Whether to try again."""
    return ending.in_the_way or (ending.error is not None and ending.error.sqlstate == _DEADLOCK)


def _same(now: Index, planned: Index) -> bool:
    return (now.oid, now.filenode, now.valid) == (planned.oid, planned.filenode, planned.valid)


def _proved(job: Job, now: t.Sequence[Index]) -> bool:
    """Whether the catalog shows the effect, whatever the statement said."""
    if not job.rebuild:
        return all(index.oid != job.index.oid for index in now)
    after = next((index for index in now if index.label == job.index.label), None)
    return after is not None and after.valid and after.filenode != job.index.filenode


def _failed(job: Job, exc: StatementError | None) -> NotDone:
    if exc is None:
        return NotDone(job.plan, BROKEN, "the server did not say why")
    if exc.sqlstate == _UNIQUE_VIOLATION:
        advice = "remove the duplicate rows, or drop the index"
        return NotDone(job.plan, REFUSED, f"its table has duplicates: {exc}", advice, "high")
    return NotDone(job.plan, FORBIDDEN if exc.sqlstate == INSUFFICIENT_PRIVILEGE else BROKEN, str(exc))
