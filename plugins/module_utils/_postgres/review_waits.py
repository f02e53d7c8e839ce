# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check: who waits for a lock, and who is at the root of it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A queue of twenty sessions has one cause. It is told once, at the session that waits for nobody and for whom all others
wait. What the sessions run is not shown: the text of a statement holds people's data.
"""

from __future__ import annotations

import typing as t

from .._core.durations import format_duration
from .._core.result import Finding
from .reviewing import Look, some

_PG14 = 140000

#: What pg_blocking_pids says for a prepared transaction, which has no process.
_PREPARED = 0


def blocked_sessions(look: Look) -> t.Iterator[Finding]:
    waits = _waits(look)
    limit = look.thresholds.blocked_after
    queues: dict[int, list[int]] = {}
    for pid, (_blockers, seconds) in waits.items():
        if seconds >= limit:
            for root in roots(pid, {waiter: blockers for waiter, (blockers, _seconds) in waits.items()}):
                queues.setdefault(root, []).append(pid)
    people = _people(look, [pid for queue in queues.items() for pid in (queue[0], *queue[1])])
    for root, queue in sorted(queues.items()):
        longest = max(waits[pid][1] for pid in queue)
        names = [f"{people.get(pid, f'pid {pid}')} for {format_duration(waits[pid][1])}" for pid in sorted(queue)]
        count = "1 session waits" if len(queue) == 1 else f"{len(queue)} sessions wait"
        if root == _PREPARED:
            subject, who = "prepared transaction", f"a prepared transaction ({_prepared(look)})"
            action = "COMMIT PREPARED or ROLLBACK PREPARED the one in the way, see pg_prepared_xacts"
        else:
            subject, who = f"session {root}", people.get(root, f"pid {root}")
            action = f"let pid {root} end its transaction, or end it with SELECT pg_terminate_backend({root})"
        message = f"{count} for {who}: {some(names)}"
        yield look.finding("blocked", "high", subject, message, action, round(longest, 1), limit)


def roots(pid: int, blockers: t.Mapping[int, t.Sequence[int]]) -> set[int]:
    """Those at the end of the chain: they wait for nobody. In a ring, which is a deadlock, the whole ring."""
    seen: set[int] = set()
    ends: set[int] = set()
    ahead = list(blockers.get(pid, ()))
    while ahead:
        other = ahead.pop()
        if other in seen or other == pid:
            continue
        seen.add(other)
        further = blockers.get(other, ())
        ahead += further
        if not further:
            ends.add(other)
    return ends or seen


def _waits(look: Look) -> dict[int, tuple[list[int], float]]:
    """Who waits for whom, and for how many seconds. Up to 13 nothing tells since when: since the statement began."""
    since = "min(l.waitstart)" if look.version >= _PG14 else "NULL::timestamptz"
    rows = look.query(
        f"""
SELECT w.pid, pg_catalog.pg_blocking_pids(w.pid),
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(w.since, a.query_start)), 0)::float8
FROM (SELECT l.pid, {since} AS since FROM pg_catalog.pg_locks AS l WHERE NOT l.granted GROUP BY l.pid) AS w
JOIN pg_catalog.pg_stat_activity AS a ON a.pid = w.pid"""  # noqa: S608 - our own words
    )
    if look.version < _PG14:
        look.must_monitor("for how long others wait")
    return {pid: (list(dict.fromkeys(blockers)), seconds) for pid, blockers, seconds in rows if blockers}


def _people(look: Look, pids: t.Sequence[int]) -> dict[int, str]:
    if not pids:
        return {}
    rows = look.query(
        """
SELECT pid, coalesce(usename::text, backend_type, ''), coalesce(datname::text, ''), coalesce(application_name, ''),
       coalesce(state, ''), extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)::float8
FROM pg_catalog.pg_stat_activity WHERE pid = ANY (%s)""",
        (list(pids),),
    )
    found = {}
    for pid, user, database, application, state, seconds in rows:
        parts = [f"user {user}" if user else "", f"in {database}" if database else "", f"{application!r}", state]
        parts.append(f"transaction open for {format_duration(seconds)}" if seconds is not None else "")
        found[pid] = f"pid {pid} ({', '.join(part for part in parts if part and part != repr(''))})"
    return found


def _prepared(look: Look) -> str:
    rows = look.query("SELECT gid FROM pg_catalog.pg_prepared_xacts ORDER BY prepared")
    return some([repr(gid) for (gid,) in rows])
