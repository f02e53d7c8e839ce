# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the catalog and the statistics say about tables, on PostgreSQL 13 to 18.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

No function here takes a lock on a table: sizes come from pg_class, so that a table that somebody holds exclusively can
still be judged.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .connection import query, server_version

_PG14, _PG17, _PG18 = 140000, 170000, 180000

PARTITIONED = "p"

#: The server's settings that count: those that reloptions can override, by the name that both share, and freezing's.
SETTINGS = (
    "autovacuum_vacuum_threshold",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_insert_threshold",
    "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_analyze_threshold",
    "autovacuum_analyze_scale_factor",
    "autovacuum_freeze_max_age",
    "autovacuum_multixact_freeze_max_age",
    "autovacuum_vacuum_max_threshold",  # 18
    "vacuum_freeze_min_age",
    "vacuum_multixact_freeze_min_age",
)


@dataclasses.dataclass(frozen=True)
class Rows:
    """The state of one storage: a table, or the TOAST table behind it."""

    rows: float  # reltuples: -1 when never counted
    dead: int
    inserted: int  # since the last vacuum
    modified: int  # since the last analyze
    xid_age: int
    mxid_age: int
    frozen_share: float  # of the pages, known from 18 on; else 0
    options: t.Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Table:
    """One table with all that is needed to judge it."""

    oid: int
    schema: str
    name: str
    kind: str
    live: int  # rows, as the statistics have it
    system: bool
    may_maintain: bool
    owner: str
    created_age: int  # in transactions, since the definition was last changed
    vacuumed: datetime.datetime | None  # by whomever, the last time
    vacuumed_seconds: float | None
    analyzed: datetime.datetime | None
    analyzed_seconds: float | None
    main: Rows
    toast: Rows | None
    leaf_rows: float  # of a partitioned table: over all its partitions
    leaf_modified: int
    leaf_autoanalyzed: datetime.datetime | None
    toast_vacuumed: datetime.datetime | None = None
    toast_vacuumed_seconds: float | None = None
    bytes: int = 0  # with its TOAST table; only where `with_sizes` read it

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def dead(self) -> int:
        return self.main.dead + (self.toast.dead if self.toast else 0)

    @property
    def inserted(self) -> int:
        return self.main.inserted + (self.toast.inserted if self.toast else 0)

    @property
    def xid_age(self) -> int:
        return max(self.main.xid_age, self.toast.xid_age if self.toast else 0)

    @property
    def mxid_age(self) -> int:
        return max(self.main.mxid_age, self.toast.mxid_age if self.toast else 0)


def settings(conn: t.Any) -> dict[str, float]:
    """The server's autovacuum settings, as numbers."""
    rows = query(conn, "SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY (%s)", (list(SETTINGS),))
    return {name: float(value) for name, value in rows}


def _storage(alias: str, version: int) -> str:
    """The columns of `Rows` for a table (c) or its TOAST table (x)."""
    counted = f"{alias}.reltuples"
    if version < _PG14:
        # It says 0 of a table that was never counted, as of an empty one; newer versions say -1.
        counted = f"""CASE WHEN {alias}.relkind IN ('r', 'm') AND {alias}.reltuples = 0 AND {alias}.relpages = 0
    AND pg_catalog.pg_stat_get_last_vacuum_time({alias}.oid) IS NULL
    AND pg_catalog.pg_stat_get_last_autovacuum_time({alias}.oid) IS NULL
    AND pg_catalog.pg_stat_get_last_analyze_time({alias}.oid) IS NULL
    AND pg_catalog.pg_stat_get_last_autoanalyze_time({alias}.oid) IS NULL THEN -1 ELSE {alias}.reltuples END"""
    frozen = f"{alias}.relallfrozen / greatest({alias}.relpages, 1)::float8" if version >= _PG18 else "0::float8"
    return f"""
  ({counted})::float8, coalesce(pg_catalog.pg_stat_get_dead_tuples({alias}.oid), 0),
  coalesce(pg_catalog.pg_stat_get_ins_since_vacuum({alias}.oid), 0),
  coalesce(pg_catalog.pg_stat_get_mod_since_analyze({alias}.oid), 0),
  CASE WHEN {alias}.relkind = 'p' THEN 0 ELSE pg_catalog.age({alias}.relfrozenxid) END,
  CASE WHEN {alias}.relkind = 'p' THEN 0 ELSE pg_catalog.mxid_age({alias}.relminmxid) END,
  {frozen}, coalesce({alias}.reloptions, '{{}}')"""


#: Temporary tables are left out: nobody but their own session can maintain them.
_OURS = "c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_(toast|temp_)'"


