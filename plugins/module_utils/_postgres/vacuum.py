# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VACUUM and ANALYZE where they are needed, proved by what the catalog says afterwards.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import time

from .._core.result import Finding
from . import catalog_tables, need, sessions
from .catalog_tables import Table
from .connection import Login, StatementError, quote
from .session import INSUFFICIENT_PRIVILEGE, UNDEFINED, Cancelled, Occupied, Politeness, Session
from .work import BLOCKED, BROKEN, BUDGET, FORBIDDEN, Budget, Done, NotDone, Outcome, Plan

VACUUM, ANALYZE = "vacuum", "analyze"

_PG18 = 180000

#: For the estimate only: what one process reads and writes on ordinary storage.
BYTES_PER_SECOND = 50e6

#: Up to 14 the statistics travel through a collector that answers up to half a second late.
_STATISTICS_PATIENCE = 5.0


@dataclasses.dataclass(frozen=True)
class Rules:
    """When a table is due."""

    task: str
    max_age: int
    freeze_percent: float = 90.0


@dataclasses.dataclass(frozen=True)
class Job:
    """One table with its need, and what to do about it."""

    table: Table
    need: need.Need
    analyze_too: bool = False


class VacuumRun:
    """One database's VACUUMs, or ANALYZEs."""

    def __init__(self, session: Session, rules: Rules, database: str, outcome: Outcome) -> None:
        self.session = session
        self.rules = rules
        self.database = database
        self.outcome = outcome
        self.server = catalog_tables.settings(session.conn)

    def go(self) -> None:
        tables = catalog_tables.tables(self.session.conn)
        self.outcome.looked += len(tables)
        self.outcome.of += len(tables)
        jobs = [job for job in map(self._job, tables) if job]
        jobs.sort(key=lambda job: (job.need.urgency, job.table.label))
        bytes_of = catalog_tables.sizes(self.session.conn, [job.table.oid for job in jobs]) if jobs else {}
        plans = [self._plan(job, bytes_of.get(job.table.oid, 0)) for job in jobs]
        self.outcome.planned += plans
        if not jobs:
            return
        if self.rules.task == VACUUM and not sessions.sees_other_sessions(self.session.conn):
            self.outcome.findings.append(_blind(self.database, self.session))
        if not self.outcome.check:
            try:
                self.session.take_lock()
            except Occupied as exc:
                self.outcome.not_done += [NotDone(plan, BLOCKED, str(exc)) for plan in plans]
                return
        for job, plan in zip(jobs, plans):
            self._one(job, plan)

    # -- deciding --------------------------------------------------------------------------------------------

    def _job(self, table: Table) -> Job | None:
        analyze = need.analyze_need(table, self.server, self.rules.max_age)
        if self.rules.task == ANALYZE:
            return Job(table, analyze) if analyze else None
        vacuum = need.vacuum_need(table, self.server, self.rules.max_age, self.rules.freeze_percent)
        return Job(table, vacuum, analyze_too=analyze is not None) if vacuum else None

    def _plan(self, job: Job, size: int) -> Plan:
        action = "ANALYZE" if self.rules.task == ANALYZE else "VACUUM (ANALYZE)" if job.analyze_too else "VACUUM"
        rows = max(int(job.table.main.rows), job.table.live, int(job.table.leaf_rows))
        estimate = {"bytes": size, "rows": rows, "seconds": round(size / BYTES_PER_SECOND, 1)}
        return Plan(self.database, job.table.label, action, job.need.reason, estimate)

    def _obstacle(self, job: Job, plan: Plan) -> NotDone | None:
        """What makes it pointless to begin."""
        if not job.table.may_maintain:
            return NotDone(
                plan, FORBIDDEN, *sessions.missing_grant(self.session.conn, self.session.version, job.table.owner)
            )
        holder = self._futile(job) if self.rules.task == VACUUM else None
        if holder:
            severity = "critical" if job.need.kind == need.WRAPAROUND else "medium"
            return NotDone(plan, BLOCKED, f"it would be in vain: {holder} keeps the rows", holder.advice, severity)
        return None

    def _futile(self, job: Job) -> sessions.Holder | None:
        """Who keeps every row that this VACUUM would have to remove or freeze.

        Rows that died before the holder began can go, and only VACUUM itself could tell how many these are. It is
        certainly in vain when the table was created, or last vacuumed, after the holder began: then all are younger.
        A slot does not say since when it holds: there, a recent vacuum that left the rows behind is the evidence.
        """
        oldest = next(iter(sessions.holders(self.session.conn)), None)
        if oldest is None or oldest.age < 1:
            return None
        table = job.table
        if job.need.kind == need.WRAPAROUND:
            return oldest if oldest.age >= table.xid_age else None
        if job.need.kind != need.DEAD_ROWS:
            return None
        if table.created_age < oldest.age:
            return oldest
        if table.vacuumed is None or table.vacuumed_seconds is None:
            return None
        if oldest.since is not None:
            return oldest if table.vacuumed > oldest.since else None
        return oldest if table.vacuumed_seconds < self.rules.max_age else None

    # -- acting ----------------------------------------------------------------------------------------------

    def _one(self, job: Job, plan: Plan) -> None:
        obstacle = self._obstacle(job, plan)
        if obstacle:
            self.outcome.not_done.append(obstacle)
        if obstacle or self.outcome.check:
            return
        current = next(iter(catalog_tables.tables(self.session.conn, job.table.oid)), None)
        if current is None or self._job(current) is None:
            self.outcome.planned.remove(plan)  # dropped, or done by somebody else, since the plan was made
            return
        started = time.monotonic()
        try:
            warnings = self._execute(job)
        except Cancelled as exc:
            self.outcome.not_done.append(self._cancelled(job, plan, exc))
            return
        except StatementError as exc:
            if exc.connection_lost:
                raise
            if exc.sqlstate in UNDEFINED:
                self.outcome.planned.remove(plan)
                return
            kind = FORBIDDEN if exc.sqlstate == INSUFFICIENT_PRIVILEGE else BROKEN
            self.outcome.not_done.append(NotDone(plan, kind, str(exc)))
            return
        self._prove(job, plan, current, warnings, time.monotonic() - started)

    def _execute(self, job: Job) -> list[str]:
        # From 18 on, the partitions and children of a table are processed with it unless ONLY is said.
        only = "ONLY " if self.session.version >= _PG18 else ""
        name = only + quote(job.table.schema, job.table.name)
        if self.rules.task == ANALYZE:
            return self.session.run(f"ANALYZE {name}")
        if job.need.kind == need.WRAPAROUND:
            self._freeze(job.need.freeze_to)
        try:
            return self.session.run(f"VACUUM (ANALYZE) {name}" if job.analyze_too else f"VACUUM {name}")
        finally:
            if job.need.kind == need.WRAPAROUND and not self.session.conn.closed:
                self._freeze(None)

    def _freeze(self, youngest: int | None) -> None:
        """Let VACUUM read every page that is not frozen, and freeze enough that the need is gone; None: as usual.

        By itself it may leave pages unread, and with them the age of the oldest row as it was.
        """
        for kind in ("", "multixact_"):
            wanted = "DEFAULT" if youngest is None else "0"
            self.session.query(f"SET vacuum_{kind}freeze_table_age = {wanted}")
            self.session.query(
                "SELECT pg_catalog.set_config(name, least(reset_val::bigint, %s)::text, false)"
                " FROM pg_catalog.pg_settings WHERE name = %s",
                (youngest, f"vacuum_{kind}freeze_min_age"),
            )

    def _cancelled(self, job: Job, plan: Plan, exc: Cancelled) -> NotDone:
        if exc.budget:
            return NotDone(plan, BUDGET, str(exc), "give the run a larger budget, or run it more often")
        peers = sessions.lock_holders(self.session.conn, job.table.oid)
        held = f", held by {peers[0]}" if peers else ""
        return NotDone(plan, BLOCKED, f"{exc}{held}", "the next run tries again")

    # -- proving ---------------------------------------------------------------------------------------------

    def _prove(self, job: Job, plan: Plan, before: Table, warnings: list[str], seconds: float) -> None:
        """Compare the catalog with what it said before: a return code proves nothing here."""
        after = self._read_again(job, before)
        if after is None:
            self.outcome.planned.remove(plan)
            return
        if not self._moved(job, before, after):
            kind = FORBIDDEN if any("permission" in text or "only" in text for text in warnings) else BLOCKED
            told = "; ".join(warnings) or "the server reported success, but the catalog shows no effect"
            self.outcome.not_done.append(NotDone(plan, kind, told))
            return
        left = self._job(after)
        kept = left is not None and left.need.kind in (need.DEAD_ROWS, need.WRAPAROUND)
        if kept:
            self.outcome.not_done.append(self._kept(plan, before, after))
        removed = after.dead < before.dead or after.xid_age < before.xid_age
        if not kept or removed:
            self.outcome.done.append(Done(plan, self._state(before), self._state(after), seconds))

    def _moved(self, job: Job, before: Table, after: Table) -> bool:
        """Whether the statistics say that it happened; VACUUM (ANALYZE) reports its halves one after the other."""
        pairs = []
        if self.rules.task == VACUUM:
            pairs.append((before.vacuumed, after.vacuumed))
        if self.rules.task == ANALYZE or job.analyze_too:
            pairs.append((before.analyzed, after.analyzed))
        return all(new is not None and (old is None or new > old) for old, new in pairs)

    def _read_again(self, job: Job, before: Table) -> Table | None:
        deadline = time.monotonic() + _STATISTICS_PATIENCE
        while True:
            after = next(iter(catalog_tables.tables(self.session.conn, before.oid)), None)
            if after is None or self._moved(job, before, after) or time.monotonic() > deadline:
                return after
            time.sleep(0.1)

    def _kept(self, plan: Plan, before: Table, after: Table) -> NotDone:
        holder = next(iter(sessions.holders(self.session.conn)), None)
        who = f"{holder} keeps them" if holder else "what keeps them is not visible to this role"
        kept = f"{after.dead} of {before.dead} dead rows are still there"
        reason = f"{kept}, oldest row {after.xid_age} transactions old: {who}"
        return NotDone(plan, BLOCKED, reason, holder.advice if holder else "grant pg_monitor to see who")

    def _state(self, table: Table) -> str:
        if self.rules.task == ANALYZE:
            changes = table.leaf_modified if table.kind == catalog_tables.PARTITIONED else table.main.modified
            return f"{changes} rows changed since the last analyze"
        return f"{table.dead} dead rows, {table.main.inserted} inserted, oldest row {table.xid_age} transactions old"


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
        VacuumRun(session, rules, database, outcome).go()
