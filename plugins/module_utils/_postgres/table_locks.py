# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds locks on which tables that a concurrent rebuild waits for: read once for all tables.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .connection import query
from .sessions import Holder, Peer


@dataclasses.dataclass(frozen=True)
class TableHolder:
    """Somebody in the way."""

    who: str
    advice: str
    pid: int | None  # None: a prepared transaction, which is no session


#: Reading alone is not in the way. A prepared transaction is known by the lock on its own transaction id, which has the
#: same virtual transaction as its other locks: what that is called differs between versions.
_HELD = """
SELECT l.relation::bigint, a.pid, coalesce(a.usename::text, ''), coalesce(a.application_name, ''),
       coalesce(pg_catalog.host(a.client_addr), ''),
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.backend_start), 0)::float8,
       p.gid, coalesce(p.owner::text, ''), p.prepared, coalesce(pg_catalog.age(p.transaction), 0),
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared), 0)::float8
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN (SELECT own.virtualtransaction, x.* FROM pg_catalog.pg_prepared_xacts AS x JOIN pg_catalog.pg_locks AS own
             ON own.locktype = 'transactionid' AND own.transactionid = x.transaction AND own.granted AND own.pid IS NULL
          ) AS p ON p.virtualtransaction = l.virtualtransaction AND l.pid IS NULL
WHERE l.granted AND l.locktype = 'relation' AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
  AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() AND coalesce(a.application_name, '') <> %(ours)s
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND (a.pid IS NOT NULL OR p.gid IS NOT NULL)
  AND coalesce(
    pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared) > %(longer)s * interval '1 second', true)
ORDER BY coalesce(a.xact_start, p.prepared)
"""


def table_holders(conn: t.Any, ours: str, longer_than: float = 0) -> dict[int, list[TableHolder]]:
    """By the oid of the table, those whose transaction is older than so many seconds, the oldest first.

    :param ours: the application name of our own sessions.
    """
    found: dict[int, list[TableHolder]] = {}
    for table, pid, user, application, address, connected, gid, owner, since, age, seconds in query(
        conn, _HELD, {"ours": ours, "longer": longer_than}
    ):
        if pid is None:
            prepared = Holder("prepared", gid, owner, "", "", since, age, False, seconds)
            holder = TableHolder(str(prepared), prepared.advice, None)
        else:
            peer = Peer(pid, user, application, address, connected)
            holder = TableHolder(str(peer), "let that transaction end; the next run tries again", pid)
        found.setdefault(table, []).append(holder)
    return found
