# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the way of rebuilding an index: for good, or for as long as somebody's transaction stays open.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import heapq
import time
import typing as t

from . import catalog_indexes, sessions
from .catalog_indexes import Index
from .connection import query, quote
from .crew import terminated
from .headroom import HeadRoom
from .index_need import Job
from .session import Session
from .table_locks import TableHolder, table_holders
from .work import BLOCKED, FORBIDDEN, REFUSED, NotDone, Outcome

#: How long what was read of other sessions is good for.
_GOOD_SECONDS = 1.0


class Obstacles:
    """Looks for them in one database."""

    #: Seconds between two looks at what will pass.
    pause = 0.5

    def __init__(self, session: Session, database: str, room: HeadRoom, outcome: Outcome, jobs: int = 1) -> None:
        self.session = session
        self._database = database
        self._outcome = outcome
        self._jobs = jobs
        self.room = room
        self._patience = float(session.politeness.lock_wait)
        self._at_work: dict[int, Index] = {}
        self._snapshots: list[sessions.Holder] = []
        self._holders: dict[int, list[TableHolder]] = {}
        self._looked = float("-inf")
        self._name = query(session.conn, "SELECT pg_catalog.current_setting('application_name')")[0][0]

    def lasting(self, job: Job) -> NotDone | None:
        """What waiting does not help against."""
        index, plan = job.index, job.plan
        if not index.may_enter:
            role = query(self.session.conn, "SELECT current_user::text")[0][0]
            grant = f"GRANT USAGE ON SCHEMA {quote(index.schema)} TO {quote(role)}"
            return NotDone(plan, FORBIDDEN, f"role {role} may not use the schema {index.schema}", grant)
        if not (index.may_maintain if job.rebuild else index.may_drop):
            missing = sessions.missing_grant(self.session.conn, self.session.version, index.owner, not job.rebuild)
            return NotDone(plan, FORBIDDEN, *missing)
        if not job.rebuild:
            return None
        if self.session.version in catalog_indexes.CORRUPTING_VERSIONS:
            reason = "REINDEX CONCURRENTLY can corrupt indexes in 14.0 to 14.3"
            return NotDone(plan, REFUSED, reason, "update PostgreSQL 14 to its latest minor version", "high")
        if index.constraint == catalog_indexes.EXCLUSION:
            reason = "an exclusion constraint's index cannot be rebuilt concurrently"
            return NotDone(plan, REFUSED, reason, f"REINDEX INDEX {index.sql_name} in a window: it locks the table")
        missing_room = self.room.missing(index, heapq.nlargest(self._jobs - 1, self._at_work.values(), _bytes))
        if missing_room:
            return NotDone(plan, BLOCKED, missing_room, "make room on the disk first", "high")
        return None

    def passing(self, job: Job) -> NotDone | None:
        """Who would make the rebuild wait for long: an old snapshot in this database, or a writer of this table.

        The rebuild would be cancelled by its lock timeout and leave an invalid index that costs every write, so it
        is not begun.
        """
        if not job.rebuild:
            return None
        self._read()
        holders = self._holders.get(job.index.table_oid, [])
        pids = [int(holder.name) for holder in self._snapshots] + [holder.pid for holder in holders if holder.pid]
        gone = self._ended(pids)
        for snapshot in self._snapshots:
            if int(snapshot.name) not in gone:
                reason = f"it would wait for an old snapshot: {snapshot}"
                return NotDone(job.plan, BLOCKED, reason, snapshot.advice)
        for holder in holders:
            if holder.pid not in gone:
                reason = f"it would wait for a lock on {job.index.table}, held by {holder.who}"
                return NotDone(job.plan, BLOCKED, reason, holder.advice)
        return None

    def _read(self) -> None:
        """What is in whose way, for all tables at once."""
        if time.monotonic() - self._looked <= _GOOD_SECONDS:
            return
        conn, limit = self.session.conn, self.session.politeness.lock_timeout
        self._snapshots = [
            holder for holder in sessions.holders(conn) if self._counts(holder) and (holder.seconds or 0) > limit
        ]
        self._holders = table_holders(conn, self._name, limit)
        self._looked = time.monotonic()

    def _ended(self, pids: t.Sequence[int]) -> set[int]:
        """Who of these was ended, where people asked for that and the session did nothing but hold its transaction."""
        longer_than = self.session.politeness.terminate_after
        if longer_than is None or not pids or self._outcome.check:
            return set()
        ended = sessions.end_idle(self.session.conn, pids, longer_than)
        self._outcome.findings += [terminated(self.session.task, self._database, peer, longer_than) for peer in ended]
        if ended:
            self._looked = float("-inf")
        return {peer.pid for peer in ended}

    def _counts(self, holder: sessions.Holder) -> bool:
        """Other rebuilds of this run do not: they end, and the wait for them is not cut short."""
        return holder.kind == "session" and holder.snapshot and holder.application != self._name

    def patience(self) -> bool:
        """Whether to wait once more: `lock_wait` in all, for the whole database."""
        if self._patience <= 0:
            return False
        self._patience -= self.pause
        self._looked = float("-inf")
        return True

    def held(self, job: Job) -> tuple[str, str]:
        """Who holds the table now, as part of a sentence, and what to do about it."""
        holders = table_holders(self.session.conn, self._name).get(job.index.table_oid)
        if not holders:
            return "", "the next run tries again"
        return f"; {job.index.table} is held by {holders[0].who}", holders[0].advice

    @contextlib.contextmanager
    def at_work(self, index: Index) -> t.Iterator[None]:
        """Count this index in when the room for others is judged; some of these only wait for their turn."""
        self._at_work[index.oid] = index
        try:
            yield
        finally:
            del self._at_work[index.oid]


def _bytes(index: Index) -> int:
    return index.bytes
