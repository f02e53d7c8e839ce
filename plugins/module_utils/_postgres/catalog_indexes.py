# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the catalog says about indexes, on PostgreSQL 13 to 18.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .connection import query, quote, server_version

_PG17 = 170000

#: REINDEX CONCURRENTLY could corrupt indexes there (PostgreSQL bug 17485).
CORRUPTING_VERSIONS = range(140000, 140004)

EXCLUSION = "x"

#: What REINDEX CONCURRENTLY calls its new and its old index; a name of 63 bytes loses its end before the suffix.
_LEFTOVER = re.compile(r"_cc(new|old)[0-9]*$")


@dataclasses.dataclass(frozen=True)
class Index:
    """One index of a user's table."""

    oid: int
    schema: str
    name: str
    table_oid: int
    table: str
    method: str
    valid: bool
    bytes: int
    rows: float
    fillfactor: int
    shape: str  # its definition without its name
    constraint: str  # the type of the constraint it stands behind, or empty
    owner: str
    may_maintain: bool
    may_drop: bool
    being_built: bool
    modified: int  # rows of the table changed since it was last analyzed
    table_rows: float  # as last counted, -1 when never
    table_live: int  # as the statistics keep it up to date
    partial: bool
    path: str  # of its tablespace, empty for the data directory

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql_name(self) -> str:
        return quote(self.schema, self.name)


def _sql(version: int) -> str:
    maintain = "pg_catalog.has_table_privilege(t.oid, 'MAINTAIN')" if version >= _PG17 else "false"
    return f"""
SELECT c.oid::bigint, n.nspname::text, c.relname::text, t.oid::bigint, tn.nspname || '.' || t.relname, am.amname::text,
  i.indisvalid,
  CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_locks AS l
                    WHERE l.relation IN (c.oid, t.oid) AND l.mode = 'AccessExclusiveLock')
    THEN c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint
    ELSE coalesce(pg_catalog.pg_relation_size(c.oid), 0) END,
  c.reltuples::float8,
  coalesce((SELECT split_part(o, '=', 2)::int FROM unnest(c.reloptions) AS opt(o) WHERE o ~ '^fillfactor='), 90),
  CASE WHEN i.indisunique THEN 'unique' ELSE '' END || substr(pg_catalog.pg_get_indexdef(c.oid),
    length('CREATE INDEX ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END
           || pg_catalog.quote_ident(c.relname)) + 1),
  coalesce((SELECT k.contype::text FROM pg_catalog.pg_constraint AS k
            WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x') LIMIT 1), ''),
  pg_catalog.pg_get_userbyid(c.relowner)::text,
  o.owns OR {maintain}, o.owns,
  EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index AS p
          WHERE p.datname = pg_catalog.current_database() AND (p.relid = t.oid OR p.relid IS NULL)),
  coalesce(pg_catalog.pg_stat_get_mod_since_analyze(t.oid), 0), t.reltuples::float8,
  coalesce(pg_catalog.pg_stat_get_live_tuples(t.oid), 0), i.indpred IS NOT NULL,
  CASE WHEN c.reltablespace = 0 THEN '' ELSE pg_catalog.pg_tablespace_location(c.reltablespace) END
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
JOIN pg_catalog.pg_am AS am ON am.oid = c.relam
CROSS JOIN LATERAL (SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE')
                      OR pg_catalog.current_setting('is_superuser') = 'on' AS owns) AS o
WHERE c.relkind = 'i' AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp_)'
"""  # noqa: S608 - our own words


def indexes(conn: t.Any, table: int | None = None) -> list[Index]:
    """All indexes of the users' tables, or those of the table with the given oid; partitions' one by one."""
    sql = _sql(server_version(conn))
    if table is None:
        return [Index(*row) for row in query(conn, sql)]
    return [Index(*row) for row in query(conn, sql + " AND t.oid = %s::oid", (table,))]


def leftovers(found: t.Sequence[Index]) -> list[Index]:
    """The invalid indexes that an interrupted REINDEX CONCURRENTLY left behind.

    Known by what they are, not by a whole name, which is cut at 63 bytes: invalid, called so, not being built, and
    the same as another index of the same table. Without such a twin the name is somebody's own choice.
    """
    originals = {(index.table_oid, index.shape) for index in found if not _LEFTOVER.search(index.name)}
    return [
        index
        for index in found
        if not index.valid
        and not index.being_built
        and _LEFTOVER.search(index.name)
        and (index.table_oid, index.shape) in originals
    ]


def data_directory(conn: t.Any) -> str:
    """Where the server keeps its data, empty when this role is not told."""
    rows = query(conn, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory'")
    return str(rows[0][0]) if rows else ""
