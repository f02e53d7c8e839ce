# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slow queries, from pg_stat_statements of any age.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The view shows the queries of all databases, so the first database that has the extension is asked for all of them. It
is only read: resetting it would take the history from everybody else who looks at it.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from .._core.durations import format_duration
from .._core.result import Finding
from .connection import PostgresError, StatementError, quote
from .reviewing import CannotLook, Look

_SHOWN = 20
_TEXT_LENGTH = 300
_ENOUGH_CALLS = 3
_ENOUGH_TOTAL_MS = 60_000

#: A query with a large share of nearly nothing is no burden: of one processor's time since the statistics began.
_BURDEN_PERCENT = 5

#: The view lost so many entries a day that it holds only a part of the queries.
_EVICTIONS_A_DAY = 24

#: The 95th percentile of a normal distribution, in standard deviations: the view keeps no histogram.
_P95 = 1.645

#: Versions of the extension, which stays behind the server's when nobody ran ALTER EXTENSION ... UPDATE.
_EXEC_TIME, _INFO, _SINCE = (1, 8), (1, 9), (1, 11)

_NOT_LOADED = "55000"
_HIDDEN = "<insufficient privilege>"

#: Utility statements are kept as they were typed, with the passwords in them.
_SECRET = re.compile(r"password|secret|\bconnection\s+'|\boptions\s*\(", re.IGNORECASE)

#: Work that takes its time, and no plan makes quicker: maintenance, definitions, dumps, and this review itself.
_MAINTENANCE = re.compile(
    r"\s*(/\*.*?\*/\s*)*(VACUUM|ANALYZE|REINDEX|CLUSTER|CHECKPOINT|CREATE|ALTER|DROP|COPY|REFRESH|EXPLAIN)\b"
    r"|.*\bpg_catalog\.pg_|.*\bpgstat(index|tuple)",
    re.IGNORECASE | re.DOTALL,
)


@dataclasses.dataclass(frozen=True)
class Query:
    """One row of the view."""

    database: str | None  # None: it was dropped
    id: int | None
    text: str | None
    calls: int
    total: float  # milliseconds, like the next three
    mean: float
    deviation: float
    longest: float
    rows: int
    since: datetime.datetime | None
    share: float | None  # percent of the time of all

    @property
    def p95(self) -> float:
        """An estimate: as if the times were spread evenly around their mean; never more than the longest."""
        return min(self.mean + _P95 * self.deviation, self.longest)

    def fact(self) -> dict[str, t.Any]:
        return {
            "database": self.database or "(dropped)",
            "query_id": str(self.id or ""),
            "query": shown(self.text),
            "calls": self.calls,
            "total_ms": round(self.total, 1),
            "mean_ms": round(self.mean, 2),
            "p95_ms": round(self.p95, 2),
            "rows": self.rows,
            "share_percent": round(self.share or 0, 1),
            "since": _utc(self.since),
        }


