# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is connected and what they hold: old transactions, locks, and other runs of ours.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.durations import format_duration
from .connection import query, quote

_PG17 = 170000


@dataclasses.dataclass(frozen=True)
class Holder:
    """Something that keeps deleted rows from being removed."""

    kind: str  # session, prepared, slot, standby
    name: str  # pid, gid or slot
    user: str
    application: str
    state: str
    since: datetime.datetime | None
    age: int  # in transactions
    snapshot: bool  # CONCURRENTLY waits for snapshots, not for mere transaction ids
    seconds: float | None  # since `since`, by the server's clock

    def __str__(self) -> str:
        whose = f" of user {self.user}" if self.user else ""
        what = f", application {self.application!r}" if self.application else ""
        state = f", {self.state}" if self.state else ""
        old = f", open for {format_duration(self.seconds)}" if self.seconds is not None else ""
        kinds = {
            "session": f"the transaction of pid {self.name}",
            "standby": f"a query on the standby of wal sender pid {self.name}",
            "prepared": f"the prepared transaction {self.name!r}",
            "slot": f"the replication slot {self.name!r}",
        }
        return f"{kinds[self.kind]}{whose}{what}{state}{old} ({self.age} transactions old)"

    @property
    def advice(self) -> str:
        return {
            "session": f"let pid {self.name} end its transaction, or end it with pg_terminate_backend({self.name})",
            "standby": "let the query on the standby end, or set hot_standby_feedback off there",
            "prepared": f"COMMIT PREPARED or ROLLBACK PREPARED '{self.name}'",
            "slot": f"let the consumer of slot {self.name} catch up, or drop the slot with pg_drop_replication_slot",
        }[self.kind]


#: A session's transaction id counts as well as its snapshot: both hold the horizon. Other lazy VACUUMs do not.
_HOLDERS = """
SELECT kind, name, who, application, state, since, held, snapshot,
       extract(epoch FROM pg_catalog.clock_timestamp() - since)::float8 AS seconds
FROM (
  SELECT CASE backend_type WHEN 'walsender' THEN 'standby' ELSE 'session' END AS kind, pid::text AS name,
         usename::text AS who, application_name AS application, state, xact_start AS since,
         greatest(pg_catalog.age(backend_xmin), pg_catalog.age(backend_xid)) AS held,
         backend_xmin IS NOT NULL AS snapshot
  FROM pg_catalog.pg_stat_activity AS a
  WHERE pid <> pg_catalog.pg_backend_pid()
    AND (%(everywhere)s OR datname = pg_catalog.current_database() OR backend_type = 'walsender')
    AND coalesce(backend_type, '') <> 'autovacuum worker'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum AS v WHERE v.pid = a.pid)
  UNION ALL
  SELECT 'prepared', gid, owner::text, '', '', prepared, pg_catalog.age(transaction), false
  FROM pg_catalog.pg_prepared_xacts WHERE %(everywhere)s OR database = pg_catalog.current_database()
  UNION ALL
  SELECT 'slot', slot_name::text, '', '', CASE WHEN active THEN 'active' ELSE 'inactive' END, NULL,
         greatest(pg_catalog.age(xmin), CASE WHEN %(catalogs)s THEN pg_catalog.age(catalog_xmin) END), false
  FROM pg_catalog.pg_replication_slots
) AS holders
WHERE held IS NOT NULL
ORDER BY held DESC
"""


def holders(conn: t.Any, everywhere: bool = False, catalogs: bool = False) -> list[Holder]:
    """What holds the horizon of this database (or, for a review, of any), the oldest first.

    :param catalogs: that of the system catalogs, which logical slots hold longer.
    """
    return [Holder(*row) for row in query(conn, _HOLDERS, {"everywhere": everywhere, "catalogs": catalogs})]


def sees_other_sessions(conn: t.Any) -> bool:
    """Whether the role is told what other users' sessions do; else a holder may be there and not be seen."""
    return bool(query(conn, "SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')")[0][0])


def missing_grant(conn: t.Any, version: int, owner: str, must_own: bool = False) -> tuple[str, str]:
    """Why this role may not maintain what `owner` owns, and what would let it."""
    role, owner_is_superuser = query(
        conn, "SELECT current_user::text, bool_or(rolsuper) FROM pg_catalog.pg_roles WHERE rolname = %s", (owner,)
    )[0]
    reason = f"role {role} may not do it, the owner is {owner}"
    if version >= _PG17 and not must_own:
        return reason, f"GRANT pg_maintain TO {quote(role)}"
    if owner_is_superuser:  # nobody should get a superuser's rights for a VACUUM
        return reason, f"run this as {owner}, or give the table to another owner and GRANT that role TO {quote(role)}"
    return reason, f"GRANT {quote(owner)} TO {quote(role)}"


