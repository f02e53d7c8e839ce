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

from .connection import StatementError, query, quote, server_version

_PG17 = 170000

#: REINDEX CONCURRENTLY could corrupt indexes there (PostgreSQL bug 17485).
CORRUPTING_VERSIONS = range(140000, 140004)

EXCLUSION = "x"

#: What REINDEX CONCURRENTLY calls its new and its old index; a name of 63 bytes loses its end before the suffix.
_LEFTOVER = re.compile(r"_cc(new|old)[0-9]*$")


@dataclasses.dataclass(frozen=True)
class Index:
    """One index of a user's table, of the TOAST table behind it, or of a system catalog."""

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
    shape: str  # its definition without its name, read without a lock on its table
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
    filenode: int = 0  # of the file that it is in: a rebuilt index is in another one
    toast_of: str = ""  # the table whose long values it finds
    catalog: bool = False  # of PostgreSQL itself: never to be rebuilt concurrently
    may_enter: bool = True  # its schema, which is asked first whenever it is named
    plain: bool = True  # without expressions and predicate: from 14 on, no other rebuild waits for its snapshots

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def title(self) -> str:
        """The label, for people who do not know TOAST tables by their numbers."""
        return f"{self.label} (TOAST of {self.toast_of})" if self.toast_of else self.label

    @property
    def sql_name(self) -> str:
        return quote(self.schema, self.name)


#: "could not open relation with OID ..." of what was just dropped, and a lock that was taken just before the size was
#: read; and how often it is looked in spite of these.
_PASSING = ("XX000", "55P03")
_LOOKS = 5

#: The first oid that PostgreSQL gives away after initdb.
_FIRST_USERS_OID = 16384

#: An expression without where in the text of its CREATE INDEX it stood: a copy does not know that.
_WITHOUT_PLACES = "coalesce(regexp_replace({}::text, ':location -?[0-9]+', '', 'g'), '')"

_USERS = "t.oid >= {first} AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_(toast|temp_)'"


def _sql(version: int, condition: str) -> str:
    maintain = "pg_catalog.has_table_privilege(t.oid, 'MAINTAIN')" if version >= _PG17 else "false"
    return f"""
WITH locked AS MATERIALIZED (
  SELECT DISTINCT relation FROM pg_catalog.pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL
),
building AS MATERIALIZED (
  SELECT relid FROM pg_catalog.pg_stat_progress_create_index WHERE datname = pg_catalog.current_database()
),
toasted AS MATERIALIZED (
  SELECT m.reltoastrelid, mn.nspname || '.' || m.relname AS name
  FROM pg_catalog.pg_class AS m JOIN pg_catalog.pg_namespace AS mn ON mn.oid = m.relnamespace
  WHERE m.reltoastrelid <> 0
)
SELECT c.oid::bigint, n.nspname::text, c.relname::text, t.oid::bigint, tn.nspname || '.' || t.relname, am.amname::text,
  i.indisvalid,
  CASE WHEN EXISTS (SELECT FROM locked WHERE relation IN (c.oid, t.oid))
    THEN c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint
    ELSE coalesce(pg_catalog.pg_relation_size(c.oid), 0) END,
  c.reltuples::float8,
  coalesce((SELECT split_part(o, '=', 2)::int FROM unnest(c.reloptions) AS opt(o) WHERE o ~ '^fillfactor='), 90),
  concat_ws('|', am.amname, i.indisunique, i.indnkeyatts, i.indkey, i.indclass, i.indcollation, i.indoption,
            c.reloptions, {_WITHOUT_PLACES.format("i.indexprs")}, {_WITHOUT_PLACES.format("i.indpred")}),
  coalesce((SELECT k.contype::text FROM pg_catalog.pg_constraint AS k
            WHERE k.conrelid = t.oid AND k.conindid = c.oid AND k.contype IN ('p', 'u', 'x') LIMIT 1), ''),
  pg_catalog.pg_get_userbyid(c.relowner)::text,
  o.owns OR {maintain}, o.owns,
  EXISTS (SELECT FROM building WHERE relid = t.oid OR relid IS NULL),
  coalesce(pg_catalog.pg_stat_get_mod_since_analyze(t.oid), 0), t.reltuples::float8,
  coalesce(pg_catalog.pg_stat_get_live_tuples(t.oid), 0), i.indpred IS NOT NULL,
  CASE WHEN c.reltablespace = 0 THEN '' ELSE pg_catalog.pg_tablespace_location(c.reltablespace) END,
  coalesce(pg_catalog.pg_relation_filenode(c.oid), 0)::bigint,
  coalesce(toasted.name, ''),
  t.oid < {_FIRST_USERS_OID}, pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
  i.indexprs IS NULL AND i.indpred IS NULL
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
JOIN pg_catalog.pg_am AS am ON am.oid = c.relam
LEFT JOIN toasted ON toasted.reltoastrelid = t.oid
CROSS JOIN LATERAL (SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE')
                      OR pg_catalog.current_setting('is_superuser') = 'on' AS owns) AS o
WHERE c.relkind = 'i' AND c.relpersistence <> 't' AND {condition}
"""  # noqa: S608 - our own words


def indexes(conn: t.Any) -> list[Index]:
    """All indexes of the users' tables; partitions' one by one."""
    return _read(conn, _USERS.format(first=_FIRST_USERS_OID))


def all_indexes(conn: t.Any) -> list[Index]:
    """The same, with those of TOAST tables and of the system catalogs."""
    return _read(conn, "true")


def indexes_of(conn: t.Any, tables: t.Iterable[int]) -> list[Index]:
    """The indexes of the tables (or TOAST tables) with these oids."""
    return _read(conn, "i.indrelid = ANY (%(tables)s::oid[])", {"tables": list(tables)})


def _read(conn: t.Any, condition: str, parameters: t.Mapping[str, t.Any] | None = None) -> list[Index]:
    """What is dropped while it is read makes the server stumble over it: the next look does not see it any more."""
    sql = _sql(server_version(conn), condition)
    for attempt in range(1, _LOOKS + 1):
        try:
            return [Index(*row) for row in query(conn, sql, parameters)]
        except StatementError as exc:
            if exc.connection_lost or exc.sqlstate not in _PASSING or attempt == _LOOKS:
                raise
    return []


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
