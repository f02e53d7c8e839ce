# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check: indexes that no query uses, on this server and on every standby that was named.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A standby counts its own scans: an index that the primary never uses may carry the reports that run there. A standby
that cannot be asked makes the check unknown. Counted is since the statistics began; where these are young, nothing is
said.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.durations import format_duration
from .._core.result import Finding
from .._core.sizes import format_size
from .connection import Login, PostgresError, connect, is_standby, query, server_version
from .review_foreign_keys import serves
from .review_indexes import structures
from .reviewing import Look, some

_PG16 = 160000


@dataclasses.dataclass(frozen=True)
class Usage:
    """What one server knows about the indexes of one database."""

    place: str
    since: float  # seconds that its statistics are old
    idle: dict[int, float]  # index -> seconds for which no use of it is known; one that is in use is not there


def _usage(ask: t.Callable[[str], list[t.Any]], version: int, place: str) -> Usage:
    """From 16 on the last use is known; before that, only whether there ever was one since the statistics began."""
    began = "coalesce(d.stats_reset, pg_catalog.pg_postmaster_start_time())"
    last = "s.last_idx_scan" if version >= _PG16 else "NULL::timestamptz"
    used = "true" if version >= _PG16 else "s.idx_scan = 0"
    rows = ask(
        f"""
SELECT s.indexrelid::bigint, extract(epoch FROM pg_catalog.clock_timestamp() - greatest({last}, {began}))::float8,
       extract(epoch FROM pg_catalog.clock_timestamp() - {began})::float8
FROM pg_catalog.pg_stat_database AS d
LEFT JOIN pg_catalog.pg_stat_user_indexes AS s ON {used}
WHERE d.datname = pg_catalog.current_database()"""  # noqa: S608 - our own words
    )
    since = rows[0][2] if rows else 0.0
    return Usage(place, since, {oid: seconds for oid, seconds, _since in rows if oid is not None})


class UnusedIndexes:
    """The check, with the logins of the standbys."""

    def __init__(self, standbys: t.Sequence[Login] = ()) -> None:
        self._standbys = standbys

    def unused_indexes(self, look: Look) -> t.Iterator[Finding]:
        limits = look.thresholds
        usages = [_usage(look.query, look.version, "here")]
        idle = self._idle(look, usages[0])
        if idle and self._standbys:
            identity = look.query(_IDENTITY)
            for login in self._standbys:
                usages.append(self._ask(login, look, identity))
                idle = {oid: min(seconds, usages[-1].idle.get(oid, 0.0)) for oid, seconds in idle.items()}
        whole = _by_whole_index(look, idle)
        warning = self._unasked(look) if whole else ""
        labels = {index.oid: index for index in structures(look)}
        serving = _serve_foreign_keys(look) if whole else set()
        for oid, (seconds, size) in sorted(whole.items()):
            index = labels[oid]
            if seconds < limits.unused_after or size < limits.minimum_bytes:
                continue
            if index.needed or index.unique or oid in serving or not index.valid:
                continue
            ages = "; ".join(f"{usage.place} counted for {format_duration(usage.since)}" for usage in usages)
            message = f"no use of it is known for {format_duration(seconds)}, or since it was made ({ages})"
            message += f"; it takes {format_size(size)}"
            yield look.finding(
                "unused_index", "low", index.label, message, warning + index.drop, int(seconds), limits.unused_after
            )

    def _idle(self, look: Look, usage: Usage) -> dict[int, float]:
        """Worth asking the standbys about: idle here for long enough."""
        if usage.since < look.thresholds.unused_after:
            return {}
        return dict(usage.idle)

    def _ask(self, login: Login, look: Look, identity: list[t.Any]) -> Usage:
        """:raises PostgresError: when the standby cannot be asked, or is none of this server."""
        look.hurry()
        conn = connect(login, look.database, "review")
        try:
            query(conn, f"SET statement_timeout = {look.thresholds.check_timeout * 1000}")
            if query(conn, _IDENTITY) != identity:
                raise PostgresError(f"{login.place} is no standby of this server: it has another system identifier")
            return _usage(lambda sql: query(conn, sql), server_version(conn), login.place)
        finally:
            conn.close()

    def _unasked(self, look: Look) -> str:
        """What to do before dropping it, when there are servers that nobody asked."""
        if self._standbys:
            return ""
        if is_standby(look.conn):
            return "look at the primary and every other standby first, then on the primary "
        rows = look.query(
            "SELECT coalesce(nullif(application_name, ''), host(client_addr), pid::text)"
            " FROM pg_catalog.pg_stat_replication WHERE state IS DISTINCT FROM 'backup'"
        )
        return f"look at every standby first ({some([name for (name,) in rows])}), then " if rows else ""


_IDENTITY = "SELECT system_identifier FROM pg_catalog.pg_control_system()"


def _by_whole_index(look: Look, idle: dict[int, float]) -> dict[int, tuple[float, int]]:
    """The index that somebody could drop, with its idle seconds and its bytes: of a partitioned one, all its parts."""
    parts = look.query(
        "SELECT c.oid::bigint, coalesce(pg_catalog.pg_partition_root(c.oid::regclass)::oid, c.oid)::bigint"
        " FROM pg_catalog.pg_class AS c WHERE c.relkind = 'i' AND c.oid = ANY (%s::oid[])",
        ([index.oid for index in look.indexes()],),
    )
    bytes_of = {index.oid: index.bytes for index in look.indexes()}
    known = {index.oid for index in structures(look)}
    groups: dict[int, list[int]] = {}
    for oid, root in parts:
        groups.setdefault(root, []).append(oid)
    return {
        root: (min(idle.get(oid, 0.0) for oid in members), sum(bytes_of.get(oid, 0) for oid in members))
        for root, members in groups.items()
        if root in known
    }


def _serve_foreign_keys(look: Look) -> set[int]:
    """Indexes on the referencing side of a foreign key: the scans of its trigger are rare, and must not be slow."""
    keys: dict[int, list[list[int]]] = {}
    for table, key in look.query(
        "SELECT conrelid::bigint, conkey::int[] FROM pg_catalog.pg_constraint WHERE contype = 'f'"
    ):
        keys.setdefault(table, []).append(key)
    return {index.oid for index in structures(look) if any(serves(index, key) for key in keys.get(index.table_oid, ()))}
