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

_PG14, _PG17 = 140000, 170000

LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"
INSUFFICIENT_PRIVILEGE = "42501"
UNDEFINED = ("42P01", "42704")


class Occupied(PostgresError):
    """Another run of ours is at work in the database."""


@dataclasses.dataclass(frozen=True)
class Politeness:
    """How long we may stand in anybody's way."""

    lock_timeout: int = 5
    lock_wait: int = 30
    attempts: int = 3
    pause: float = 1.0
    yield_after: float = 2.0  # seconds that somebody may wait for us before we cancel what we do
    replica_lag_bytes: int = 2**30  # nothing is begun while a standby is further behind; 0: it does not matter
    wal_bytes_per_second: int = 0  # nothing is begun while the server writes more; 0: it does not matter
    terminate_after: float | None = None  # end sessions idle in a transaction for longer that stand in our way


class Session:
    """A connection for maintenance; use as a context manager."""

    def __init__(self, login: Login, database: str, task: str, politeness: Politeness, budget: Budget) -> None:
        self._begin(connect(login, database, application_suffix(task)), task, politeness, budget)

    @classmethod
    def over(cls, conn: t.Any, task: str, politeness: Politeness, budget: Budget) -> Session:
        """A session over somebody's connection, which keeps its settings and stays open: no context manager."""
        session = cls.__new__(cls)
        session._begin(conn, task, politeness, budget)
        return session

    def _begin(self, conn: t.Any, task: str, politeness: Politeness, budget: Budget) -> None:
        self.politeness = politeness
        self.budget = budget
        self.task = task
        self.looks_after_connection = False
        self.conn = conn
        self.version = server_version(conn)

    def __enter__(self) -> Session:
        query(self.conn, f"{self.setup}; SET statement_timeout = 0")
        if self.version >= _PG14:
            # When we are killed, the server shall stop our work by itself and not go on for hours.
            # A platform that cannot look refuses the value: there, the next run finds our session all the same.
            with contextlib.suppress(StatementError):
                query(self.conn, "SET client_connection_check_interval = '2s'")
                self.looks_after_connection = True
        return self

    def __exit__(self, *_exc: object) -> None:
        self.conn.close()

    @property
    def setup(self) -> str:
        """What this session and its workers set: the limits of a login are meant for applications, not for us."""
        limits = ["idle_in_transaction_session_timeout"]
        limits += ["idle_session_timeout"] if self.version >= _PG14 else []
        limits += ["transaction_timeout"] if self.version >= _PG17 else []
        ours = f"SET lock_timeout = '{self.politeness.lock_timeout}s'"
        return "; ".join([ours, *(f"SET {name} = 0" for name in limits)])

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
