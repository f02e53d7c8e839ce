# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collations whose rules changed under the data, and the indexes that are sorted by them, on PostgreSQL 13 to 18.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The operating system or ICU sorts; an update of it may sort otherwise. PostgreSQL keeps the version that was in use and
warns. Indexes are to be rebuilt first, and only then the version may be refreshed: the other way round silences the
warning and keeps the wrong order.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .connection import query, quote, server_version

_PG14, _PG15 = 140000, 150000

#: The oid of the collation "default" in every database.
_DEFAULT = 100


@dataclasses.dataclass(frozen=True)
class Drift:
    """One collation of one database that is no longer what it was when its version was recorded."""

    oid: int
    schema: str
    name: str  # of the collation; of the database for its default collation
    provider: str  # in words
    recorded: str
    actual: str
    owner: str
    may_refresh: bool
    indexes: t.Sequence[int]  # oids of the users' indexes that depend on it
    partitioned: t.Sequence[str]  # tables that are partitioned by ranges of it: a row may lie in the wrong partition

    @property
    def default(self) -> bool:
        return self.oid == _DEFAULT

    @property
    def label(self) -> str:
        return "default collation" if self.default else f"collation {self.schema}.{self.name}"

    @property
    def refresh_sql(self) -> str:
        """What records the new version; right only after every dependent index was rebuilt."""
        if self.default:
            return f"ALTER DATABASE {quote(self.name)} REFRESH COLLATION VERSION"
        return f"ALTER COLLATION {quote(self.schema, self.name)} REFRESH VERSION"

    @property
    def change(self) -> str:
        return f"{self.label} went from version {self.recorded} to {self.actual} of {self.provider}"


def drifted(conn: t.Any) -> list[Drift]:
    """The drifted collations of this database: its default one (15 and newer), and those in use by its indexes or its
    range partitions. A collation that nothing is sorted by does no harm and is left out.

    Both versions have to be known: C, POSIX and C.* have none and cannot drift. What cannot be known beside that,
    see :func:`unknowable`.
    """
    version = server_version(conn)
    sql = (_USES + _COLLATIONS).format(
        multirange=_MULTIRANGE if version >= _PG14 else "", default=_DATABASE if version >= _PG15 else ""
    )
    return [Drift(*row) for row in query(conn, sql)]


def unknowable(conn: t.Any) -> tuple[str, bool]:
    """What cannot be known of this database's default collation, and whether there is reason to fear a drift.

    PostgreSQL 13 and 14 keep no version of it. But the collations that initdb took from the C library have one: when
    it is another one now, the default collation, which comes from the same library, has drifted as well. An empty text
    when nothing is in doubt.
    """
    if server_version(conn) >= _PG15:
        rows = query(conn, _NOT_RECORDED)
        return (f"no version of the default collation {rows[0][0]} was ever recorded", False) if rows else ("", False)
    locale, recorded, actual, witnesses = query(conn, _WITNESSES)[0]
    if locale in ("C", "POSIX") or locale.lower().startswith("c."):
        return "", False
    if recorded:
        text = f"the C library went from version {recorded} to {actual}, so the default collation {locale} drifted"
        return text + " as well; PostgreSQL 13 and 14 do not keep its version", True
    if witnesses:
        return "", False
    return f"PostgreSQL 13 and 14 do not keep the version of the default collation {locale}", False


