# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VACUUM and ANALYZE where they are needed, proved by what the catalog says afterwards.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.result import Finding
from . import catalog_tables, need, sessions, vacuum_proof
from .catalog_tables import PARTITIONED, Table
from .connection import Login, StatementError, quote
from .crew import Crew, terminated
from .session import INSUFFICIENT_PRIVILEGE, UNDEFINED, Occupied, Politeness, Session
from .statements import DONE, ERROR, STALE, Ask, Ending, Pause, Request, Statement, persist
from .statements import Job as CrewJob
from .tally import Tally
from .vacuum_options import Options
from .work import BLOCKED, BROKEN, FORBIDDEN, Budget, Done, NotDone, Outcome, Plan

VACUUM, ANALYZE = "vacuum", "analyze"

_PG15, _PG16, _PG18 = 150000, 160000, 180000

#: For the estimate only: what one process reads and writes on ordinary storage.
BYTES_PER_SECOND = 50e6

#: Up to 14 the statistics travel through a collector that answers up to half a second late.
_STATISTICS_PATIENCE = 5.0
_COLLECTOR_SECONDS = 1.0

#: What was read of a table longer ago than this is read again before something is done to it: half of the time after
#: which autovacuum looks at a database again, by default.
_FRESH_SECONDS = 30.0

#: What was read of those who hold the horizon counts for so long.
_HOLDERS_SECONDS = 2.0

#: A session that we ended needs a moment to go.
_ENDING_SECONDS = 0.3


@dataclasses.dataclass(frozen=True)
class Rules:
    """When a table is due, and how it is done."""

    task: str
    max_age: int
    freeze_percent: float = 90.0
    options: Options = dataclasses.field(default_factory=Options)
    jobs: int = 1


@dataclasses.dataclass(frozen=True)
class Job:
    """One table with its need, and what to do about it."""

    table: Table
    need: need.Need
    analyze_too: bool = False


