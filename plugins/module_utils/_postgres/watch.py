# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits for us, how far behind the standbys are, and how much WAL is written.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import time
import typing as t

from . import sessions
from .connection import StatementError
from .session import Session

_PG14 = 140000

#: How often it is looked, at most; a short `yield_after` is looked for more often.
_TICK = 0.25
_SHORTEST_TICK = 0.02

#: So many of those that wait are looked at: it takes the server's lock manager a moment for each.
_MOST_WAITING = 100

#: Who waits for a heavyweight lock in this database, and for whom. pg_blocking_pids tells also of those that are only
#: ahead in the queue, and needs no privilege.
_WAITING = """
SELECT w.pid, pg_catalog.pg_blocking_pids(w.pid), w.seconds,
       coalesce(a.usename::text, ''), coalesce(a.application_name, ''), coalesce(pg_catalog.host(a.client_addr), ''),
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.backend_start), 0)::float8,
       coalesce(a.backend_type = 'autovacuum worker' AND strpos(a.query, '(to prevent wraparound)') = 0, false)
FROM (SELECT pid, {seconds} AS seconds FROM pg_catalog.pg_locks
      WHERE NOT granted AND (database IS NULL OR database IN (0, (
        SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())))
      GROUP BY pid ORDER BY 2 DESC NULLS LAST LIMIT {most}) AS w
     LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = w.pid
"""

_LAG = """
SELECT coalesce(nullif(r.application_name, ''), r.pid::text), coalesce(pg_catalog.host(r.client_addr), ''),
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.flush_lsn)::bigint
FROM pg_catalog.pg_stat_replication AS r
WHERE r.state IN ('streaming', 'catchup') AND r.flush_lsn IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type <> 'physical')
ORDER BY 3 DESC LIMIT 1
"""

#: All that was ever written, in bytes.
_WAL = "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::bigint"

#: How often the flow of WAL is looked at.
_FLOW_SECONDS = 1.0


class Waiting(t.NamedTuple):
    """A session that waits for a lock."""

    peer: sessions.Peer
    blockers: tuple[int, ...]
    seconds: float | None  # by the server's clock: 14 and newer
    must_wait: bool  # autovacuum that comes again anyhow


class Watch:
    """Looks at who waits, from the control session; `comment` is shown before each query."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._yield_after = session.politeness.yield_after
        self.tick = max(_SHORTEST_TICK, min(_TICK, self._yield_after / 8))
        seconds = "NULL::float8"
        if session.version >= _PG14:
            seconds = "max(extract(epoch FROM pg_catalog.clock_timestamp() - waitstart))::float8"
        self._sql = _WAITING.format(seconds=seconds, most=_MOST_WAITING)
        self._first_seen: dict[int, float] = {}
        self._flow_read = float("-inf")
        self._wal_seen: tuple[float, int] | None = None  # when, and how far it was
        self._reason = ""

    def look(self, comment: str) -> dict[int, Waiting]:
        """Who waits for a lock, by pid."""
        try:
            rows = self._session.query(f"{comment}{self._sql}")
        except StatementError as exc:
            if exc.connection_lost:
                raise
            return {}  # a catalog that somebody holds: nobody can be named, and the next tick looks again
        now = time.monotonic()
        found = {}
        for pid, blockers, seconds, user, application, address, connected, must_wait in rows:
            self._first_seen.setdefault(pid, now)
            peer = sessions.Peer(pid, user, application, address, connected)
            found[pid] = Waiting(peer, tuple(blockers), seconds, must_wait)
        self._first_seen = {pid: since for pid, since in self._first_seen.items() if pid in found}
        return found

    def waits_too_long(self, waiting: t.Mapping[int, Waiting], ours: t.Mapping[int, float]) -> dict[int, sessions.Peer]:
        """Which of our pids stand in somebody's way for longer than `yield_after`, and in whose.

        :param ours: all pids of ours, and for how many seconds their statement has been at work.
        """
        found: dict[int, sessions.Peer] = {}
        for pid, one in waiting.items():
            if pid in ours or one.must_wait:
                continue
            seconds = time.monotonic() - self._first_seen.get(pid, 0.0) if one.seconds is None else one.seconds
            if seconds <= self._yield_after:
                continue
            for blocker in blocked_by(pid, waiting).intersection(ours):
                if ours[blocker] > self._yield_after:
                    found.setdefault(blocker, one.peer)
        return found

    def hold_back(self) -> str:
        """Why nothing is to be begun now, for people; empty when nothing speaks against it. Asked for once a second."""
        politeness = self._session.politeness
        if politeness.replica_lag_bytes <= 0 and politeness.wal_bytes_per_second <= 0:
            return ""
        now = time.monotonic()
        if now - self._flow_read >= _FLOW_SECONDS:
            behind = self._standby_behind(politeness.replica_lag_bytes) if politeness.replica_lag_bytes > 0 else ""
            much = self._much_wal(politeness.wal_bytes_per_second, now) if politeness.wal_bytes_per_second > 0 else ""
            self._flow_read, self._reason = now, behind or much
        return self._reason

    def _standby_behind(self, limit: int) -> str:
        rows = self._session.query(_LAG)
        if not rows or rows[0][2] <= limit:
            return ""
        name, address, behind = rows[0]
        where = f" at {address}" if address else ""
        return f"the standby {name!r}{where} was {behind} bytes of WAL behind"

    def _much_wal(self, limit: int, now: float) -> str:
        """Over the time since the last look: what a statement of ours wrote meanwhile counts as well."""
        position = int(self._session.query(_WAL)[0][0])
        (then, before), self._wal_seen = self._wal_seen or (now, position), (now, position)
        written = (position - before) / max(now - then, _FLOW_SECONDS)
        return f"the server wrote {int(written)} bytes of WAL a second" if written > limit else ""


def blocked_by(pid: int, waiting: t.Mapping[int, Waiting]) -> set[int]:
    """All sessions that must move before `pid` can, however many are between."""
    seen: set[int] = set()
    left = [pid]
    while left:
        one = waiting.get(left.pop())
        new = set(one.blockers) - seen if one else set()
        seen |= new
        left += new
    return seen