#: Which collations an index of the users (oid, coll) depends on: by its keys; by what functions and operators in its
#: expressions and its predicate compare with; and by what the types of its keys compare with inside: ranges and
#: composites name their own collations, a B-tree over jsonb compares texts by the default one.
_USES = """
WITH RECURSIVE mine AS MATERIALIZED (
  SELECT i.indexrelid AS oid, i.indnkeyatts, i.indcollation, c.relam,
         coalesce(i.indexprs::text, '') || ' ' || coalesce(i.indpred::text, '') AS trees
  FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  WHERE c.relkind = 'i' AND c.relpersistence <> 't' AND i.indrelid >= 16384
),
key_types AS MATERIALIZED (
  SELECT m.oid, a.atttypid AS type,
         (SELECT amname = 'btree' FROM pg_catalog.pg_am WHERE pg_am.oid = m.relam) AS sorted
  FROM mine AS m JOIN pg_catalog.pg_attribute AS a ON a.attrelid = m.oid AND a.attnum BETWEEN 1 AND m.indnkeyatts
),
inside(root, type, coll) AS (
  SELECT DISTINCT type, type, 0::oid FROM key_types
  UNION
  SELECT w.root, p.type, p.coll FROM inside AS w CROSS JOIN LATERAL (
    SELECT typbasetype AS type, typcollation AS coll FROM pg_catalog.pg_type WHERE oid = w.type AND typtype = 'd'
    UNION ALL
    SELECT typelem, 0 FROM pg_catalog.pg_type WHERE oid = w.type AND typelem <> 0 AND typlen = -1
    UNION ALL
    SELECT rngsubtype, rngcollation FROM pg_catalog.pg_range WHERE rngtypid = w.type
    {multirange}
    UNION ALL
    SELECT a.atttypid, a.attcollation FROM pg_catalog.pg_type AS y
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE y.oid = w.type AND y.typtype = 'c'
  ) AS p
),
uses AS MATERIALIZED (
  SELECT oid, coll FROM mine CROSS JOIN LATERAL unnest(indcollation::oid[]) AS k(coll) WHERE coll <> 0
  UNION
  SELECT oid, coll::oid FROM mine
  CROSS JOIN LATERAL regexp_matches(trees, ':inputcollids? [(]?o? ?([0-9 ]+)', 'g') AS found(groups)
  CROSS JOIN LATERAL regexp_split_to_table(trim(groups[1]), ' +') AS k(coll)
  WHERE trees <> ' ' AND coll <> '0'
  UNION
  SELECT k.oid, w.coll FROM key_types AS k JOIN inside AS w ON w.root = k.type WHERE w.coll <> 0
  UNION
  SELECT k.oid, 100 FROM key_types AS k JOIN inside AS w ON w.root = k.type
  WHERE k.sorted AND w.type = 'pg_catalog.jsonb'::regtype
),
ranges AS MATERIALIZED (
  SELECT n.nspname || '.' || c.relname AS name, coll
  FROM pg_catalog.pg_partitioned_table AS p JOIN pg_catalog.pg_class AS c ON c.oid = p.partrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL unnest(p.partcollation::oid[]) AS k(coll)
  WHERE p.partstrat = 'r' AND coll <> 0
),
versioned AS MATERIALIZED (  -- first of all: asking for a version loads the collation, and ICU has hundreds
  SELECT c.oid, c.collname, c.collnamespace, c.collowner, c.collprovider, c.collversion
  FROM pg_catalog.pg_collation AS c
  WHERE c.collversion IS NOT NULL AND c.oid IN (SELECT coll FROM uses UNION SELECT coll FROM ranges)
)
"""

_MULTIRANGE = """
    UNION ALL
    SELECT rngtypid, 0 FROM pg_catalog.pg_range WHERE rngmultitypid = w.type"""

_DATABASE = """
UNION ALL
SELECT 100, '', datname::text, datlocprovider::text, datcollversion,
       pg_catalog.pg_database_collation_actual_version(oid), datdba, 100
FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"""

_COLLATIONS = """
SELECT known.oid::bigint, known.schema, known.name,
  CASE known.provider WHEN 'c' THEN 'the C library' WHEN 'i' THEN 'ICU' ELSE 'PostgreSQL itself' END,
  known.recorded, known.actual, pg_catalog.pg_get_userbyid(known.owner)::text,
  pg_catalog.pg_has_role(known.owner, 'USAGE') OR pg_catalog.current_setting('is_superuser') = 'on',
  ARRAY(SELECT uses.oid::bigint FROM uses WHERE uses.coll = known.coll ORDER BY 1),
  ARRAY(SELECT DISTINCT ranges.name FROM ranges WHERE ranges.coll = known.coll ORDER BY 1)
FROM (
  SELECT c.oid, n.nspname::text AS schema, c.collname::text AS name, c.collprovider::text AS provider,
         c.collversion AS recorded, pg_catalog.pg_collation_actual_version(c.oid) AS actual, c.collowner AS owner,
         c.oid AS coll
  FROM versioned AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
  {default}
) AS known
WHERE known.recorded <> known.actual
ORDER BY 1
"""

_NOT_RECORDED = """
SELECT datcollate::text FROM pg_catalog.pg_database
WHERE datname = pg_catalog.current_database() AND datcollversion IS NULL
  AND pg_catalog.pg_database_collation_actual_version(oid) IS NOT NULL
"""

_WITNESSES = """
SELECT (SELECT datcollate::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
       min(c.recorded) FILTER (WHERE c.recorded <> c.actual), min(c.actual) FILTER (WHERE c.recorded <> c.actual),
       count(*)
FROM (SELECT collversion AS recorded, pg_catalog.pg_collation_actual_version(oid) AS actual
      FROM pg_catalog.pg_collation WHERE collprovider = 'c' AND collversion IS NOT NULL) AS c
"""
