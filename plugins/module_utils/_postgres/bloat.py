# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a B-tree index is empty space.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Two methods, and every result says which one was used. pgstatindex reads the index and is right within a few percent.
Where the extension pgstattuple is not installed, the size is compared with the most that the rows could need without
deduplication: that never calls a fresh index bloated, but is blind to bloat where most keys are duplicates.
"""

from __future__ import annotations

import dataclasses
import math
import typing as t

from .catalog_indexes import Index
from .connection import StatementError, query, quote

MEASURED, ESTIMATED = "pgstatindex", "estimate from row count and column widths"
LEARNED = "its bytes a row, against the least that was seen"

#: What to do where `Bloat.percent` is None.
CANNOT_MEASURE = "run ANALYZE, grant pg_monitor to the role, and install the extension pgstattuple for exact figures"

_PAGE_HEADER, _BTREE_SPECIAL, _LINE_POINTER, _TUPLE_HEADER, _ALIGNMENT = 24, 16, 4, 8, 8

#: Wider columns may be stored outside of the table, but never outside of an index: their width tells nothing.
_WIDEST = 400

#: Share of rows that may have changed since the statistics were gathered.
_STALE = 0.1
_STALE_ROWS = 1000


@dataclasses.dataclass(frozen=True)
class Bloat:
    """`percent` is None where it could not be found out, and `reason` says why."""

    percent: float | None
    method: str
    reason: str = ""


class BloatMeter:
    """Finds the bloat of indexes by the best method that the database offers.

    It says what is to be asked and what the answer means; who asks decides how, for it can take long.
    """

    def __init__(self, conn: t.Any) -> None:
        self._block = int(query(conn, "SELECT pg_catalog.current_setting('block_size')")[0][0])
        self._function = _pgstatindex(conn)

    @property
    def exact(self) -> bool:
        return bool(self._function)

    @property
    def method(self) -> str:
        return MEASURED if self.exact else ESTIMATED

    def sql(self, index: Index) -> str:
        """The query about one index; it has no parameters."""
        if not self.exact:
            return _WIDTHS.format(oid=index.oid)
        columns = "leaf_pages, internal_pages, nullif(avg_leaf_density, 'NaN'), index_size"
        return f"SELECT {columns} FROM {self._function}({index.oid}::oid::pg_catalog.regclass)"  # noqa: S608

    def judge(self, index: Index, answer: t.Sequence[t.Any]) -> Bloat:
        """What the answer to that query means."""
        if not self.exact:
            return self._estimate(index, answer)
        leaf_pages, inner_pages, density, size = answer[0]
        percent = measured_percent(leaf_pages, density or 0.0, index.fillfactor, size, self._block, inner_pages)
        return Bloat(percent, MEASURED)

    def _estimate(self, index: Index, answer: t.Sequence[t.Any]) -> Bloat:
        rows = rows_now(index)
        if rows is None:
            return Bloat(None, ESTIMATED, "the rows of this partial index were not counted lately: run ANALYZE first")
        columns, known, width, nulls, widest = answer[0]
        if known < columns:
            return Bloat(None, ESTIMATED, "no statistics of its columns are there, or this role may not see them")
        if widest > _WIDEST:
            return Bloat(None, ESTIMATED, "its columns are too wide to be estimated")
        expected = expected_bytes(rows, width, nulls > 0, index.fillfactor, self._block)
        return Bloat(max(0.0, 100.0 * (1 - expected / max(index.bytes, 1))), ESTIMATED)


def rows_now(index: Index) -> float | None:
    """How many rows are in an index now: as last counted, or where much changed since, as the statistics have it."""
    stale = _stale(index)
    if index.partial:
        return None if stale else index.rows
    return float(index.table_live) if stale else max(index.rows, index.table_live)


def rows_are_sure(index: Index) -> bool:
    """Whether the number of rows is good enough to learn from: counted, and little changed since.

    A TOAST table is never analyzed, so nothing says how much changed: there, the statistics have to do.
    """
    rows = rows_now(index)
    return rows is not None and rows >= 1 and (bool(index.toast_of) or not _stale(index))


def _stale(index: Index) -> bool:
    return index.table_rows < 0 or index.modified > max(_STALE_ROWS, _STALE * index.table_rows)


def measured_percent(
    leaf_pages: int, density: float, fillfactor: int, size: int, block: int, inner_pages: int = 0
) -> float:
    """What a rebuild would win: the rows packed at the fill factor, against all pages that the index has.

    The density of the leaf pages alone does not see pages that were emptied and wait for reuse. The pages above the
    leaves shrink with them; the first page of all stays.
    """
    leaves = leaf_pages * density / fillfactor
    inner = inner_pages * leaves / leaf_pages if leaf_pages else 0.0
    return max(0.0, 100.0 * (1 - (1 + leaves + inner) * block / max(size, 1)))


def expected_bytes(rows: float, width: float, has_nulls: bool, fillfactor: int, block: int) -> float:
    """The most that a freshly built B-tree of so many rows takes, deduplication left aside."""
    header = _TUPLE_HEADER * (2 if has_nulls else 1)
    tuple_bytes = math.ceil((header + width) / _ALIGNMENT) * _ALIGNMENT + _LINE_POINTER
    usable = (block - _PAGE_HEADER - _BTREE_SPECIAL) * fillfactor / 100
    leaves = math.ceil(max(rows, 0) / max(1, int(usable // tuple_bytes)))
    inner = math.ceil(leaves * (tuple_bytes + _ALIGNMENT) / usable)
    return float(block * (1 + leaves + inner))


def _pgstatindex(conn: t.Any) -> str:
    """The qualified name of pgstatindex where this role may call it, else an empty text."""
    rows = query(
        conn,
        "SELECT n.nspname::text FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n"
        " ON n.oid = e.extnamespace WHERE e.extname = 'pgstattuple'",
    )
    if not rows:
        return ""
    name = quote(rows[0][0], "pgstatindex")
    try:
        allowed = query(conn, "SELECT pg_catalog.has_function_privilege(%s, 'EXECUTE')", (name + "(regclass)",))
    except StatementError:
        return ""  # an old version of the extension, without this signature
    return name if allowed[0][0] else ""


#: An index column over an expression has statistics under the index's own name.
_WIDTHS = """
SELECT count(*), count(w.width), coalesce(sum((1 - w.nulls) * w.width), 0)::float8,
       coalesce(max(w.nulls), 0)::float8, coalesce(max(w.width), 0)
FROM (
  SELECT CASE WHEN a.attlen > 0 THEN a.attlen ELSE s.avg_width END AS width, coalesce(s.null_frac, 0) AS nulls
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
  JOIN pg_catalog.pg_class AS tc ON tc.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = tc.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indexrelid
  LEFT JOIN pg_catalog.pg_attribute AS ta ON ta.attrelid = i.indrelid AND ta.attnum = i.indkey[a.attnum - 1]
    AND ta.attnum <> 0
  LEFT JOIN pg_catalog.pg_stats AS s ON s.schemaname = n.nspname AND NOT s.inherited
    AND s.tablename = CASE WHEN ta.attnum IS NULL THEN ic.relname ELSE tc.relname END
    AND s.attname = coalesce(ta.attname, a.attname)
  WHERE i.indexrelid = {oid}::oid
) AS w
"""
