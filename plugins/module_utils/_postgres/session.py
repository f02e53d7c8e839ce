# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One maintenance session: polite, bounded in time, and alone at work in its database.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from . import sessions
from .connection import APPLICATION, Login, PostgresError, StatementError, connect, query, server_version
from .identity import application_suffix, owner_is_dead
from .work import Budget

#: The advisory lock of maintenance, one in each database: "steward" as digits, so that nobody else's is meant.
LOCK_KEY = 7378_3792_7321

_FIRST_WITH_CONNECTION_CHECK = 140000

LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"
INSUFFICIENT_PRIVILEGE = "42501"
UNDEFINED = ("42P01", "42704")


class Occupied(PostgresError):
    """Another run of ours is at work in the database."""


class Cancelled(PostgresError):
    """A statement that ended before it was done: `budget` says whether our own time was over."""

    def __init__(self, text: str, budget: bool) -> None:
        super().__init__(text)
        self.budget = budget


@dataclasses.dataclass(frozen=True)
class Politeness:
    """How long we may stand in anybody's way."""

    lock_timeout: int = 5
    lock_wait: int = 30
    attempts: int = 3
    pause: float = 1.0
    yield_after: float = 2.0  # seconds that somebody may wait for us before we cancel what we do
    replica_lag_bytes: int = 2**30  # nothing is begun while a standby is further behind; 0: it does not matter
    terminate_after: float | None = None  # end sessions idle in a transaction for longer that stand in our way


class Session:
    """A connection for maintenance; use as a context manager."""

    def __init__(self, login: Login, database: str, task: str, politeness: Politeness, budget: Budget) -> None:
        self.politeness = politeness
        self.budget = budget
        self.task = task
        self.looks_after_connection = False
        self.conn = connect(login, database, application_suffix(task))
        self.version = server_version(self.conn)

    def __enter__(self) -> Session:
        query(self.conn, f"SET lock_timeout = '{self.politeness.lock_timeout}s'")
        if self.version >= _FIRST_WITH_CONNECTION_CHECK:
            # When we are killed, the server shall stop our work by itself and not go on for hours.
            # A platform that cannot look refuses the value: there, the next run finds our session all the same.
            with contextlib.suppress(StatementError):
                query(self.conn, "SET client_connection_check_interval = '2s'")
                self.looks_after_connection = True
        return self

    def __exit__(self, *_exc: object) -> None:
        self.conn.close()

    def query(self, sql: str, parameters: t.Any = None) -> list[t.Any]:
        return query(self.conn, sql, parameters)

    def take_lock(self) -> None:
        """Be the only maintenance in this database; end what a killed run of ours on this machine left behind.

        :raises Occupied: naming who holds the lock, after waiting `lock_wait`.
        """
        deadline = time.monotonic() + self.politeness.lock_wait
        while not self.query("SELECT pg_catalog.pg_try_advisory_lock(%s)", (LOCK_KEY,))[0][0]:
            holder = sessions.advisory_lock_holder(self.conn, LOCK_KEY)
            orphan = holder is not None and owner_is_dead(holder.application)
            if time.monotonic() >= deadline:
                what = (
                    "what a killed run left behind does not end"
                    if orphan
                    else "another maintenance run is at work here"
                )
                raise Occupied(f"{what}: {holder or 'a session that is not shown'}")
            if holder is not None and orphan:
                self._end_orphan(holder)
            time.sleep(0.2)
        self._end_orphaned_workers(deadline)

    def _end_orphaned_workers(self, deadline: float) -> None:
        """The lock goes with the control session at once; what its workers do can go on without it."""
        while True:
            orphans = [peer for peer in sessions.named(self.conn, APPLICATION) if owner_is_dead(peer.application)]
            if not orphans:
                return
            if time.monotonic() >= deadline:
                raise Occupied(f"what a killed run left behind does not end: {orphans[0]}")
            for orphan in orphans:
                self._end_orphan(orphan)
            time.sleep(0.2)

    def _end_orphan(self, holder: sessions.Peer) -> None:
        """End a server process whose client is dead. It is our own: the name was checked, and is checked again here."""
        try:
            self.query(
                "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
                " WHERE pid = %s AND application_name = %s AND application_name LIKE %s",
                (holder.pid, holder.application, APPLICATION + ":%"),
            )
        except StatementError as exc:
            raise Occupied(f"a killed run left {holder} behind, which could not be ended: {exc}") from None

    def run(self, sql: str, attempts: int = 0, grace: int = 0) -> list[str]:
        """Run one maintenance statement within what is left of the budget; returns the server's warnings.

        A lock that somebody holds is tried again, with a pause, as often as `attempts` or politeness allows. `grace` is
        the seconds that cleaning up may take even when the budget is used up.

        :raises Cancelled: when the lock could not be had or the time was over.
        """
        attempt = 1
        while True:
            left = max(self.budget.left, grace)
            if left < 1:
                raise Cancelled(self.budget.used_up, budget=True)
            self.query(f"SET statement_timeout = {int(left * 1000)}")
            del self.conn.notices[:]
            try:
                self.query(sql)
                return [notice.strip() for notice in self.conn.notices if notice.startswith("WARNING")]
            except StatementError as exc:
                if exc.sqlstate == QUERY_CANCELED:
                    ours = self.budget.left < 1
                    used_up = f"{self.budget.used_up} before it was done"
                    raise Cancelled(used_up if ours else str(exc), budget=ours) from None
                if exc.sqlstate != LOCK_NOT_AVAILABLE:
                    raise
                if attempt >= (attempts or self.politeness.attempts):
                    times = f", tried {attempt} times" if attempt > 1 else ""
                    text = f"somebody held a lock for {self.politeness.lock_timeout} s{times}"
                    raise Cancelled(text, budget=False) from None
            finally:
                self._reset_timeout()
            time.sleep(self.politeness.pause * attempt)
            attempt += 1

    def _reset_timeout(self) -> None:
        if not self.conn.closed:
            self.query("SET statement_timeout = 0")
