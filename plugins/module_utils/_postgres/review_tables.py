# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of tables: dead rows, free space, statistics, autovacuum, the distance to the wraparound.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.result import Finding
from .._core.sizes import format_size
from . import catalog_tables
from .catalog_tables import PARTITIONED, Table
from .connection import quote
from .review_measure import measure
from .review_server import STOPS_AT, is_behind, wraparound_severity
from .reviewing import CannotLook, Look, some

_PG14 = 140000

#: Dead rows below this are nobody's trouble, whatever their share.
_DEAD_ROWS = 10000

#: A table without statistics and with fewer rows gives the planner no trouble.
_ROWS_WITHOUT_STATISTICS = 1000

#: When a whole database is behind, the oldest tables say it.
_OLDEST_TABLES = 5

#: Guessed free space below this share of the threshold is not worth a measurement.
_WORTH_MEASURING = 0.5

_PAGE_HEADER, _LINE_POINTER, _TUPLE_HEADER, _ALIGNMENT = 24, 4, 24, 8


def sql_name(table: Table) -> str:
    return quote(table.schema, table.name)


def _is_off(value: str | None) -> bool:
    """A boolean as reloptions hold it: any beginning of a word that PostgreSQL reads as false."""
    word = (value or "").lower()
    return word == "0" or any(text.startswith(word) for text in ("false", "no", "off") if word not in ("", "o"))


def dead_rows(look: Look) -> t.Iterator[Finding]:
    limit = look.thresholds.dead_percent
    for table in look.tables():
        dead, rows = table.dead, max(table.live, 0)
        percent = 100 * dead / max(dead + rows, 1)
        if dead >= _DEAD_ROWS and percent >= limit:
            message = f"{dead} dead rows, {percent:.0f} % of all"
            action = f"VACUUM {sql_name(table)}; when that removes nothing, end the transaction that holds them"
            yield look.finding("dead_rows", "medium", table.label, message, action, round(percent, 1), limit)


def autovacuum_switched_off(look: Look) -> t.Iterator[Finding]:
    for table in look.tables():
        parts = (
            ("", table.main.options, "it"),
            ("toast.", table.toast.options if table.toast else {}, "its TOAST table"),
        )
        for prefix, options, what in parts:
            if _is_off(options.get("autovacuum_enabled")):
                kind = "MATERIALIZED VIEW" if table.kind == "m" else "TABLE"
                message = (
                    f"autovacuum is switched off for {what}: dead rows and old statistics stay until somebody acts"
                )
                action = f"ALTER {kind} {sql_name(table)} RESET ({prefix}autovacuum_enabled)"
                yield look.finding("autovacuum_off", "medium", table.label, message, action, f"{prefix}off")


def statistics_never_gathered(look: Look) -> t.Iterator[Finding]:
    """The planner guesses for such a table. VACUUM alone gathers none."""
    for table in look.tables():
        if table.system or table.analyzed is not None:
            continue
        if table.kind == PARTITIONED:
            # Up to 13 this is known from pg_stats, which shows a role only what it may read.
            known = look.version >= _PG14 or table.may_maintain
            rows = int(table.leaf_rows) if known else 0
            why = ", and autovacuum never does it for a partitioned table"
        else:
            rows = max(table.main.modified, table.live if table.main.rows < 0 else 0)
            why = ""
        if rows >= _ROWS_WITHOUT_STATISTICS:
            message = f"its statistics were never gathered{why}: the planner guesses about {rows} rows"
            yield look.finding("never_analyzed", "medium", table.label, message, f"ANALYZE {sql_name(table)}", rows)
        elif table.main.rows < 0 and look.table_sizes().get(table.oid, 0) >= look.thresholds.minimum_bytes:
            message = "its rows were never counted: the planner guesses"
            yield look.finding("never_analyzed", "medium", table.label, message, f"ANALYZE {sql_name(table)}")


def tables_near_the_wraparound(look: Look) -> t.Iterator[Finding]:
    """The tables that make their database old, those whose own limit is lower too."""
    settings = look.once("settings", lambda: catalog_tables.settings(look.conn))
    behind = []
    for table in look.tables():
        options = [table.main.options] + ([table.toast.options] if table.toast else [])
        for unit, age, name in (
            ("transaction id", table.xid_age, "autovacuum_freeze_max_age"),
            ("multixact id", table.mxid_age, "autovacuum_multixact_freeze_max_age"),
        ):
            limit = min([settings[name], *(float(option[name]) for option in options if name in option)])
            if is_behind(age, limit):
                behind.append((age, unit, int(limit), table))
    behind.sort(key=lambda entry: -entry[0])
    for age, unit, limit, table in behind[:_OLDEST_TABLES]:
        rest = f"; {len(behind) - _OLDEST_TABLES} more tables are behind" if len(behind) > _OLDEST_TABLES else ""
        message = f"its oldest {unit} is {age} old, autovacuum acts from {limit}, at {STOPS_AT} the server stops{rest}"
        action = f"end what holds old rows, then VACUUM (FREEZE) {sql_name(table)}"
        severity = wraparound_severity(age)
        yield look.finding("table_wraparound", severity, table.label, message, action, age, limit)