@dataclasses.dataclass(frozen=True)
class Peer:
    """Another session, as far as people need to know it."""

    pid: int
    user: str
    application: str
    address: str
    seconds: float

    def __str__(self) -> str:
        where = f" from {self.address}" if self.address else ""
        return (
            f"pid {self.pid} of user {self.user or '(not shown)'}{where}, application {self.application!r},"
            f" connected for {format_duration(self.seconds)}"
        )


_PEER = """
SELECT a.pid, coalesce(a.usename::text, ''), coalesce(a.application_name, ''), coalesce(host(a.client_addr), ''),
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.backend_start), 0)::float8
FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.granted AND l.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
"""


def advisory_lock_holder(conn: t.Any, key: int) -> Peer | None:
    """Who holds the advisory lock with this (positive, 64 bit) key in this database."""
    rows = query(
        conn,
        _PEER + " AND l.locktype = 'advisory' AND l.objsubid = 1"
        " AND ((l.classid::bigint << 32) | l.objid::bigint) = %s LIMIT 1",
        (key,),
    )
    return Peer(*rows[0]) if rows else None


def prepared_lock_holders(conn: t.Any, relation: int) -> list[Holder]:
    """Prepared transactions that hold a lock on a table that can be in the way of maintenance: they are no sessions."""
    rows = query(
        conn,
        """
SELECT 'prepared', p.gid, p.owner::text, '', '', p.prepared, pg_catalog.age(p.transaction), false,
       extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::float8
FROM pg_catalog.pg_prepared_xacts AS p
JOIN pg_catalog.pg_locks AS x ON x.locktype = 'transactionid' AND x.transactionid = p.transaction AND x.pid IS NULL
JOIN pg_catalog.pg_locks AS l ON l.virtualtransaction = x.virtualtransaction AND l.pid IS NULL
WHERE l.locktype = 'relation' AND l.granted AND l.relation = %s AND p.database = pg_catalog.current_database()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
ORDER BY p.prepared""",
        (relation,),
    )
    return [Holder(*row) for row in rows]


def named(conn: t.Any, application: str) -> list[Peer]:
    """The other sessions in this database whose application name is `application:` and more."""
    rows = query(
        conn,
        "SELECT pid, coalesce(usename::text, ''), application_name, coalesce(host(client_addr), ''),"
        " coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - backend_start), 0)::float8"
        " FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database()"
        " AND pid <> pg_catalog.pg_backend_pid() AND pg_catalog.starts_with(application_name, %s)",
        (f"{application}:",),
    )
    return [Peer(*row) for row in rows]


def lock_holders(conn: t.Any, relation: int, longer_than: float = 0) -> list[Peer]:
    """Who holds a lock on a table that can be in the way of maintenance (reading alone is not), the longest first."""
    rows = query(
        conn,
        _PEER + " AND l.locktype = 'relation' AND l.relation = %s"
        " AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')"
        " AND coalesce(pg_catalog.clock_timestamp() - a.xact_start > %s * interval '1 second', true)"
        " ORDER BY a.xact_start",
        (relation, longer_than),
    )
    return [Peer(*row) for row in rows]


#: Chosen first and ended afterwards: the planner may test the conditions of one WHERE in any order.
_END_IDLE = """
WITH chosen AS MATERIALIZED (
  SELECT pid, coalesce(usename::text, '') AS who, coalesce(application_name, '') AS application,
         coalesce(host(client_addr), '') AS address,
         extract(epoch FROM pg_catalog.clock_timestamp() - backend_start)::float8 AS seconds
  FROM pg_catalog.pg_stat_activity
  WHERE pid = ANY (%s) AND backend_type = 'client backend'
    AND state IN ('idle in transaction', 'idle in transaction (aborted)')
    AND pg_catalog.clock_timestamp() - state_change > %s * interval '1 second'
)
SELECT pid, who, application, address, seconds, pg_catalog.pg_terminate_backend(pid) FROM chosen
"""


def end_idle(conn: t.Any, pids: t.Iterable[int], longer_than: float) -> list[Peer]:
    """End those of the sessions that have been idle in their transaction for longer than so many seconds."""
    rows = query(conn, _END_IDLE, (list(pids), longer_than))
    return [Peer(*row[:-1]) for row in rows if row[-1]]
