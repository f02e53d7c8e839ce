# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of indexes: invalid, bloated, and those that another index makes superfluous.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.result import Finding
from .._core.sizes import format_size
from . import catalog_indexes
from .bloat import CANNOT_MEASURE, BloatMeter
from .connection import quote
from .review_measure import measure
from .reviewing import CannotLook, Look, some

_PG15 = 150000

_PARTITIONED = "I"


@dataclasses.dataclass(frozen=True)
class Structure:
    """What an index consists of: what makes it able to stand in for another."""

    oid: int
    schema: str
    name: str
    table_oid: int
    method: str
    kind: str
    valid: bool
    unique: bool
    nulls_equal: bool
    attached: bool  # to the index of a partitioned table: it comes and goes with that one
    needed: bool  # by a constraint, or as replica identity
    columns: tuple[t.Any, ...]  # of the key, in order: expression, operator class, collation, direction
    beside: frozenset[str]  # INCLUDE
    condition: str
    key_numbers: tuple[int, ...]  # of the table's columns, 0 for an expression
    bytes: int

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def stays(self) -> bool:
        """Whether it cannot be dropped by itself."""
        return self.needed or self.attached

    @property
    def drop(self) -> str:
        concurrently = "" if self.kind == _PARTITIONED else "CONCURRENTLY "
        return f"DROP INDEX {concurrently}{quote(self.schema, self.name)}"


def structures(look: Look) -> list[Structure]:
    """All indexes of the users' tables, partitioned ones and their parts."""
    return look.once("structures", lambda: _structures(look))


def _structures(look: Look) -> list[Structure]:
    nulls = "i.indnullsnotdistinct" if look.version >= _PG15 else "false"
    rows = look.query(
        f"""
SELECT c.oid::bigint, n.nspname::text, c.relname::text, i.indrelid::bigint, am.amname::text, c.relkind::text,
  i.indisvalid AND i.indisready, i.indisunique, {nulls}, c.relispartition,
  i.indisreplident OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = c.oid),
  i.indnkeyatts, ARRAY(SELECT pg_catalog.pg_get_indexdef(c.oid, k, false) FROM generate_series(1, i.indnatts) AS k),
  i.indclass::oid[]::bigint[], i.indcollation::oid[]::bigint[], i.indoption::int2[]::int[], i.indkey::int2[]::int[],
  CASE WHEN i.indpred IS NULL THEN '' ELSE pg_catalog.pg_get_indexdef(c.oid) END,
  c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am AS am ON am.oid = c.relam
WHERE c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname !~ '^pg_(toast|temp_)'"""  # noqa: S608 - our own words
    )
    return [_structure(row) for row in rows]


def _structure(row: t.Sequence[t.Any]) -> Structure:
    count, columns, classes, collations, options, numbers, definition, size = row[11:]
    key = tuple(zip(columns[:count], classes, collations, options))
    condition = definition.partition(" WHERE ")[2]
    values: list[t.Any] = [*row[:11], key, frozenset(columns[count:]), condition, tuple(numbers[:count]), size]
    return Structure(*values)


def covers(stand_in: Structure, index: Structure) -> bool:
    """Whether `stand_in` can do all that `index` does."""
    if (stand_in.table_oid, stand_in.method, stand_in.condition) != (index.table_oid, index.method, index.condition):
        return False
    if not stand_in.valid or stand_in.oid == index.oid:
        return False
    same_key = stand_in.columns == index.columns
    if index.unique and not (same_key and stand_in.unique and stand_in.nulls_equal == index.nulls_equal):
        return False
    leads = index.method == "btree" and stand_in.columns[: len(index.columns)] == index.columns
    there = stand_in.beside | {column[0] for column in stand_in.columns}
    return (same_key or leads) and index.beside <= there


def superfluous_indexes(look: Look) -> t.Iterator[Finding]:
    """Of two that can stand in for each other the younger goes; what a constraint needs stays."""
    by_table: dict[int, list[Structure]] = {}
    for index in structures(look):
        by_table.setdefault(index.table_oid, []).append(index)
    for group in by_table.values():
        for index in group:
            if index.stays or not index.valid:
                continue
            others = [other for other in group if covers(other, index)]
            # In a pair that covers each other, only one is superfluous.
            others = [other for other in others if other.stays or other.oid < index.oid or not covers(index, other)]
            if others:
                yield _superfluous(
                    look, index, min(others, key=lambda one: (not one.stays, -len(one.columns), one.oid))
                )


def _superfluous(look: Look, index: Structure, keep: Structure) -> Finding:
    if keep.columns == index.columns and keep.beside == index.beside:
        what, why = "duplicate_index", f"the same as {keep.label}"
    else:
        what, why = "covered_index", f"{keep.label} begins with the same columns and can do all that it does"
    message = f"{why}; it takes {format_size(index.bytes)} and time on every write"
    return look.finding(what, "low", index.label, message, index.drop, index.bytes)


def invalid_indexes(look: Look) -> t.Iterator[Finding]:
    found = look.indexes()
    left = {index.oid for index in catalog_indexes.leftovers(found)}
    for index in found:
        if index.valid or index.being_built:
            continue
        if index.oid in left:
            message = f"an interrupted REINDEX left it on {index.table}: every write pays for it"
            action = f"DROP INDEX CONCURRENTLY {index.sql_name}"
        else:
            message = f"invalid index on {index.table}: no query uses it, every write pays for it"
            action = f"REINDEX INDEX CONCURRENTLY {index.sql_name}, or drop it"
        yield look.finding("invalid_index", "high", index.label, message, action)
    for whole in structures(look):
        if whole.kind == _PARTITIONED and not whole.valid and not whole.attached:
            action = "create the missing index on each partition and attach it with ALTER INDEX ... ATTACH PARTITION"
            message = "the index of a partitioned table is not complete: partitions lack theirs"
            yield look.finding("invalid_index", "high", whole.label, message, action)


def bloated_indexes(look: Look) -> t.Iterator[Finding]:
    limits = look.thresholds
    meter = look.once("meter", lambda: BloatMeter(look.conn))
    large = [
        index
        for index in sorted(look.indexes(), key=lambda index: -index.bytes)
        if index.method == "btree" and index.valid and index.bytes >= limits.minimum_bytes
    ]
    measured = measure(look, {index.oid: meter.sql(index) for index in large})
    blind = []
    for index in large:
        rows = measured.rows(index.oid, index.label)
        if rows is None:
            continue
        bloat = meter.judge(index, rows)
        if bloat.percent is None:
            blind.append(f"{index.label} ({bloat.reason})")
        elif bloat.percent >= limits.bloat_percent:
            message = f"{bloat.percent:.0f} % of its {format_size(index.bytes)} are bloat, by {bloat.method}"
            action = f"REINDEX INDEX CONCURRENTLY {index.sql_name}"
            value = round(bloat.percent, 1)
            yield look.finding("bloat", "medium", index.label, message, action, value, limits.bloat_percent)
    measured.conclude()
    if blind:
        raise CannotLook(f"bloat of {len(blind)} indexes: {some(blind, 1)}", CANNOT_MEASURE)
