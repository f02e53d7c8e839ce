# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A crew for a test: its jobs, and the endings that they were given."""

from __future__ import annotations

import contextlib
import threading
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.crew import Crew
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.session import Politeness, Session
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.statements import (
    Ending,
    Job,
    Statement,
    persist,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.tally import Tally
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.work import Budget
from support.postgres import SHOP, PrivatePostgres, wait_for

POLITE = Politeness(lock_timeout=1, lock_wait=1, attempts=3, pause=0.1, yield_after=0.5)


class Team:
    """A crew, and the endings that its jobs were given, by name."""

    def __init__(self, server: PrivatePostgres, session: Session, jobs: int) -> None:
        self.politeness = session.politeness
        self.tally = Tally("vacuum", SHOP, "tables", of=1, weight=100)
        self.crew = Crew(session, server.login, SHOP, jobs, self.tally)
        self.endings: dict[str, Ending] = {}
        self.asked: list[list[t.Any]] = []

    def once(self, name: str, sql: str, **more: t.Any) -> Job:
        self.endings[name] = yield Statement(sql, **more)

    def persistent(self, name: str, sql: str, **more: t.Any) -> Job:
        self.endings[name] = yield from persist(Statement(sql, **more), self.politeness)

    def run(self, *jobs: Job) -> None:
        self.crew.run(jobs, self._answer)

    def begin(self, *jobs: Job) -> threading.Thread:
        thread = threading.Thread(target=self.run, args=jobs)
        thread.start()
        return thread

    def _answer(self, keys: list[t.Any]) -> dict[t.Any, t.Any]:
        self.asked.append(keys)
        return {key: f"about {key}" for key in keys}

    def kinds(self) -> dict[str, str]:
        return {name: ending.kind for name, ending in self.endings.items()}


@contextlib.contextmanager
def team_of(
    server: PrivatePostgres, jobs: int = 1, politeness: Politeness = POLITE, budget: float = 60
) -> t.Iterator[Team]:
    with Session(server.login, SHOP, "vacuum", politeness, Budget(budget)) as session:
        yield Team(server, session, jobs)


def sleepers(server: PrivatePostgres, most: int = 1) -> list[t.Any]:
    sql = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    return wait_for(lambda: _at_least(server.run_sql(sql), most), f"{most} sleeping")


def _at_least(rows: list[t.Any], most: int) -> list[t.Any]:
    return rows if len(rows) >= most else []


def ours(server: PrivatePostgres) -> list[t.Any]:
    return server.run_sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'steward.maintenance:vacuum%'", SHOP
    )


def holding(seconds: float) -> str:
    """A statement that holds a lock on the table `busy` while it runs."""
    lock = "LOCK TABLE public.busy IN SHARE UPDATE EXCLUSIVE MODE"
    return f"DO $$ BEGIN {lock}; PERFORM pg_catalog.pg_sleep({seconds}); END $$"
