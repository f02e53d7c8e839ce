# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the server as a whole.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from .._core.durations import format_duration
from .._core.result import Finding
from . import sessions
from .connection import query, quote
from .reviewing import CannotLook, Check, Look

#: PostgreSQL stops giving out transaction ids some 3 million before 2^31.
_STOPS_AT = 2**31 - 3_000_000

_CRITICAL_AGE = 1_500_000_000

#: A database is expected to pass autovacuum_freeze_max_age: that is when autovacuum begins. Not by this much.
_BEHIND = 1.2

#: setting -> (its alarming value, severity, what it means, what to do)
_SURPRISES = {
    "fsync": ("off", "critical", "a crash can destroy the databases", "switch fsync on"),
    "full_page_writes": ("off", "critical", "a crash can leave torn pages", "switch full_page_writes on"),
    "autovacuum": ("off", "high", "dead rows pile up and the wraparound comes nearer", "switch autovacuum on"),
    "track_counts": ("off", "high", "nobody can know which table needs maintenance", "switch track_counts on"),
    "data_checksums": (
        "off",
        "low",
        "silent corruption of the storage is not noticed",
        "run pg_checksums --enable in a window",
    ),
    "zero_damaged_pages": (
        "on",
        "critical",
        "damaged pages are emptied without a word",
        "switch zero_damaged_pages off",
    ),
    "ignore_checksum_failure": (
        "on",
        "critical",
        "damaged pages are read as good",
        "switch ignore_checksum_failure off",
    ),
}


def settings_that_surprise(look: Look) -> list[Finding]:
    rows = query(
        look.conn, "SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY (%s)", (list(_SURPRISES),)
    )
    found = []
    for name, value in rows:
        alarming, severity, meaning, action = _SURPRISES[name]
        if value == alarming:
            found.append(
                look.finding("setting", severity, f"setting {name}", f"{name} is {value}: {meaning}", action, value)
            )
    return found


def wraparound_distance(look: Look) -> list[Finding]:
    """Of every database, those that refuse connections too: they count for the whole server."""
    rows = query(
        look.conn,
        """
SELECT datname::text, pg_catalog.age(datfrozenxid), pg_catalog.mxid_age(datminmxid),
       pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint,
       pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::bigint
FROM pg_catalog.pg_database ORDER BY 1""",
    )
    look.facts["oldest_xid_age"] = max(row[1] for row in rows)
    look.facts["oldest_mxid_age"] = max(row[2] for row in rows)
    found = []
    for name, xid, mxid, xid_limit, mxid_limit in rows:
        for unit, age, limit in (("transaction id", xid, xid_limit), ("multixact id", mxid, mxid_limit)):
            if age <= limit * _BEHIND:
                continue
            severity = "critical" if age >= _CRITICAL_AGE else "high"
            message = (
                f"its oldest {unit} is {age} old, autovacuum acts from {limit}; at {_STOPS_AT} the server stops writing"
            )
            action = "end what holds old rows (transactions, slots, prepared transactions) and run VACUUM on it"
            found.append(look.finding("wraparound", severity, f"database {name}", message, action, age, limit))
    return found


def old_transactions(look: Look) -> list[Finding]:
    limit = look.thresholds.transaction_age
    found = []
    for holder in sessions.holders(look.conn, everywhere=True):
        if holder.kind == "slot":
            if holder.state == "inactive":
                message = f"{holder} is inactive and keeps dead rows and WAL"
                found.append(look.finding("slot", "high", f"slot {holder.name}", message, holder.advice, holder.age))
        elif holder.seconds is not None and holder.seconds > limit:
            message = f"{holder}: it keeps dead rows from being removed"
            subject = f"{holder.kind} {holder.name}"
            severity = "high" if holder.kind == "prepared" else "medium"
            found.append(
                look.finding("old_transaction", severity, subject, message, holder.advice, int(holder.seconds), limit)
            )
    if not sessions.sees_other_sessions(look.conn):
        role = query(look.conn, "SELECT current_user")[0][0]
        reason = f"role {role} does not see the transactions of others"
        raise CannotLook(reason, f"GRANT pg_monitor TO {quote(role)}", found)
    return found


def connections_near_the_limit(look: Look) -> list[Finding]:
    used, most = query(
        look.conn,
        """
SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'),
       pg_catalog.current_setting('max_connections')::int
         - pg_catalog.current_setting('superuser_reserved_connections')::int""",
    )[0]
    look.facts["connections"] = {"used": used, "limit": most}
    percent = 100 * used / max(most, 1)
    if percent < look.thresholds.connections_percent:
        return []
    message = f"{used} of {most} connections are in use"
    action = "put a connection pool in front, find what leaks connections, or raise max_connections"
    return [look.finding("connections", "high", "connections", message, action, used, most)]


def replication(look: Look) -> list[Finding]:
    """On a standby: how far it is behind. On a primary: slots that lost the WAL they need."""
    if query(look.conn, "SELECT pg_catalog.pg_is_in_recovery()")[0][0]:
        received, behind = query(
            look.conn,
            """
SELECT pg_catalog.pg_last_wal_receive_lsn() IS DISTINCT FROM pg_catalog.pg_last_wal_replay_lsn(),
       extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8""",
        )[0]
        look.facts["replay_lag_seconds"] = behind if received else 0
        if received and behind is not None and behind > look.thresholds.transaction_age:
            message = f"the standby replays what happened {format_duration(behind)} ago"
            action = "look for long queries on it, a slow disk or a cut network"
            return [look.finding("replay_lag", "high", "standby", message, action, int(behind))]
        return []
    rows = query(
        look.conn,
        "SELECT slot_name::text, wal_status FROM pg_catalog.pg_replication_slots"
        " WHERE wal_status IN ('unreserved', 'lost')",
    )
    action = "rebuild its consumer and drop the slot"
    return [
        look.finding("slot_lost", "high", f"slot {name}", f"the slot's WAL is {status}", action, status)
        for name, status in rows
    ]


CHECKS: tuple[Check, ...] = (
    settings_that_surprise,
    wraparound_distance,
    old_transactions,
    connections_near_the_limit,
    replication,
)
