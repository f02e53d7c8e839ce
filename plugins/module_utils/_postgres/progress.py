# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far maintenance is, read from the server while somebody else runs it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A run tells how far it is in a comment before the query with which it watches its own statements, so that
pg_stat_activity shows it to everybody who may see the run at all. Anybody may give a session our name and write such a
comment: nothing of it is passed on that is not a number or a word we know.
"""

from __future__ import annotations

import datetime
import json
import re
import time
import typing as t

from .._core.clock import write_time
from .._core.durations import format_duration
from .._core.result import Result
from .connection import APPLICATION, Login, PostgresError, connect, query, quote, server_version
from .identity import runs_here

#: What of ours takes long enough to be watched.
TASKS = ("vacuum", "analyze", "reindex")

#: A run that does not show its comment at the moment shows it again within a tick or two of its watch.
PATIENCE_SECONDS = 1.5

_PG17 = 170000
_STATEMENT_MILLISECONDS = 2000
_SHOWN_OF_A_STATEMENT = 200
_HIDDEN = "<insufficient privilege>"  # the server's own words in place of a query that this role may not see

_COMMENT = re.compile(r"\s*/\* steward\.maintenance (\{.*?\}) \*/", re.DOTALL)
_NOUN = re.compile(r"[a-z]{1,20}")
_WORD = re.compile(r"[a-z]+")
_LONG_STATEMENT = re.compile(r"\s*(?:VACUUM|ANALYZE|REINDEX)\b", re.IGNORECASE)

#: Part and whole are of the phase that the statement is in: the views know no more.
_SESSIONS = """
SELECT a.pid, coalesce(a.datname, '') AS database, a.application_name AS name, coalesce(a.state, '') AS state,
       coalesce(a.query, '') AS text, a.backend_start AS since,
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start), 0)::float8 AS seconds,
       coalesce(v.phase, i.phase, s.phase, '') AS phase,
       CASE WHEN v.phase = 'scanning heap' THEN v.heap_blks_scanned
            WHEN v.phase = 'vacuuming heap' THEN v.heap_blks_vacuumed
            WHEN v.phase IN ('vacuuming indexes', 'cleaning up indexes') THEN {index_part}
            WHEN i.phase LIKE 'waiting for %%' THEN i.lockers_done
            WHEN i.blocks_total > 0 THEN i.blocks_done
            WHEN i.tuples_total > 0 THEN i.tuples_done
            ELSE s.sample_blks_scanned END AS part,
       CASE WHEN v.phase IN ('scanning heap', 'vacuuming heap') THEN v.heap_blks_total
            WHEN v.phase IN ('vacuuming indexes', 'cleaning up indexes') THEN {index_whole}
            WHEN i.phase LIKE 'waiting for %%' THEN i.lockers_total
            WHEN i.blocks_total > 0 THEN i.blocks_total
            WHEN i.tuples_total > 0 THEN i.tuples_total
            ELSE s.sample_blks_total END AS whole
FROM pg_catalog.pg_stat_activity AS a
     LEFT JOIN pg_catalog.pg_stat_progress_vacuum AS v ON v.pid = a.pid
     LEFT JOIN pg_catalog.pg_stat_progress_create_index AS i ON i.pid = a.pid
     LEFT JOIN pg_catalog.pg_stat_progress_analyze AS s ON s.pid = a.pid