def table_bloat(look: Look) -> t.Iterator[Finding]:
    """Free space inside of tables. Dead rows are not counted: they are told as dead rows."""
    limits = look.thresholds
    candidates = _worth_measuring(look)
    function = _approx(look)
    if candidates and not function:
        labels = [table.label for table, _fillfactor in candidates]
        reason = f"the free space of {len(labels)} tables is not measured: {some(labels)}"
        raise CannotLook(reason, _what_is_missing(look))
    sql = "SELECT table_len, approx_free_percent::float8 FROM {}({}::oid::pg_catalog.regclass)"
    measured = measure(look, {table.oid: sql.format(function, table.oid) for table, _fillfactor in candidates})
    for table, fillfactor in candidates:
        rows = measured.rows(table.oid, table.label)
        if rows is None:
            continue
        size, percent = rows[0]
        wasted = max(0.0, percent - (100 - fillfactor))
        if size >= limits.minimum_bytes and wasted >= limits.table_bloat_percent:
            message = f"{wasted:.0f} % of its {format_size(size)} are free space, by pgstattuple_approx"
            action = (
                "nothing when it will be filled again; else, in a window because it locks the table,"
                f" VACUUM (FULL) {sql_name(table)}, or pg_repack while it is in use"
            )
            limit = limits.table_bloat_percent
            yield look.finding("table_bloat", "medium", table.label, message, action, round(wasted, 1), limit)
    measured.conclude()


def _worth_measuring(look: Look) -> list[tuple[Table, int]]:
    """Tables with their fill factors whose size cannot be explained by their rows, the largest first.

    Where this role does not see the widths of columns, every table of that size is one.
    """
    sizes = look.table_sizes()
    large = {
        table.oid: table
        for table in look.tables()
        if table.kind != PARTITIONED and sizes.get(table.oid, 0) >= look.thresholds.minimum_bytes
    }
    if not large:
        return []
    rows = look.query(_WIDTHS, (list(large),))
    least = look.thresholds.table_bloat_percent * _WORTH_MEASURING
    found = []
    for oid, heap, count, fillfactor, columns, known, width, nulls, block in rows:
        if heap < look.thresholds.minimum_bytes:
            continue
        expected = expected_heap_bytes(max(count, large[oid].live), width, nulls, fillfactor, block)
        if known < columns or count < 0 or 100 * (1 - expected / heap) >= least:
            found.append((heap, large[oid], fillfactor))
    found.sort(key=lambda entry: -entry[0])
    return [(table, fillfactor) for _heap, table, fillfactor in found]


def expected_heap_bytes(rows: float, width: float, has_nulls: bool, fillfactor: int, block: int) -> float:
    """What so many rows of this width take in a table without free space."""
    header = _TUPLE_HEADER + (_ALIGNMENT if has_nulls else 0)
    each = -(-(header + width) // _ALIGNMENT) * _ALIGNMENT + _LINE_POINTER
    usable = (block - _PAGE_HEADER) * fillfactor / 100
    return block * max(rows, 0) / max(1, usable // each)


#: The size of the main fork is that of the catalog: asking for the file waits for whoever holds the table.
_WIDTHS = """
SELECT c.oid::bigint, c.relpages::bigint * b.block, c.reltuples::float8,
       coalesce((SELECT split_part(o, '=', 2)::int FROM unnest(c.reloptions) AS opt(o) WHERE o ~ '^fillfactor='), 100),
       count(a.attnum), count(s.avg_width), coalesce(sum((1 - s.null_frac) * s.avg_width), 0)::float8,
       coalesce(bool_or(s.null_frac > 0), false), b.block
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am AS am ON am.oid = c.relam AND am.amname = 'heap'
CROSS JOIN (SELECT pg_catalog.current_setting('block_size')::bigint AS block) AS b
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
  AND NOT s.inherited
WHERE c.oid = ANY (%s::oid[])
GROUP BY c.oid, c.relpages, c.reltuples, c.reloptions, b.block
"""


def _approx(look: Look) -> str:
    """The qualified name of pgstattuple_approx where this role may call it, else an empty text."""
    rows = look.query(
        """
SELECT n.nspname::text, pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
  AND d.classid = 'pg_catalog.pg_proc'::regclass
JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid AND p.proname = 'pgstattuple_approx'
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE e.extname = 'pgstattuple'"""
    )
    return quote(rows[0][0], "pgstattuple_approx") if rows and rows[0][1] else ""


def _what_is_missing(look: Look) -> str:
    installed = look.query("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'pgstattuple'")
    return f"GRANT pg_stat_scan_tables TO {quote(look.role())}" if installed else "CREATE EXTENSION pgstattuple"