class VacuumRun:
    """One database's VACUUMs, or ANALYZEs."""

    def __init__(self, session: Session, rules: Rules, database: str, outcome: Outcome, login: Login) -> None:
        self.session = session
        self.rules = rules
        self.database = database
        self.outcome = outcome
        self.login = login
        self.server = catalog_tables.settings(session.conn)
        self._read_at = 0.0
        self._vacuumed = False
        self._holders: dict[bool, tuple[float, list[sessions.Holder]]] = {}

    def go(self) -> None:
        skip = set(self.rules.options.skip_tables)
        tables = [table for table in catalog_tables.tables(self.session.conn) if table.label not in skip]
        self._read_at = time.monotonic()
        self.outcome.looked += len(tables)
        self.outcome.of += len(tables)
        jobs = [job for job in map(self._job, tables) if job]
        sized = catalog_tables.with_sizes(self.session.conn, [job.table for job in jobs])
        jobs = [dataclasses.replace(job, table=table) for job, table in zip(jobs, sized)]
        jobs.sort(key=self._order(jobs))
        work = [(job, self._plan(job)) for job in jobs]
        self.outcome.planned += [plan for _job, plan in work]
        if not work:
            return
        if self.rules.task == VACUUM and not sessions.sees_other_sessions(self.session.conn):
            self.outcome.findings.append(_blind(self.database, self.session))
        if self.outcome.check:
            obstacles = (self._obstacle(job.table, job, plan) for job, plan in work)
            self.outcome.not_done += [obstacle for obstacle in obstacles if obstacle]
            return
        try:
            self.session.take_lock()
        except Occupied as exc:
            self.outcome.not_done += [NotDone(plan, BLOCKED, str(exc)) for _job, plan in work]
            return
        self._do(work)

    # -- deciding --------------------------------------------------------------------------------------------

    def _job(self, table: Table) -> Job | None:
        analyze = need.analyze_need(table, self.server, self.rules.max_age)
        if self.rules.task == ANALYZE:
            return Job(table, analyze) if analyze else None
        seen = self._as_processed(table)
        if seen is None:
            return None
        vacuum = need.vacuum_need(seen, self.server, self.rules.max_age, self.rules.freeze_percent)
        return Job(seen, vacuum, analyze_too=analyze is not None) if vacuum else None

    def _as_processed(self, table: Table) -> Table | None:
        """The table without the half of it that is not to be vacuumed."""
        if self.rules.options.process_toast is False:
            return dataclasses.replace(table, toast=None)
        if self.rules.options.process_main is not False:
            return table
        if table.toast is None:
            return None
        return dataclasses.replace(
            table,
            main=table.toast,
            toast=None,
            vacuumed=table.toast_vacuumed,
            vacuumed_seconds=table.toast_vacuumed_seconds,
        )

    def _order(self, jobs: t.Sequence[Job]) -> t.Callable[[Job], t.Any]:
        """The most urgent first. Of those with the same kind of need, the large ones go before the others when there
        are several workers, so that none is still at a large table when all else is done."""
        large = sum(job.table.bytes for job in jobs) / (2 * self.rules.jobs)

        def key(job: Job) -> t.Any:
            kind, ratio = job.need.urgency
            waits = self.rules.jobs > 1 and job.table.bytes < large
            return kind, waits, ratio, job.table.label

        return key

    def _plan(self, job: Job) -> Plan:
        action = "ANALYZE" if self.rules.task == ANALYZE else "VACUUM (ANALYZE)" if job.analyze_too else "VACUUM"
        rows, size = max(int(job.table.main.rows), job.table.live, int(job.table.leaf_rows)), job.table.bytes
        estimate = {"bytes": size, "rows": rows, "seconds": round(size / BYTES_PER_SECOND, 1)}
        return Plan(self.database, job.table.label, action, job.need.reason, estimate)

    def _obstacle(self, table: Table, job: Job, plan: Plan) -> NotDone | None:
        """What makes it pointless to begin."""
        if not table.may_maintain:
            return NotDone(
                plan, FORBIDDEN, *sessions.missing_grant(self.session.conn, self.session.version, table.owner)
            )
        holder = self._futile(table, job.need.kind) if self.rules.task == VACUUM else None
        if holder:
            vain = f"it would be in vain: {holder} keeps the rows"
            return NotDone(plan, BLOCKED, vain, holder.advice, _severity(job))
        return None

    def _futile(self, table: Table, kind: str) -> sessions.Holder | None:
        """Who keeps every row that this VACUUM would have to remove or freeze.

        Rows that died before the holder began can go, and only VACUUM itself could tell how many these are. It is
        certainly in vain when the table was created, or last vacuumed, after the holder began: then all are younger.
        A slot does not say since when it holds: there, a recent vacuum that left the rows behind is the evidence.
        """
        oldest = self._oldest_holder(table)
        if oldest is None or oldest.age < 1:
            return None
        if kind == need.WRAPAROUND:
            return oldest if oldest.age >= table.xid_age else None
        if kind != need.DEAD_ROWS and (kind != need.AGE or table.inserted):
            return None
        if table.created_age < oldest.age:
            return oldest
        if table.vacuumed is None or table.vacuumed_seconds is None:
            return None
        if oldest.since is not None:
            return oldest if table.vacuumed > oldest.since else None
        return oldest if table.vacuumed_seconds < self.rules.max_age else None

    def _oldest_holder(self, table: Table) -> sessions.Holder | None:
        read_at, found = self._holders.get(table.system, (0.0, []))
        if not read_at or time.monotonic() - read_at > _HOLDERS_SECONDS:
            found = sessions.holders(self.session.conn, catalogs=table.system)
            self._holders[table.system] = time.monotonic(), found
        return found[0] if found else None

    # -- acting ----------------------------------------------------------------------------------------------

    def _do(self, work: t.Sequence[tuple[Job, Plan]]) -> None:
        weights = [_weight(plan) for _job, plan in work]
        tally = Tally(self.rules.task, self.database, "tables", len(work), sum(weights))
        crew = Crew(self.session, self.login, self.database, self.rules.jobs, tally)
        # Up to 17, ANALYZE of a partitioned table does its partitions as well: these are looked at again afterwards.
        parents = [pair for pair in work if pair[0].table.kind == PARTITIONED]
        others = [pair for pair in work if pair[0].table.kind != PARTITIONED]
        try:
            crew.run((self._one(job, plan, True) for job, plan in parents), self._answer)
            if parents and others and self.session.version < _PG15:
                time.sleep(_COLLECTOR_SECONDS)
            crew.run((self._one(job, plan, bool(parents)) for job, plan in others), self._answer)
            if self._vacuumed:
                self._update_database()
        finally:
            self.outcome.findings += crew.findings

    def _update_database(self) -> None:
        """Work out the oldest row of the database once, and not once a table: for that, all of pg_class is read."""
        try:
            self.session.query("VACUUM (ONLY_DATABASE_STATS)")
        except StatementError as exc:
            if exc.connection_lost:
                raise
            message = f"the age of the database was not brought up to date (VACUUM (ONLY_DATABASE_STATS)): {exc}"
            action = "nothing: any later VACUUM, or autovacuum, does it"
            self.outcome.findings.append(
                Finding("postgres.vacuum.database_age", "low", self.database, message, action=action)
            )

    def _answer(self, oids: t.Sequence[t.Any]) -> dict[t.Hashable, Table]:
        found = catalog_tables.tables(self.session.conn, oids)
        return {table.oid: table for table in catalog_tables.with_sizes(self.session.conn, found)}

    def _one(self, job: Job, plan: Plan, look_again: bool) -> CrewJob:
        """One table, from the last look at it to the proof."""
        oid = job.table.oid
        look_again = look_again or time.monotonic() - self._read_at > _FRESH_SECONDS
        while True:
            if look_again:
                seen: Table | None = yield Ask(oid)
                again = self._job(seen) if seen else None
                if again is None:
                    self.outcome.planned.remove(plan)  # dropped, or done by somebody else, since the plan was made
                    return
                job = dataclasses.replace(again, analyze_too=again.analyze_too or job.analyze_too)
            obstacle = self._obstacle(job.table, job, plan)
            if obstacle and not (yield from self._remove(job.table, plan)):
                self.outcome.not_done.append(obstacle)
                return
            ending = yield from persist(self._statement(job, plan), self.session.politeness)
            if ending.kind != STALE:
                break
            look_again = True
        if ending.kind == DONE:
            self._vacuumed = self._skips_database
            yield from self._prove(job, plan, ending)
        elif ending.kind == ERROR and ending.error:
            # It may be that what does not exist is not the table, but what an index's function looks for.
            if ending.error.sqlstate in UNDEFINED and (yield Ask(oid)) is None:
                self.outcome.planned.remove(plan)
                return
            kind = FORBIDDEN if ending.error.sqlstate == INSUFFICIENT_PRIVILEGE else BROKEN
            self.outcome.not_done.append(NotDone(plan, kind, str(ending.error)))
        else:
            self.outcome.not_done.append(vacuum_proof.ended_early(self.session, plan, oid, ending))

    def _remove(self, table: Table, plan: Plan) -> t.Generator[Request, t.Any, bool]:
        """End those who keep the rows by doing nothing, if that was asked for; whether nothing is in vain any more."""
        longer_than = self.session.politeness.terminate_after
        while longer_than is not None:
            holder = self._oldest_holder(table)
            pids = [int(holder.name)] if holder and holder.kind == "session" else []
            ended = sessions.end_idle(self.session.conn, pids, longer_than)
            if not ended:
                return False
            found = [terminated(self.rules.task, self.database, peer, longer_than) for peer in ended]
            self.outcome.findings += found
            yield Pause(_ENDING_SECONDS)
            self._holders.clear()
            job = self._job(table)
            if job is None or self._obstacle(table, job, plan) is None:
                return True
        return False

    def _statement(self, job: Job, plan: Plan) -> Statement:
        # From 18 on, the partitions and children of a table are processed with it unless ONLY is said.
        only = "ONLY " if self.session.version >= _PG18 else ""
        name = only + quote(job.table.schema, job.table.name)
        settings = self.rules.options.settings
        if self.rules.task == ANALYZE:
            return Statement(f"ANALYZE {name}", settings, _weight(plan), fresh_for=_FRESH_SECONDS)
        if job.need.kind == need.WRAPAROUND:
            settings.update(self._freezing(job.need.freeze_to))
        words = self.rules.options.words() + (["ANALYZE"] if job.analyze_too else [])
        words += ["SKIP_DATABASE_STATS"] if self._skips_database else []
        how = f" ({', '.join(words)})" if words else ""
        return Statement(f"VACUUM{how} {name}", settings, _weight(plan), fresh_for=_FRESH_SECONDS)

    @property
    def _skips_database(self) -> bool:
        return self.rules.task == VACUUM and self.session.version >= _PG16

    def _freezing(self, youngest: int) -> dict[str, str]:
        """Let VACUUM read every page that is not frozen, and freeze enough that the need is gone.

        By itself it may leave pages unread, and with them the age of the oldest row as it was.
        """
        wanted = {}
        for kind in ("", "multixact_"):
            usual = self.server[f"vacuum_{kind}freeze_min_age"]
            wanted[f"vacuum_{kind}freeze_table_age"] = "0"
            wanted[f"vacuum_{kind}freeze_min_age"] = str(int(min(usual, youngest)))
        return wanted

    # -- proving ---------------------------------------------------------------------------------------------

    def _prove(self, job: Job, plan: Plan, ending: Ending) -> CrewJob:
        """Compare the catalog with what it said before: a return code proves nothing here."""
        before, vacuuming = job.table, self.rules.task == VACUUM
        deadline = 0.0
        while True:
            read: Table | None = yield Ask(before.oid, hurries=False)
            deadline = deadline or time.monotonic() + _STATISTICS_PATIENCE  # the answer may have taken its time
            after = self._as_processed(read) if read and vacuuming else read
            if after is None:
                self.outcome.planned.remove(plan)
                return
            moved = vacuum_proof.moved(before, after, vacuuming, job.analyze_too or not vacuuming)
            if moved or self.session.version >= _PG15 or time.monotonic() > deadline:
                break
            yield Pause(0.1)
        if not moved:
            self.outcome.not_done.append(vacuum_proof.skipped(plan, after, ending.warnings))
            return
        kept = self._kept(job, plan, after, read) if vacuuming else None
        if kept:
            self.outcome.not_done.append(kept)
        removed = after.dead < before.dead or after.xid_age < before.xid_age
        if not kept or removed:
            states = [vacuum_proof.state(table, not vacuuming) for table in (before, after)]
            reclaimed = max(0, before.bytes - after.bytes) if vacuuming else 0
            self.outcome.done.append(Done(plan, states[0], states[1], ending.seconds, reclaimed))

    def _kept(self, job: Job, plan: Plan, after: Table, read: Table | None) -> NotDone | None:
        """Who keeps the rows that are still there, although VACUUM did its work; None when it did what was needed."""
        left = self._job(read) if read else None
        needed = left is not None and left.need.kind in (need.DEAD_ROWS, need.WRAPAROUND)
        # Where the reason was that it was long ago, the catalog calls the need gone whatever became of the rows.
        in_vain = job.need.kind == need.AGE and not job.table.inserted and after.dead >= job.table.dead > 0
        if not needed and not in_vain:
            return None
        self._holders.clear()
        holder = self._oldest_holder(after)
        if not needed and holder is None:
            return None  # others changed it meanwhile: nothing says that any row was kept
        severity = _severity(left) if left and needed else "low"
        return vacuum_proof.kept(plan, job.table, after, holder, severity)


def _severity(job: Job) -> str:
    """How bad it is that somebody keeps the rows."""
    return "critical" if job.need.kind == need.WRAPAROUND else "medium"


def _weight(plan: Plan) -> int:
    """Also a table without a page takes a moment."""
    return max(int(plan.estimate["bytes"]), 8192)


def _blind(database: str, session: Session) -> Finding:
    role = session.query("SELECT current_user")[0][0]
    return Finding(
        "postgres.vacuum.blind", "low", database,
        f"role {role} does not see other sessions: old transactions that make VACUUM pointless cannot be named",
        action=f"GRANT pg_monitor TO {quote(role)}",
    )  # fmt: skip


def vacuum(login: Login, database: str, rules: Rules, politeness: Politeness, budget: Budget, outcome: Outcome) -> None:
    """VACUUM (or ANALYZE) what is due in one database; `outcome` takes what happened."""
    with Session(login, database, rules.task, politeness, budget) as session:
        VacuumRun(session, rules, database, outcome, login).go()