def _sql(version: int) -> str:
    maintain = "pg_catalog.has_table_privilege(c.oid, 'MAINTAIN')" if version >= _PG17 else "false"
    last_analyze = """greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid),
                              pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid))"""
    if version < _PG14:
        # Nothing remembers when a partitioned table was analyzed; that its statistics exist is all there is to see.
        last_analyze = f"""CASE WHEN c.relkind <> 'p' THEN {last_analyze} WHEN EXISTS (
          SELECT FROM pg_catalog.pg_stats AS st WHERE st.schemaname = n.nspname AND st.tablename = c.relname
            AND st.inherited) THEN pg_catalog.clock_timestamp() END"""
    return f"""
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text,
  coalesce(pg_catalog.pg_stat_get_live_tuples(c.oid), 0),
  n.nspname IN ('pg_catalog', 'information_schema') AS system,
  pg_catalog.pg_has_role(c.relowner, 'USAGE') OR {maintain}
    OR (d.mine AND NOT c.relisshared) OR pg_catalog.current_setting('is_superuser') = 'on' AS may_maintain,
  pg_catalog.pg_get_userbyid(c.relowner)::text,
  pg_catalog.age(c.xmin)::bigint,
  greatest(pg_catalog.pg_stat_get_last_vacuum_time(c.oid), pg_catalog.pg_stat_get_last_autovacuum_time(c.oid)),
  extract(epoch FROM pg_catalog.clock_timestamp() - greatest(
    pg_catalog.pg_stat_get_last_vacuum_time(c.oid), pg_catalog.pg_stat_get_last_autovacuum_time(c.oid)))::float8,
  {last_analyze},
  extract(epoch FROM pg_catalog.clock_timestamp() - {last_analyze})::float8,
  {_storage("c", version)},
  x.oid IS NOT NULL,
  {_storage("x", version)},
  coalesce(leaves.counted, 0)::float8, coalesce(leaves.modified, 0)::bigint, leaves.autoanalyzed,
  greatest(pg_catalog.pg_stat_get_last_vacuum_time(x.oid), pg_catalog.pg_stat_get_last_autovacuum_time(x.oid)),
  extract(epoch FROM pg_catalog.clock_timestamp() - greatest(
    pg_catalog.pg_stat_get_last_vacuum_time(x.oid), pg_catalog.pg_stat_get_last_autovacuum_time(x.oid)))::float8
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class AS x ON x.oid = c.reltoastrelid
CROSS JOIN (SELECT pg_catalog.pg_has_role(datdba, 'USAGE') AS mine FROM pg_catalog.pg_database
            WHERE datname = pg_catalog.current_database()) AS d
LEFT JOIN LATERAL (
  SELECT sum(greatest(l.reltuples, 0)) AS counted, sum(pg_catalog.pg_stat_get_mod_since_analyze(l.oid)) AS modified,
         max(pg_catalog.pg_stat_get_last_autoanalyze_time(l.oid)) AS autoanalyzed
  FROM pg_catalog.pg_partition_tree(c.oid) AS t JOIN pg_catalog.pg_class AS l ON l.oid = t.relid AND t.isleaf
) AS leaves ON c.relkind = 'p'
WHERE {_OURS}
"""  # noqa: S608 - our own words


def tables(conn: t.Any, only: t.Sequence[int] | None = None) -> list[Table]:
    """All tables, materialised views and partitioned tables of the database, or those with the given oids."""
    sql = _sql(server_version(conn))
    if only is not None:
        return [_table(row) for row in query(conn, sql + " AND c.oid = ANY (%s::oid[])", (list(only),))]
    return [_table(row) for row in query(conn, sql)]


def names(conn: t.Any) -> set[str]:
    """The labels of all tables."""
    sql = f"""
SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE {_OURS}"""  # noqa: S608 - our own words
    return {name for (name,) in query(conn, sql)}


def with_sizes(conn: t.Any, found: t.Sequence[Table]) -> list[Table]:
    """The same tables, with their bytes."""
    bytes_of = sizes(conn, [table.oid for table in found]) if found else {}
    return [dataclasses.replace(table, bytes=bytes_of.get(table.oid, 0)) for table in found]


def sizes(conn: t.Any, oids: t.Sequence[int]) -> dict[int, int]:
    """The bytes of tables with their TOAST tables; one that somebody holds exclusively is estimated, not waited for.

    Without their maps and TOAST indexes, a thousandth: to look at those as well takes three times as long.
    """
    rows = query(
        conn,
        """
SELECT c.oid::bigint, CASE WHEN EXISTS (
    SELECT FROM pg_catalog.pg_locks AS l WHERE l.relation IN (c.oid, c.reltoastrelid) AND l.mode =
    'AccessExclusiveLock')
  THEN c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint
  ELSE pg_catalog.pg_relation_size(c.oid) + coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0) END
FROM pg_catalog.pg_class AS c WHERE c.oid = ANY (%s::oid[])""",
        (list(oids),),
    )
    return {oid: size or 0 for oid, size in rows}


_FIRST_STORAGE, _STORAGE = 13, 8


def _table(row: t.Sequence[t.Any]) -> Table:
    toast = _FIRST_STORAGE + _STORAGE
    main = _rows(row[_FIRST_STORAGE:toast])
    behind = _rows(row[toast + 1 : toast + 1 + _STORAGE]) if row[toast] else None
    if behind and not behind.options:
        # As autovacuum has it (table_recheck_autovac): without any setting of its own it is under those of its table.
        behind = dataclasses.replace(behind, options=main.options)
    columns: list[t.Any] = [*row[:_FIRST_STORAGE], main, behind, *row[toast + 1 + _STORAGE :]]
    return Table(*columns)


def _rows(columns: t.Sequence[t.Any]) -> Rows:
    options = dict(option.partition("=")[::2] for option in columns[-1])
    values: list[t.Any] = [*columns[:-1], options]
    return Rows(*values)