WHERE a.application_name LIKE %s AND a.pid <> pg_catalog.pg_backend_pid()
ORDER BY a.backend_start, a.pid
"""


class _Session(t.NamedTuple):
    """One row of the query."""

    pid: int
    database: str
    name: str
    state: str
    text: str
    since: datetime.datetime | None
    seconds: float
    phase: str
    part: int | None
    whole: int | None

    @property
    def task(self) -> str:
        word = _WORD.match(self.name[len(APPLICATION) + 1 :])
        return word.group() if word else ""

    @property
    def run(self) -> tuple[str, str, str]:
        """All sessions of one process in one database belong to one run."""
        return self.task, self.name.rpartition(":")[2], self.database

    @property
    def is_hidden(self) -> bool:
        return self.text == _HIDDEN

    def statement(self) -> dict[str, t.Any]:
        part, whole = self.part or 0, self.whole or 0
        return {
            "pid": self.pid,
            "statement": self.text.strip()[:_SHOWN_OF_A_STATEMENT],
            "seconds": round(self.seconds, 1),
            "phase": self.phase,
            "phase_percent": min(100, 100 * part // whole) if whole > 0 else None,
        }


def progress(login: Login) -> tuple[Result, list[dict[str, t.Any]]]:
    """The result, and the runs of maintenance that the server shows, the oldest first."""
    try:
        conn = connect(login, application="progress")
        try:
            # Who only looks must not become the one that is waited for.
            query(conn, f"SET statement_timeout = {_STATEMENT_MILLISECONDS}")
            sessions = _look(conn)
            role = str(query(conn, "SELECT current_user::text")[0][0])
        finally:
            conn.close()
    except PostgresError as exc:
        return Result("unknown", "The progress could not be read", str(exc)), []
    found = runs(sessions)
    hidden = [run for run in found if run.pop("hidden")]
    told = "; ".join(map(line, found)) or f"no maintenance is running at {login.place}"
    figures = {"runs": float(len(found))}
    looked = len(found) - len(hidden)
    if hidden:
        reason = f"the server does not show what pid {hidden[0]['pid']} does: GRANT pg_monitor TO {quote(role)}"
        return Result("unknown", told, reason, (), figures, looked, len(found)), found
    return Result("ok", told, "", (), figures, looked, len(found)), found


def _look(conn: t.Any) -> list[_Session]:
    """The sessions of all runs; looked at again for a while when one of them does not tell how far it is."""
    is_17 = server_version(conn) >= _PG17
    sql = _SESSIONS.format(
        index_part="v.indexes_processed" if is_17 else "NULL", index_whole="v.indexes_total" if is_17 else "NULL"
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        rows = [_Session(*row) for row in query(conn, sql, (f"{APPLICATION}:%",))]
        sessions = [one for one in rows if one.task in TASKS]
        silent = [run for run in runs(sessions) if run["of"] is None and not run["hidden"]]
        if not silent or time.monotonic() > deadline:
            return sessions
        time.sleep(0.1)


def runs(sessions: t.Sequence[_Session]) -> list[dict[str, t.Any]]:
    """One dictionary for each run; `hidden` says that the server does not show this role what the run does."""
    grouped: dict[tuple[str, str, str], list[_Session]] = {}
    for session in sessions:
        grouped.setdefault(session.run, []).append(session)
    return [_run(members) for members in grouped.values()]


def _run(members: list[_Session]) -> dict[str, t.Any]:
    told = {}
    control = members[0]
    for session in members:
        numbers = read_comment(session.text)
        if numbers:
            told, control = numbers, session
    at_work = [one for one in members if one.state == "active" and (one.phase or _LONG_STATEMENT.match(one.text))]
    since = min((one.since for one in members if one.since), default=None)
    return {
        "task": control.task,
        "database": control.database,
        "done": told.get("done"),
        "of": told.get("of"),
        "noun": told.get("noun", ""),
        "percent": told.get("percent"),
        "seconds_left": told.get("seconds_left"),
        "pid": control.pid,
        "since": write_time(since) if since else "",
        "here": runs_here(control.name),
        "statements": [one.statement() for one in at_work],
        "hidden": not told and any(one.is_hidden for one in members),
    }


def read_comment(text: str) -> dict[str, t.Any]:
    """What a run tells in the comment before its watch query; empty where there is none or it was cut off."""
    match = _COMMENT.match(text)
    try:
        found = json.loads(match.group(1)) if match else {}
    except ValueError:
        return {}
    noun = found.get("noun")
    told = {name: _number(found.get(name)) for name in ("done", "of", "percent", "seconds_left")}
    if told["done"] is None or told["of"] is None or not isinstance(noun, str) or not _NOUN.fullmatch(noun):
        return {}
    return dict(told, noun=noun)


def _number(value: t.Any) -> int | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e12
    return round(value) if is_number else None


def line(run: t.Mapping[str, t.Any]) -> str:
    """How far a run is, for a person: "vacuum: 12/40 tables, 62 %, 3 min left"."""
    if run["of"] is None:
        return f"{run['task']}: at work"
    parts = [f"{run['done']}/{run['of']} {run['noun']}"]
    if run["percent"] is not None:
        parts.append(f"{run['percent']} %")
    if run["seconds_left"] is not None:
        parts.append(f"{_roughly(run['seconds_left'])} left")
    return f"{run['task']}: {', '.join(parts)}"


def _roughly(seconds: int) -> str:
    """An estimate is not told to the second when it is minutes."""
    return format_duration(seconds if seconds < 60 else round(seconds / 60) * 60)
