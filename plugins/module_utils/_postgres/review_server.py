# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the server as a whole.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.result import Finding
from . import sessions
from .reviewing import Look

_PG16 = 160000

#: PostgreSQL stops giving out transaction ids some 3 million before 2^31.
STOPS_AT = 2**31 - 3_000_000

_CRITICAL_AGE = 1_500_000_000

#: A database is expected to pass autovacuum_freeze_max_age: that is when autovacuum begins. Not by this much.
_BEHIND = 1.2

#: setting -> (its alarming value, severity, what it means, what to do)
_SURPRISES = {
    "fsync": ("off", "critical", "a crash can destroy the databases", ""),
    "full_page_writes": ("off", "critical", "a crash can leave torn pages", ""),
    "autovacuum": ("off", "high", "dead rows pile up and the wraparound comes nearer", ""),
    "track_counts": ("off", "high", "nobody can know which table needs maintenance", ""),
    "data_checksums": (
        "off",
        "low",
        "silent corruption of the storage is not noticed",
        "run pg_checksums --enable while the server is stopped",
    ),
    "zero_damaged_pages": ("on", "critical", "damaged pages are emptied without a word", ""),
    "ignore_checksum_failure": ("on", "critical", "damaged pages are read as good", ""),
}


def settings_that_surprise(look: Look) -> t.Iterator[Finding]:
    rows = look.query(
        "SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY (%s) ORDER BY 1", (list(_SURPRISES),)
    )
    for name, value in rows:
        alarming, severity, meaning, action = _SURPRISES[name]
        if value == alarming:
            right = "off" if alarming == "on" else "on"
            action = action or f"ALTER SYSTEM SET {name} = {right}, then SELECT pg_reload_conf()"
            yield look.finding("setting", severity, f"setting {name}", f"{name} is {value}: {meaning}", action, value)


def is_behind(age: int, limit: float) -> bool:
    """Whether autovacuum should have frozen this long ago."""
    return age > min(limit * _BEHIND, _CRITICAL_AGE)


def wraparound_severity(age: int) -> str:
    return "critical" if age >= _CRITICAL_AGE else "high"


def wraparound_distance(look: Look) -> t.Iterator[Finding]:
    """Of every database, those that refuse connections too: they count for the whole server."""
    rows = look.query(
        """
SELECT datname::text, pg_catalog.age(datfrozenxid), pg_catalog.mxid_age(datminmxid),
       pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint,
       pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::bigint, datallowconn
FROM pg_catalog.pg_database ORDER BY 1"""
    )
    look.facts["oldest_xid_age"] = max(row[1] for row in rows)
    look.facts["oldest_mxid_age"] = max(row[2] for row in rows)
    look.facts["transactions_until_stop"] = STOPS_AT - max(look.facts["oldest_xid_age"], look.facts["oldest_mxid_age"])
    for name, xid, mxid, xid_limit, mxid_limit, connectable in rows:
        for unit, age, limit in (("transaction id", xid, xid_limit), ("multixact id", mxid, mxid_limit)):
            if not is_behind(age, limit):
                continue
            message = (
                f"its oldest {unit} is {age} old, autovacuum acts from {limit}; at {STOPS_AT} the server stops writing"
            )
            do = "run VACUUM in it" if connectable else "see that autovacuum is on: nobody else can connect to it"
            action = f"end what holds old rows (transactions, slots, prepared transactions), then {do}"
            severity = wraparound_severity(age)
            yield look.finding("wraparound", severity, f"database {name}", message, action, age, limit)


def old_transactions(look: Look) -> t.Iterator[Finding]:
    """Sessions, prepared transactions and standbys' queries; slots have a check of their own."""
    limit = look.thresholds.transaction_age
    look.hurry()
    for holder in sessions.holders(look.conn, everywhere=True):
        if holder.kind == "slot" or holder.seconds is None or holder.seconds <= limit:
            continue
        what = "prepared_transaction" if holder.kind == "prepared" else "old_transaction"
        severity = "high" if holder.kind == "prepared" else "medium"
        message = f"{holder}: it keeps dead rows from being removed"
        subject = f"{holder.kind} {holder.name}"
        yield look.finding(what, severity, subject, message, holder.advice, int(holder.seconds), limit)
    look.must_monitor("the transactions of others")


def connections_near_the_limit(look: Look) -> t.Iterator[Finding]:
    look.must_monitor("who is connected")
    # Names of settings: the second came with 16.
    reserved = "superuser_reserved_connections', 'reserved_connections" if look.version >= _PG16 else (
        "superuser_reserved_connections"
    )  # fmt: skip
    used, most = look.query(
        f"""
SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'),
       pg_catalog.current_setting('max_connections')::int
         - (SELECT sum(setting::int) FROM pg_catalog.pg_settings WHERE name IN ('{reserved}'))::int"""  # noqa: S608 - our own words
    )[0]
    look.facts["connections"] = {"used": used, "limit": most}
    percent = 100 * used / max(most, 1)
    if percent >= look.thresholds.connections_percent:
        message = f"{used} of {most} connections are in use"
        action = "put a connection pool in front, find what leaks connections, or raise max_connections"
        yield look.finding("connections", "high", "connections", message, action, used, most)
