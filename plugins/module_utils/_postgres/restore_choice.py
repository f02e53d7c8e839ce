# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup is restored: the newest that is proved, unless a person says otherwise.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.durations import format_duration
from .._core.result import Finding
from .._core.sizes import format_size
from .._core.suggest import InputError, did_you_mean
from .backup_sets import BackupSet, damaged_files, is_future, read_sets, until
from .connection import PostgresError
from .signatures import check_public_key, wrong_signature

#: What is said of a backup whose date nobody can believe.
FUTURE = "bears a date in the future, for a clock was wrong: nobody knows how old it is"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a person says of the backup; empty texts say nothing."""

    path: str
    database: str
    backup: str = ""
    at: str = ""
    allow_unverified: bool = False
    allow_refuted: bool = False


@dataclasses.dataclass(frozen=True)
class Choice:
    """One backup and the entry of the database in its manifest; and what somebody should know of the choice."""

    backup: BackupSet
    entry: t.Mapping[str, t.Any]
    findings: tuple[Finding, ...] = ()


def choose(wanted: Wanted) -> Choice:
    """The backup to restore from. One that bears a date in the future is only taken by its name.

    :raises InputError: when what is named does not exist or contradicts itself.
    :raises PostgresError: when there is no backup that may be used, naming why each of the newest may not.
    """
    if wanted.backup and wanted.at:
        raise InputError(f"backup {wanted.backup!r} and at {wanted.at!r} are both given: choose by name or by time")
    moment = parse_moment(wanted.at) if wanted.at else None
    sets = read_sets(wanted.path)
    if not sets:
        raise PostgresError(f"there is no backup in {wanted.path}")
    if wanted.backup:
        named = [backup for backup in sets if backup.name == wanted.backup]
        if not named:
            near = did_you_mean(wanted.backup, [backup.name for backup in sets])
            raise InputError(f"backup: there is no {wanted.backup!r} in {wanted.path}; {near}")
        return _usable(named[0], wanted)
    eligible = [backup for backup in reversed(sets) if moment is None or backup.started <= moment]
    if not eligible:
        first = f"{sets[0].name} is the oldest"
        raise PostgresError(f"no backup in {wanted.path} is as old as {wanted.at}: {first}")
    candidates = until(eligible, utc_now())
    future = [backup for backup in eligible if backup not in candidates and wanted.database in backup.databases]
    reasons = [f"backup {backup.name} {FUTURE}; name it if it is the one that is meant" for backup in future]
    for backup in candidates:
        try:
            usable = _usable(backup, wanted)
            return dataclasses.replace(usable, findings=tuple(_passed_over(one, backup) for one in future))
        except PostgresError as exc:
            # By time, the newest at or before that moment is meant; another one's data would be a surprise.
            if moment is not None and wanted.database in backup.databases:
                raise
            reasons.append(str(exc))
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    raise PostgresError(f"no backup can be used: {'; '.join(reasons[:3])}{more}")


def _passed_over(future: BackupSet, taken: BackupSet) -> Finding:
    message = f"it {FUTURE}, so it is passed over and {taken.name} is taken"
    action = "find out when it was made; naming it as the backup takes it all the same"
    return Finding("restore-future-backup", "high", future.name, message, action=action)


def parse_moment(text: str) -> datetime.datetime:
    """A moment with its zone.

    :raises InputError: naming the value and what would be right.
    """
    try:
        return parse_time(text)
    except InputError:
        right = f'at {text!r} cannot be read: write it like "2026-11-23T05:13:39Z" or "2026-11-23T06:13:39+01:00"'
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(right) from None
    if moment.tzinfo is None:
        raise InputError(f"{right}; without a zone nobody knows which moment it is")
    return moment.astimezone(datetime.timezone.utc)


def _usable(backup: BackupSet, wanted: Wanted) -> Choice:
    """:raises PostgresError: saying why this backup is not to be used, and which option would allow it."""
    if backup.damage:
        raise PostgresError(f"backup {backup.name} is damaged: {backup.damage}")
    entry = next((entry for entry in backup.manifest["databases"] if entry["name"] == wanted.database), None)
    if entry is None:
        held = ", ".join(sorted(backup.databases))
        raise PostgresError(f"database {wanted.database!r} is not in backup {backup.name}, which has {held or 'none'}")
    if backup.refuted and not wanted.allow_refuted:
        why = f"it did not pass its verification ({backup.refuted.get('reason', '')})"
        raise PostgresError(f"backup {backup.name} is refuted: {why}; allow_refuted=true takes it all the same")
    if not backup.is_verified and not backup.refuted and not wanted.allow_unverified:
        raise PostgresError(f"backup {backup.name} was never verified; allow_unverified=true takes it all the same")
    return Choice(backup, entry)


def require_undamaged(backup: BackupSet, public_key: str) -> None:
    """Compare every byte with the manifest, and the manifest with its signature where a key says whose it must be.

    :raises InputError: when the key is none.
    :raises PostgresError: naming the first files that differ.
    """
    if public_key:
        check_public_key(public_key)
        stranger = wrong_signature(backup.path, public_key)
        if stranger:
            raise PostgresError(f"backup {backup.name} is not to be trusted: {stranger}")
    wrong = damaged_files(backup, by_hash=True)
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise PostgresError(f"backup {backup.name} is damaged: {'; '.join(wrong[:3])}{more}")


def rows_of(entry: t.Mapping[str, t.Any]) -> int:
    return sum(int(table["rows"]) for table in entry["stored_tables"])


def state_of(backup: BackupSet, now: datetime.datetime) -> str:
    if backup.damage or damaged_files(backup, by_hash=False):
        return "damaged"
    if backup.refuted:
        return "refuted"
    if is_future(backup.started, now):
        return "future"
    return "verified" if backup.is_verified else "unverified"


def listing(path: str, database: str = "") -> list[dict[str, t.Any]]:
    """The backups that a person can choose from, newest first; with a database only those that hold it.

    :raises PostgresError: when the directory cannot be read.
    """
    now = utc_now()
    return [
        _listed(backup, now)
        for backup in reversed(read_sets(path))
        if not database or backup.damage or database in backup.databases
    ]


def _listed(backup: BackupSet, now: datetime.datetime) -> dict[str, t.Any]:
    databases = [
        {
            "name": entry["name"],
            "bytes": int(entry["bytes"]),
            "tables": len(entry["stored_tables"]),
            "rows": rows_of(entry),
        }
        for entry in backup.manifest.get("databases", [])
    ]
    wrong = [backup.damage] if backup.damage else damaged_files(backup, by_hash=False)
    refuted = str((backup.refuted or {}).get("reason", ""))
    state = state_of(backup, now)
    listed: dict[str, t.Any] = {
        "name": backup.name,
        "moment": write_time(backup.started),
        "age_seconds": round((now - backup.started).total_seconds()),
        "state": state,
        "problem": wrong[0] if wrong else refuted or (f"it {FUTURE}" if state == "future" else ""),
        "bytes": backup.bytes,
        "databases": databases,
    }
    return dict(listed, line=_line(listed))


def _line(listed: t.Mapping[str, t.Any]) -> str:
    """What a person reads at three in the morning."""
    seconds = listed["age_seconds"]
    age = f"{format_duration(seconds)} old" if seconds >= 0 else f"in {format_duration(-seconds)}"
    head = f"{listed['name']}  {age:>15}  {listed['state']:<10}  {format_size(listed['bytes']):>8}"
    held = ", ".join(
        f"{one['name']} ({one['tables']} tables, {one['rows']:,} rows, {format_size(one['bytes'])})"
        for one in listed["databases"]
    )
    return f"{head}  {held or listed['problem']}" + (f"  [{listed['problem']}]" if held and listed["problem"] else "")
