# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of one database.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from .._core.durations import format_duration
from .._core.result import Finding
from .._core.sizes import format_size
from . import catalog_indexes, catalog_tables
from .bloat import CANNOT_MEASURE, BloatMeter
from .catalog_indexes import Index
from .connection import query, server_version
from .reviewing import CannotLook, Check, Look

_PG16 = 160000

_LARGEST_TABLES = 10

#: Dead rows below this are nobody's trouble, whatever their share.
_DEAD_ROWS = 10000

#: Blocks that must have been asked for before a hit ratio says anything.
_BLOCKS = 100_000


def table_sizes(look: Look) -> list[Finding]:
    """Facts only: growth is judged by whoever keeps the records."""
    look.facts["size_bytes"] = query(look.conn, "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())")[0][
        0
    ]
    tables = [table for table in catalog_tables.tables(look.conn) if not table.system]
    sizes = catalog_tables.sizes(look.conn, [table.oid for table in tables])
    largest = sorted(tables, key=lambda table: -sizes.get(table.oid, 0))[:_LARGEST_TABLES]
    look.facts["largest_tables"] = [
        {"table": table.label, "bytes": sizes.get(table.oid, 0), "rows": table.live, "dead_rows": table.dead}
        for table in largest
    ]
    return []


def dead_rows(look: Look) -> list[Finding]:
    found = []
    for table in catalog_tables.tables(look.conn):
        dead, rows = table.dead, max(table.live, 0)
        percent = 100 * dead / max(dead + rows, 1)
        if dead >= _DEAD_ROWS and percent >= look.thresholds.dead_percent:
            message = f"{dead} dead rows, {percent:.0f} % of all"
            action = "run VACUUM; when that removes nothing, end the transaction that holds them"
            limit = look.thresholds.dead_percent
            found.append(look.finding("dead_rows", "medium", table.label, message, action, round(percent, 1), limit))
    return found


def invalid_indexes(look: Look) -> list[Finding]:
    rows = query(
        look.conn,
        """
SELECT n.nspname || '.' || c.relname, tn.nspname || '.' || t.relname, c.relkind::text
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
WHERE NOT i.indisvalid AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.relid = t.oid)
ORDER BY 1""",
    )
    found = []
    for name, table, kind in rows:
        if kind == "I":
            action = "create the missing index on each partition and attach it with ALTER INDEX ... ATTACH PARTITION"
        else:
            action = "REINDEX INDEX CONCURRENTLY, or drop it when it is a leftover (_ccnew, _ccold)"
        message = f"invalid index on {table}: no query uses it, every write pays for it"
        found.append(look.finding("invalid_index", "high", name, message, action))
    return found


def bloated_indexes(look: Look) -> list[Finding]:
    limits = look.thresholds
    meter = BloatMeter(look.conn)
    found, blind = [], []
    for index in _btrees(look):
        if index.bytes < limits.minimum_bytes:
            continue
        bloat = meter.look(index)
        if bloat.percent is None:
            blind.append(f"{index.label} ({bloat.reason})")
        elif bloat.percent >= limits.bloat_percent:
            message = f"{bloat.percent:.0f} % of its {format_size(index.bytes)} are bloat, by {bloat.method}"
            action = f"REINDEX INDEX CONCURRENTLY {index.sql_name}"
            value = round(bloat.percent, 1)
            found.append(look.finding("bloat", "medium", index.label, message, action, value, limits.bloat_percent))
    if blind:
        raise CannotLook(f"bloat of {len(blind)} indexes, first of all {blind[0]}", CANNOT_MEASURE, found)
    return found


def _btrees(look: Look) -> list[Index]:
    return [index for index in catalog_indexes.indexes(look.conn) if index.method == "btree" and index.valid]


def duplicate_indexes(look: Look) -> list[Finding]:
    """Same table, columns, operators, order, condition: all that the definition says but the name."""
    groups: dict[tuple[int, str], list[Index]] = {}
    for index in catalog_indexes.indexes(look.conn):
        if index.valid:
            groups.setdefault((index.table_oid, index.shape), []).append(index)
    found = []
    for group in groups.values():
        keep, *others = sorted(group, key=lambda index: (not index.constraint, index.oid))
        for index in others:
            if index.constraint:
                continue
            message = f"the same as {keep.label}, takes {format_size(index.bytes)} and time on every write"
            action = f"DROP INDEX CONCURRENTLY {index.sql_name}"
            found.append(look.finding("duplicate_index", "low", index.label, message, action, index.bytes))
    return found


def unused_indexes(look: Look) -> list[Finding]:
    """Counted since the statistics began: when these are young, nothing is said."""
    limits = look.thresholds
    last_use = "greatest(s.last_idx_scan, since.began)" if server_version(look.conn) >= _PG16 else "since.began"
    used = "true" if server_version(look.conn) >= _PG16 else "s.idx_scan = 0"
    rows = query(
        look.conn,
        f"""
SELECT s.indexrelid::bigint, extract(epoch FROM pg_catalog.clock_timestamp() - {last_use})::float8
FROM pg_catalog.pg_stat_user_indexes AS s
JOIN pg_catalog.pg_index AS i ON i.indexrelid = s.indexrelid
CROSS JOIN (SELECT coalesce(d.stats_reset, pg_catalog.pg_postmaster_start_time()) AS began
            FROM pg_catalog.pg_stat_database AS d WHERE d.datname = pg_catalog.current_database()) AS since
WHERE i.indisvalid AND NOT i.indisunique AND NOT i.indisexclusion AND NOT i.indisreplident AND {used}""",  # noqa: S608 - our own words
    )
    idle = dict(rows)
    found = []
    for index in catalog_indexes.indexes(look.conn):
        seconds = idle.get(index.oid)
        if seconds is None or seconds < limits.unused_after or index.bytes < limits.minimum_bytes:
            continue
        since = f"{format_duration(seconds)}, or since it was made"
        message = f"no use of it is known for {since}; it takes {format_size(index.bytes)}"
        action = "look at every standby as well, then drop it"
        found.append(
            look.finding("unused_index", "low", index.label, message, action, int(seconds), limits.unused_after)
        )
    return found


def cache_hit_ratio(look: Look) -> list[Finding]:
    hit, read = query(
        look.conn,
        "SELECT blks_hit, blks_read FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()",
    )[0]
    percent = 100 * hit / max(hit + read, 1)
    look.facts["cache_hit_percent"] = round(percent, 2)
    if hit + read < _BLOCKS or percent >= look.thresholds.cache_hit_percent:
        return []
    message = f"{percent:.1f} % of the blocks came from the cache"
    action = "look at the slow queries first, then at shared_buffers and the memory of the host"
    limit = look.thresholds.cache_hit_percent
    return [look.finding("cache", "low", look.database, message, action, round(percent, 1), limit)]


CHECKS: tuple[Check, ...] = (
    table_sizes,
    dead_rows,
    invalid_indexes,
    bloated_indexes,
    duplicate_indexes,
    unused_indexes,
    cache_hit_ratio,
)