class SlowQueries:
    """Asked in each database until one answers; `conclude` is the check."""

    def __init__(self) -> None:
        self._queries: list[Query] | None = None
        self._seconds: float | None = None  # since the statistics were reset
        self._reset: datetime.datetime | None = None
        self._evicted: int | None = None
        self._problem = "the extension pg_stat_statements is in none of the databases"
        self._error: PostgresError | None = None
        self._role = ""

    def try_here(self, look: Look) -> None:
        if self._queries is not None:
            return
        try:
            self._ask(look)
        except StatementError as exc:
            if exc.sqlstate == _NOT_LOADED:
                self._problem = "pg_stat_statements is not in shared_preload_libraries"
            else:
                self._error = exc
        except PostgresError as exc:
            self._error = exc

    def _ask(self, look: Look) -> None:
        installed = look.query(
            "SELECT n.nspname::text, e.extversion FROM pg_catalog.pg_extension AS e"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'"
        )
        if not installed:
            return
        schema, version = quote(installed[0][0]), tuple(int(part) for part in installed[0][1].split("."))
        if version >= _INFO:
            self._evicted, self._reset, self._seconds = look.query(
                f"""
SELECT dealloc, stats_reset, extract(epoch FROM pg_catalog.clock_timestamp() - stats_reset)::float8
FROM {schema}.pg_stat_statements_info"""  # noqa: S608 - a quoted name
            )[0]
        rows = look.query(_sql(schema, version), {"mean": look.thresholds.slow_mean_ms, "calls": _ENOUGH_CALLS})
        self._queries = [Query(*row) for row in rows]
        self._role = look.role()

    def conclude(self, look: Look) -> t.Iterator[Finding]:
        """The check: what was found, or why nothing could be."""
        if self._queries is None and self._error:
            raise self._error
        if self._queries is None:
            action = (
                "add pg_stat_statements to shared_preload_libraries, restart, and CREATE EXTENSION pg_stat_statements"
            )
            raise CannotLook(f"slow queries: {self._problem}", action)
        look.facts["slow_queries"] = [one.fact() for one in self._queries[:_SHOWN]]
        look.facts["statements"] = {"since": _utc(self._reset), "evicted": self._evicted}
        for one in self._queries:
            if one.text not in (None, _HIDDEN):
                yield from self._judge(look, one)
        yield from self._evictions(look)
        if any(one.text in (None, _HIDDEN) for one in self._queries):
            reason = f"slow queries: role {self._role} does not see the texts of others"
            raise CannotLook(reason, f"GRANT pg_monitor TO {quote(self._role)}")

    def _judge(self, look: Look, one: Query) -> t.Iterator[Finding]:
        limits = look.thresholds
        if one.database is None or _MAINTENANCE.match(one.text or ""):
            return
        slow = one.mean >= limits.slow_mean_ms and one.calls >= _ENOUGH_CALLS
        heavy = (one.share or 0) >= limits.slow_share_percent and one.total >= _ENOUGH_TOTAL_MS
        if self._seconds is not None:
            heavy = heavy and one.total / 1000 >= self._seconds * _BURDEN_PERCENT / 100
        if not slow and not heavy:
            return
        fact = one.fact()
        since = one.since or self._reset
        message = (
            f"{one.calls} calls, mean {fact['mean_ms']} ms, about 95 % under {fact['p95_ms']} ms,"
            f" {fact['share_percent']} % of all time"
            f"{f' since {_utc(since)}' if since else ''}: {fact['query']}"
        )
        action = "look at its plan with EXPLAIN (ANALYZE, BUFFERS): a missing index, stale statistics or too many rows"
        subject = f"query {one.id or ''}".strip() + f" in {one.database}"
        value, limit = (fact["mean_ms"], limits.slow_mean_ms) if slow else (one.share, limits.slow_share_percent)
        yield look.finding("slow_query", "medium", subject, message, action, value, limit)

    def _evictions(self, look: Look) -> t.Iterator[Finding]:
        if not self._evicted or not self._seconds:
            return
        a_day = self._evicted * 86400 / max(self._seconds, 86400)
        if a_day >= _EVICTIONS_A_DAY:
            message = (
                f"it was full and forgot its rarest queries {self._evicted} times in {format_duration(self._seconds)}:"
                " shares and slow queries are those of what is left"
            )
            action = "raise pg_stat_statements.max (needs a restart), or let the application use bind parameters"
            yield look.finding(
                "statements_evicted", "low", "pg_stat_statements", message, action, self._evicted, _EVICTIONS_A_DAY
            )


def _sql(schema: str, version: tuple[int, ...]) -> str:
    """The slow ones, and those with the largest total time. What runs inside of a function is part of its own time."""
    kind = "exec_time" if version >= _EXEC_TIME else "time"
    top = "s.toplevel" if version >= _INFO else "true"
    since = "s.stats_since" if version >= _SINCE else "NULL::timestamptz"
    return f"""
SELECT name, queryid, query, calls, total, mean, deviation, longest, rows, since, share FROM (
  SELECT d.datname::text AS name, s.queryid, s.query, s.calls, s.total_{kind}::float8 AS total,
    s.mean_{kind}::float8 AS mean, s.stddev_{kind}::float8 AS deviation, s.max_{kind}::float8 AS longest, s.rows,
    {since} AS since,
    CASE WHEN {top} AND d.oid IS NOT NULL
      THEN 100 * s.total_{kind} / nullif(sum(s.total_{kind}) FILTER (WHERE {top} AND d.oid IS NOT NULL) OVER (), 0)
    END::float8 AS share, row_number() OVER (ORDER BY s.total_{kind} DESC) AS place
  FROM {schema}.pg_stat_statements AS s LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
) AS judged WHERE place <= {_SHOWN} OR (mean >= %(mean)s AND calls >= %(calls)s)
ORDER BY total DESC LIMIT 200"""  # noqa: S608 - a quoted name and our own words


def _utc(moment: datetime.datetime | None) -> str:
    return moment.astimezone(datetime.timezone.utc).isoformat(timespec="seconds") if moment else ""


def shown(text: str | None) -> str:
    """A query's text on one line, cut, and not at all where a secret may be in it."""
    if not text or text == _HIDDEN:
        return "(not shown to this role: grant pg_read_all_stats)"
    if _SECRET.search(text):
        return "(not shown: it may contain a password)"
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT_LENGTH else flat[: _TEXT_LENGTH - 3] + "..."
