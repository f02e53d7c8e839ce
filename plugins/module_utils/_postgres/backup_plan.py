# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a backup is due, of what, and what it will need. Decided from the backups that are there, no calendar.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import typing as t

from .._core.clock import utc_now
from .._core.durations import format_duration
from .._core.sizes import format_size
from .._core.suggest import InputError, refuse_unknown
from . import contents
from .backup_sets import BackupSet, damaged_files, until
from .connection import Login, PostgresError, connect, query
from .dump import Tools

#: A job that runs at the same minute every day must not find its last run a little too young.
_SLACK_PART = 10
_MOST_SLACK = 12 * 3600

#: What a first backup takes of the bytes that are stored; a second one is estimated from the first.
_SHARE = {"none": 1.2}
_COMPRESSED_SHARE = 0.5
_GROWTH = 1.1

_ALL = "SELECT datname, datallowconn, datistemplate FROM pg_database ORDER BY 1"


@dataclasses.dataclass(frozen=True)
class Planned:
    """One database that is to be dumped."""

    database: str
    reason: str
    stored_bytes: int
    estimated_bytes: int
    estimated_seconds: float | None

    def to_dict(self) -> dict[str, t.Any]:
        estimate: dict[str, t.Any] = {"bytes": self.estimated_bytes}
        if self.estimated_seconds is not None:
            estimate["seconds"] = self.estimated_seconds
        return {
            "database": self.database,
            "subject": self.database,
            "action": "backup",
            "reason": self.reason,
            "estimate": estimate,
        }


def choose_databases(conn: t.Any, wanted: t.Sequence[str]) -> tuple[list[str], list[str]]:
    """The databases to back up, and those that are left out because they refuse connections.

    :raises InputError: for a name that does not exist, naming the nearest that does.
    """
    rows = query(conn, _ALL)
    usable = [name for name, connectable, _template in rows if connectable and name not in ("template0", "template1")]
    if not wanted:
        templates = [name for name, _connectable, template in rows if template]
        refusing = [name for name, connectable, template in rows if not connectable and not template]
        return [name for name in usable if name not in templates], refusing
    refuse_unknown("databases: unknown database", wanted, [name for name, _connectable, _template in rows])
    for name in wanted:
        if name not in usable:
            why = "it is PostgreSQL's own template or refuses connections"
            raise InputError(f"databases: {name!r} cannot be backed up: {why}")
    return list(dict.fromkeys(wanted)), []


def all_databases(conn: t.Any) -> list[str]:
    """What a server has beside PostgreSQL's own templates."""
    return [name for name, _connectable, _template in query(conn, _ALL) if name not in ("template0", "template1")]


def due_after(period: int) -> float:
    """The age at which something that is wanted every `period` seconds is due again."""
    return period - min(period / _SLACK_PART, _MOST_SLACK)


def why_due(
    sets: t.Sequence[BackupSet], system: str, wanted: t.Sequence[str], max_age: int, now: datetime.datetime
) -> str:
    """Why a backup is due, or an empty text when each wanted database has one that is young and not known to be bad."""
    if not sets:
        return "there is no backup yet"
    begun = until(sets, now)
    if not begun:
        return f"the newest backup {sets[-1].name} bears a date in the future: a clock was wrong"
    sets, newest = begun, begun[-1]
    if newest.damage:
        return f"the newest backup is not usable: {newest.damage}"
    ours = [backup for backup in sets if not backup.damage and backup.manifest["server"]["system_identifier"] == system]
    if not ours:
        return f"the backups there are of another server than this one (system identifier {system})"
    if ours[-1].refuted:
        return f"the newest backup {ours[-1].name} did not pass its verification: {ours[-1].refuted.get('reason', '')}"
    newest_copies: dict[str, BackupSet] = {}
    for database in wanted:
        copies = [backup for backup in ours if database in backup.databases and not backup.refuted]
        if not copies:
            return f"database {database!r} is in no backup yet"
        newest_copies[copies[-1].name] = copies[-1]
    for backup in newest_copies.values():
        wrong = _why_not_good(backup, max_age, now)
        if wrong:
            return wrong
    return ""


def _why_not_good(backup: BackupSet, max_age: int, now: datetime.datetime) -> str:
    age = (now - backup.started).total_seconds()
    if age >= due_after(max_age):
        return f"the newest backup {backup.name} is {format_duration(age)} old"
    damaged = damaged_files(backup, by_hash=False)
    return f"the newest backup is damaged: {damaged[0]}" if damaged else ""


def plan(
    login: Login, databases: t.Sequence[str], reason: str, sets: t.Sequence[BackupSet], tools: Tools
) -> list[Planned]:
    """What is to be dumped, with estimates from the last backup of each database where there is one."""
    planned = []
    for database in databases:
        stored, largest, unknown = _stored_bytes(login, database)
        # A table that pg_dump has written and the program zstd not yet compressed lies there in clear.
        clear = largest if tools.compression.zstd and not tools.seal else 0
        why = f"{reason} (its size is unknown: {unknown})" if unknown else reason
        last = _last_entry(sets, database)
        if last:
            grown = _GROWTH * max(1.0, stored / max(1, last.get("stored_bytes", stored)))
            seconds = round(last["duration_seconds"] * grown, 1)
            planned.append(Planned(database, why, stored, int(last["dump_bytes"] * grown) + clear, seconds))
        else:
            share = _SHARE.get(tools.compression.method, _COMPRESSED_SHARE)
            planned.append(Planned(database, why, stored, int(stored * share) + clear, None))
    return planned


def _stored_bytes(login: Login, database: str) -> tuple[int, int, str]:
    """The size to dump and of the largest table, or why they are unknown: the dump will tell whether the database
    is gone or closed."""
    try:
        conn = connect(login, database, "backup")
        try:
            return (*contents.stored_bytes(conn), "")
        finally:
            conn.close()
    except PostgresError as exc:
        return 0, 0, str(exc)


def _last_entry(sets: t.Sequence[BackupSet], database: str) -> dict[str, t.Any] | None:
    for backup in reversed(sets):
        for entry in backup.manifest.get("databases", []):
            if entry["name"] == database:
                return dict(entry)
    return None


def free_bytes(path: str) -> int:
    """What can still be written where `path` is or will be."""
    place = os.path.abspath(path)
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def require_space(path: str, needed: int, what: str) -> None:
    """:raises PostgresError: when `what` will not fit, before anything is written."""
    free = free_bytes(path)
    if needed > free:
        sizes = f"needs about {format_size(needed)}, {format_size(free)} are free"
        raise PostgresError(f"not enough space in {path}: {what} {sizes}")


def age_of(backup: BackupSet, now: datetime.datetime | None = None) -> float:
    return ((now or utc_now()) - backup.started).total_seconds()
