# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check: foreign keys without an index on the referencing side.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

PostgreSQL makes no such index by itself, and does not always need one: a small table is read as fast without, and rows
of a short list that nobody changes are never looked for. It is told where the referencing table is large, and the
referenced one is changed or large itself. One index on a partitioned table serves all its partitions: so do indexes
on each of them.
"""

from __future__ import annotations

import itertools
import typing as t

from .._core.result import Finding
from .._core.sizes import format_size
from .connection import quote
from .review_indexes import Structure, structures
from .reviewing import Look

#: The constraints of partitions are parts of their table's: `top` is the one that somebody made.
_FOREIGN_KEYS = """
WITH RECURSIVE chain AS (
  SELECT oid, oid AS top FROM pg_catalog.pg_constraint WHERE contype = 'f' AND conparentid = 0
  UNION ALL
  SELECT k.oid, chain.top FROM chain JOIN pg_catalog.pg_constraint AS k ON k.conparentid = chain.oid
    WHERE k.contype = 'f')
SELECT k.oid::bigint, k.conname::text, n.nspname::text, c.relname::text, c.relkind::text,
  rn.nspname || '.' || r.relname,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS key(number, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = key.number ORDER BY key.place),
  changes.deleted::bigint, changes.updated::bigint, changes.bytes::bigint,
  parts.tables::bigint[], parts.keys
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS r ON r.oid = k.confrelid
JOIN pg_catalog.pg_namespace AS rn ON rn.oid = r.relnamespace
CROSS JOIN LATERAL (
  SELECT array_agg(p.conrelid::bigint) AS tables, array_agg(array_to_string(p.conkey, ' ')) AS keys
  FROM (SELECT DISTINCT part.conrelid, part.conkey FROM chain
        JOIN pg_catalog.pg_constraint AS part ON part.oid = chain.oid
        JOIN pg_catalog.pg_class AS pc ON pc.oid = part.conrelid AND pc.relkind = 'r'
        WHERE chain.top = k.oid) AS p) AS parts
CROSS JOIN LATERAL (
  SELECT coalesce(sum(pg_catalog.pg_stat_get_tuples_deleted(rc.oid)), 0) AS deleted,
         coalesce(sum(pg_catalog.pg_stat_get_tuples_updated(rc.oid)), 0) AS updated,
         coalesce(sum(rc.relpages), 0) * pg_catalog.current_setting('block_size')::bigint AS bytes
  FROM pg_catalog.pg_class AS rc
  WHERE rc.oid = k.confrelid OR rc.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(k.confrelid) WHERE isleaf)
) AS changes
WHERE k.contype = 'f' AND k.conparentid = 0
ORDER BY 3, 4, 2
"""


#: How many rows share a value of the most selective of these columns; nothing where this role does not see it.
_ROWS_PER_VALUE = """
SELECT min(greatest(c.reltuples, 1) / greatest(
         CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * c.reltuples ELSE s.n_distinct END, 1))::float8
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
JOIN pg_catalog.pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
WHERE c.oid = %s::oid AND a.attnum = ANY (%s) AND NOT s.inherited
"""

_FEW_ROWS = 100


def foreign_keys_without_index(look: Look) -> t.Iterator[Finding]:
    by_table: dict[int, list[Structure]] = {}
    for index in structures(look):
        by_table.setdefault(index.table_oid, []).append(index)
    sizes = look.table_sizes()
    least = look.thresholds.minimum_bytes
    for row in look.query(_FOREIGN_KEYS):
        _oid, name, schema, table, kind, referenced, columns, deleted, updated, referenced_bytes, tables, keys = row
        numbers = {oid: [int(number) for number in key.split()] for oid, key in zip(tables or (), keys or ())}
        bare = [oid for oid, key in numbers.items() if not _served(look, oid, key, by_table.get(oid, ()))]
        size = sum(sizes.get(oid, 0) for oid in bare)
        if size < least or not (deleted or updated or referenced_bytes >= least):
            continue
        message = f"no index begins with ({', '.join(columns)}), the columns of {name}: "
        message += f"each DELETE in {referenced} reads all {format_size(size)} of it"
        message += f"; {deleted} rows were deleted there" if deleted else ", and so do joins"
        concurrently = "" if kind == "p" else "CONCURRENTLY "
        listed = ", ".join(quote(column) for column in columns)
        action = f"CREATE INDEX {concurrently}ON {quote(schema, table)} ({listed})"
        severity = "medium" if deleted else "low"
        yield look.finding("missing_index", severity, f"{schema}.{table}.{name}", message, action, size, least)


def _served(look: Look, table: int, key: t.Sequence[int], indexes: t.Sequence[Structure]) -> bool:
    """By an index that begins with all columns of the key, or with some of them when these leave few rows to look at.

    A role that does not see how many gets the benefit of the doubt: what it is told must be true.
    """
    if any(serves(index, key) for index in indexes):
        return True
    begins: list[int] = []
    for index in indexes:
        if index.valid and index.method == "btree" and not index.condition:
            begins += itertools.takewhile(lambda number: number in key, index.key_numbers)
    if not begins:
        return False
    rows = look.query(_ROWS_PER_VALUE, (table, begins))
    return rows[0][0] is None or rows[0][0] <= _FEW_ROWS


def serves(index: Structure, columns: t.Sequence[int]) -> bool:
    """Whether the rows of a key can be found by this index: its first columns are the key's, in any order."""
    if not index.valid or index.method not in ("btree", "hash"):
        return False
    if set(index.key_numbers[: len(columns)]) != set(columns):
        return False
    # NULL never refers to anything: an index without the NULLs has all that is looked for.
    names = [column[0] for column in index.columns[: len(columns)]]
    return not index.condition or index.condition in [f"({name} IS NOT NULL)" for name in names]
