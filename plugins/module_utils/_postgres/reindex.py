# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""REINDEX CONCURRENTLY for the indexes of one database that need it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Look (:mod:`index_need`, :mod:`collation_drift`), act and prove (:mod:`index_rebuild`), remember (:mod:`memory`).
"""

from __future__ import annotations

import typing as t

from .._core.result import Finding
from . import catalog_indexes
from .collation_drift import CollationDrift
from .connection import Login, StatementError
from .crew import Crew
from .headroom import HeadRoom
from .index_measure import Measure
from .index_need import IndexNeed, Job, Rules, rules_from
from .index_obstacles import Obstacles
from .index_rebuild import IndexRebuild
from .memory import Memory
from .session import Occupied, Politeness, Session
from .work import BLOCKED, Budget, NotDone, Outcome, Plan

__all__ = ["Rules", "reindex", "rules_from"]

_PG14 = 140000


def reindex(
    login: Login,
    database: str,
    rules: Rules,
    politeness: Politeness,
    budget: Budget,
    outcome: Outcome,
    jobs: int = 1,
) -> None:
    """Repair and rebuild what needs it in one database, on `jobs` connections; `outcome` takes what happened."""
    with Session(login, database, "reindex", politeness, budget) as session:
        if not outcome.check:
            # First of all: an orphan of ours may be building the very index that would look as if it were in good
            # hands.
            try:
                session.take_lock()
            except Occupied as exc:
                plan = Plan(database, "all indexes", "look for indexes to rebuild", "due")
                outcome.not_done.append(NotDone(plan, BLOCKED, str(exc), "the next run tries again"))
                return
        memory = Memory(rules.state_directory, _scope(session, login, database))
        try:
            _work(session, login, database, rules, outcome, memory, jobs)
        finally:
            problem = "" if outcome.check else memory.save()
            if problem:
                message = f"what was learned of the indexes could not be kept: {problem}"
                action = "name a directory in state_dir that may be written; without it every run measures all indexes"
                outcome.findings.append(Finding("postgres.reindex.memory", "low", database, message, action=action))


def _work(
    session: Session,
    login: Login,
    database: str,
    rules: Rules,
    outcome: Outcome,
    memory: Memory,
    jobs: int,
) -> None:
    drift = CollationDrift(session.conn, database, memory, outcome, rules.collations)
    room = HeadRoom(login.host, catalog_indexes.data_directory(session.conn))
    need = IndexNeed(Measure(session, login, database, jobs), rules, database, outcome, memory, room, drift)
    work = need.jobs(catalog_indexes.all_indexes(session.conn))
    refreshes = drift.plans()
    outcome.planned += [job.plan for job in work] + refreshes
    obstacles = Obstacles(session, database, room, outcome, jobs)
    if outcome.check:
        found = (obstacles.lasting(job) or obstacles.passing(job) for job in work)
        outcome.not_done += [obstacle for obstacle in found if obstacle]
    elif work:
        tables = _by_table(work)
        at_once = min(jobs, len(tables))
        settings = _settings(session, rules, work, at_once)
        rebuild = IndexRebuild(session, outcome, need, drift, memory, obstacles, settings)
        crew = Crew(session, login, database, jobs, rebuild.tally(work))
        try:
            crew.run(map(rebuild.table, tables), rebuild.answer)
            crew.run(rebuild.sweep(), rebuild.answer)
        finally:
            outcome.findings += crew.findings
        rebuild.tell_what_is_left()
        rebuild.look_at_doubtful()
    drift.refresh(refreshes)


def _by_table(work: t.Sequence[Job]) -> list[list[Job]]:
    """The jobs of each table, the table with the most useful job first."""
    tables: dict[int, list[Job]] = {}
    for job in work:
        tables.setdefault(job.index.table_oid, []).append(job)
    return list(tables.values())


def _settings(session: Session, rules: Rules, work: t.Sequence[Job], at_once: int) -> dict[str, str]:
    """What the sessions that rebuild set.

    Several at once have no helpers, which would compete with each other: as many processors are taken as there are
    connections, and that number is the user's.
    """
    settings = {}
    workers = 0 if rules.parallel_workers is None and at_once > 1 else rules.parallel_workers
    if workers is not None:
        settings["max_parallel_maintenance_workers"] = str(workers)
    if at_once > 1 and _wait_for_each_other(session, work):
        # A wait is no reason to give up, then. Whoever waits for us meanwhile is still given way to.
        settings["lock_timeout"] = "0"
    return settings


def _wait_for_each_other(session: Session, work: t.Sequence[Job]) -> bool:
    """Whether one rebuild waits for the snapshot of another one: in 13 always, later not for plain indexes."""
    return session.version < _PG14 or not all(job.index.plain for job in work)


def _scope(session: Session, login: Login, database: str) -> str:
    """The name of a database that stays the same when its server moves or is renamed, and is never given again."""
    try:
        system = session.query("SELECT system_identifier::text FROM pg_catalog.pg_control_system()")[0][0]
    except StatementError as exc:
        if exc.connection_lost:
            raise
        system = f"{login.place} {database}"  # this role is not told
    oid = session.query("SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()")[0][0]
    return f"{system} {oid}"
