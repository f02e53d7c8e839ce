# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slow queries, from pg_stat_statements of any age.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The view shows the queries of all databases, so the first database that has the extension is asked for all of them.
"""

from __future__ import annotations

import re
import typing as t

from .._core.result import Finding
from .connection import PostgresError, StatementError, query, quote
from .reviewing import CannotLook, Look

_SHOWN = 20
_TEXT_LENGTH = 300
_ENOUGH_CALLS = 3
_ENOUGH_TOTAL_MS = 60_000

#: The 95th percentile of a normal distribution, in standard deviations: the view keeps no histogram.
_P95 = 1.645

_EXEC_TIME_SINCE = (1, 8)

_NOT_LOADED = "55000"

#: Utility statements are kept as they were typed, with the passwords in them.
_SECRET = re.compile(r"password|secret|\bconnection\s+'|\boptions\s*\(", re.IGNORECASE)


class SlowQueries:
    """Asked in each database until one answers; `conclude` is the check."""

    def __init__(self) -> None:
        self._rows: list[t.Any] | None = None
        self._problem = "the extension pg_stat_statements is in none of the databases"
        self._error: PostgresError | None = None

    def try_here(self, look: Look) -> None:
        if self._rows is not None:
            return
        try:
            self._ask(look)
        except StatementError as exc:
            if exc.sqlstate == _NOT_LOADED:
                self._problem = "pg_stat_statements is not in shared_preload_libraries"
            else:
                self._error = exc

    def _ask(self, look: Look) -> None:
        installed = query(
            look.conn,
            "SELECT n.nspname::text, e.extversion FROM pg_catalog.pg_extension AS e"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'",
        )
        if not installed:
            return
        schema, version = installed[0]
        # The extension's own version decides: it stays behind the server's when nobody ran ALTER EXTENSION ... UPDATE.
        known = tuple(int(part) for part in version.split("."))
        kind = "exec_time" if known >= _EXEC_TIME_SINCE else "time"
        self._rows = query(
            look.conn,
            f"""
SELECT d.datname::text, s.query, s.calls, s.total_{kind}::float8, s.mean_{kind}::float8, s.stddev_{kind}::float8,
s.rows,
       (100 * s.total_{kind} / nullif(sum(s.total_{kind}) OVER (), 0))::float8
FROM {quote(schema)}.pg_stat_statements AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
ORDER BY s.total_{kind} DESC LIMIT 200""",  # noqa: S608 - a quoted name and our own words
        )

    def conclude(self, look: Look) -> list[Finding]:
        """The check: what was found, or why nothing could be."""
        if self._rows is None and self._error:
            raise self._error
        if self._rows is None:
            action = (
                "add pg_stat_statements to shared_preload_libraries, restart, and CREATE EXTENSION pg_stat_statements"
            )
            raise CannotLook(f"slow queries: {self._problem}", action)
        look.facts["slow_queries"] = [_fact(row) for row in self._rows[:_SHOWN]]
        return [finding for finding in (_judge(look, row) for row in self._rows) if finding]


def _fact(row: t.Any) -> dict[str, t.Any]:
    database, text, calls, total, mean, stddev, rows, share = row
    return {
        "database": database,
        "query": shown(text),
        "calls": calls,
        "total_ms": round(total, 1),
        "mean_ms": round(mean, 2),
        "p95_ms": round(mean + _P95 * stddev, 2),
        "rows": rows,
        "share_percent": round(share or 0, 1),
    }


def shown(text: str | None) -> str:
    """A query's text on one line, cut, and not at all where a secret may be in it."""
    if not text:
        return "(not shown to this role: grant pg_read_all_stats)"
    if _SECRET.search(text):
        return "(not shown: it may contain a password)"
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT_LENGTH else flat[: _TEXT_LENGTH - 3] + "..."


def _judge(look: Look, row: t.Any) -> Finding | None:
    fact = _fact(row)
    limits = look.thresholds
    slow = fact["mean_ms"] >= limits.slow_mean_ms and fact["calls"] >= _ENOUGH_CALLS
    heavy = fact["share_percent"] >= limits.slow_share_percent and fact["total_ms"] >= _ENOUGH_TOTAL_MS
    if not slow and not heavy:
        return None
    message = (
        f"{fact['calls']} calls, mean {fact['mean_ms']} ms, about 95 % under {fact['p95_ms']} ms,"
        f" {fact['share_percent']} % of all time: {fact['query']}"
    )
    action = "look at its plan with EXPLAIN (ANALYZE, BUFFERS): a missing index, stale statistics or too many rows"
    return look.finding(
        "slow_query", "medium", f"query in {fact['database']}", message, action, fact["mean_ms"], limits.slow_mean_ms
    )
