# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of a server's databases: written aside, named only when all of it is on the disk.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import time
import typing as t

from .._core.clock import stamp, utc_now, write_time
from .._core.durations import format_duration
from .._core.result import Finding, Result, ok_or_findings
from .._core.sizes import format_size
from .._core.suggest import InputError
from .._core.version import COLLECTION_VERSION
from . import contents
from .backup_plan import Planned, age_of, choose_databases, plan, require_space, why_due
from .backup_sets import FORMAT, PARTIAL, BackupSet, damaged_files, read_sets, remove_partials, write_manifest
from .connection import Login, PostgresError, connect, one_line, query
from .dump import DatabaseGone, Tools, dump_database, find_tools
from .durable import Busy, files_below, flush, flush_tree, give_to_owner_of, lock, remove_tree, sha256_of
from .globals import save_globals

LOCK = ".backup.lock"
GLOBALS = "globals.sql"

_LOCK_PATIENCE = 10
_DISK_FULL = "No space left on device"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to back up; durations in seconds."""

    path: str
    databases: tuple[str, ...] = ()
    max_age: int = 86400
    force: bool = False
    jobs: int = 2
    compression: str = "auto"
    lock_timeout: int = 300
    allow_standby: bool = False
    bin_dir: str = ""


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    backup: str = ""
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        return {"planned": self.planned, "backup": self.backup, "diff": diff_of(self.before, self.after)}


def back_up(login: Login, settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Back up what is due; whatever goes wrong is in the result, and the backups of before are as they were."""
    try:
        conn = connect(login, application="backup")
        try:
            contents.without_limits(conn)
            return _Run(login, settings, conn, outcome).go(check)
        finally:
            conn.close()
    except (PostgresError, InputError, Busy, OSError) as exc:
        outcome.changed = False
        outcome.after = outcome.before
        return Result("failed", "no backup was made", one_line(exc, login.password))


class _Run:
    def __init__(self, login: Login, settings: Settings, conn: t.Any, outcome: Outcome) -> None:
        self.login = login
        self.settings = settings
        self.conn = conn
        self.outcome = outcome
        self.findings: list[Finding] = []
        self.dumped: list[dict[str, t.Any]] = []
        self.skipped: list[dict[str, str]] = []
        self.failed: list[dict[str, str]] = []

    def go(self, check: bool) -> Result:
        settings = self.settings
        server = contents.server(self.conn)
        if server["standby"] and not settings.allow_standby:
            reason = f"{self.login.place} is a standby: the primary's backup is the one that counts"
            return Result("skipped", "no backup from a standby", reason)
        wanted, refusing = choose_databases(self.conn, settings.databases)
        self._tell_left_out(refusing)
        sets, why = self._look(server, wanted)
        if not why:
            return self._nothing_to_do(sets, wanted)
        major = server["version_number"] // 10000
        tools = find_tools(major, settings.bin_dir, settings.compression, settings.jobs, settings.lock_timeout)
        planned = plan(self.login, wanted, why, sets, tools.compression)
        self.outcome.planned = [one.to_dict() for one in planned]
        needed = sum(one.estimated_bytes for one in planned)
        if check:
            require_space(settings.path, needed, "the backup")
            self.outcome.changed = True
            coming = f"a new backup of {', '.join(wanted)} (about {format_size(needed)})"
            self.outcome.after = [*self.outcome.before, coming]
            summary = f"{len(wanted)} databases would be backed up, about {format_size(needed)}: {why}"
            return ok_or_findings(summary, self.findings, {"estimated_bytes": needed}, len(wanted), len(wanted))
        os.makedirs(settings.path, mode=0o700, exist_ok=True)
        with lock(os.path.join(settings.path, LOCK), _LOCK_PATIENCE):
            remove_partials(settings.path)
            # Another run may have made the backup while this one waited for the lock.
            sets, why = self._look(server, wanted)
            if not why:
                return self._nothing_to_do(sets, wanted)
            require_space(settings.path, needed, "the backup")
            return self._write(server, tools, planned, why)

    def _look(self, server: t.Mapping[str, t.Any], wanted: t.Sequence[str]) -> tuple[list[BackupSet], str]:
        sets = read_sets(self.settings.path)
        self.outcome.before = self.outcome.after = [describe(backup) for backup in sets]
        why = why_due(sets, server["system_identifier"], wanted, self.settings.max_age, utc_now())
        return sets, why or ("a backup is asked for" if self.settings.force else "")

    def _nothing_to_do(self, sets: t.Sequence[BackupSet], wanted: t.Sequence[str]) -> Result:
        newest = [backup for backup in sets if not backup.damage][-1]
        self.outcome.planned = []
        self.outcome.backup = newest.path
        summary = f"no backup needed: the one of {newest.name} is {format_duration(age_of(newest))} old"
        figures = {"backup_age_seconds": round(age_of(newest)), "backup_bytes": newest.bytes}
        return ok_or_findings(summary, self.findings, figures, len(wanted), len(wanted))

    def _write(self, server: dict[str, t.Any], tools: Tools, planned: t.Sequence[Planned], why: str) -> Result:
        path = self.settings.path
        began = time.monotonic()
        started = _free_moment(path)
        final = os.path.join(path, stamp(started))
        partial = final + PARTIAL
        os.mkdir(partial, 0o700)
        try:
            for one in planned:
                self._dump(one, partial, tools)
            if not self.dumped:
                raise PostgresError("; ".join(f"{one['name']}: {one['reason']}" for one in self.failed + self.skipped))
            missing = save_globals(self.login, tools.pg_dumpall, os.path.join(partial, GLOBALS), self.conn)
            if missing:
                right = "give the login the right to read pg_authid"
                self._find("backup-no-passwords", "medium", GLOBALS, missing, right)
            flush_tree(partial)
            files = [_file_entry(partial, name) for name in files_below(partial)]
            manifest = write_manifest(
                partial,
                {
                    "format": FORMAT,
                    "collection_version": COLLECTION_VERSION,
                    "started": write_time(started),
                    "ended": write_time(utc_now()),
                    "duration_seconds": round(time.monotonic() - began, 3),
                    "why": why,
                    "server": server,
                    "compression": tools.compression,
                    "jobs": tools.jobs,
                    "pg_dump": tools.pg_dump,
                    "roles": contents.roles(self.conn),
                    "databases": self.dumped,
                    "skipped": self.skipped,
                    "failed": self.failed,
                    "files": files,
                },
            )
            give_to_owner_of(path, partial)
            flush(partial)
            os.rename(partial, final)
            flush(path)
        except BaseException:
            # A full disk gets its space back; the backups of before were never touched.
            remove_tree(partial)
            raise
        return self._told(final, manifest)

    def _dump(self, one: Planned, partial: str, tools: Tools) -> None:
        """One database's failure leaves the others their backup, unless it is a failure of the disk or the server."""
        try:
            entry = dump_database(self.login, one.database, partial, tools)
        except DatabaseGone as exc:
            self.skipped.append({"name": one.database, "reason": str(exc)})
            self._find("backup-database-gone", "info", one.database, str(exc), "nothing, if that was meant")
        except PostgresError as exc:
            if _DISK_FULL in str(exc):
                raise
            query(self.conn, "SELECT 1")
            self.failed.append({"name": one.database, "reason": str(exc)})
        else:
            self.dumped.append({**entry, "stored_bytes": one.stored_bytes})
            return
        self._remove_started_dump(partial)

    def _remove_started_dump(self, partial: str) -> None:
        finished = {entry["directory"] for entry in self.dumped}
        for name in os.listdir(partial):
            if name not in finished:
                remove_tree(os.path.join(partial, name))

    def _told(self, final: str, manifest: dict[str, t.Any]) -> Result:
        backup = next(one for one in read_sets(self.settings.path) if one.path == final)
        wrong = [backup.damage] if backup.damage else damaged_files(backup, by_hash=False)
        if wrong:
            raise PostgresError(f"the backup is damaged as soon as it is written: {wrong[0]}")
        self.outcome.changed = True
        self.outcome.backup = final
        self.outcome.after = [*self.outcome.before, describe(backup)]
        rows = sum(table["rows"] for entry in self.dumped for table in entry["stored_tables"])
        tables = sum(len(entry["stored_tables"]) for entry in self.dumped)
        figures = {
            "duration_seconds": manifest["duration_seconds"],
            "backup_bytes": backup.bytes,
            "databases": len(self.dumped),
            "tables": tables,
            "rows": rows,
        }
        summary = (
            f"{len(self.dumped)} databases backed up: {tables} tables, {rows} rows, {format_size(backup.bytes)}"
            f" in {format_duration(manifest['duration_seconds'])}"
        )
        of = len(self.dumped) + len(self.failed)
        if self.failed:
            reason = "; ".join(f"database {one['name']!r}: {one['reason']}" for one in self.failed)
            lost = f"{len(self.failed)} of {of} databases are not in the backup"
            return Result("failed", f"{lost}; {summary}", reason, tuple(self.findings), figures, len(self.dumped), of)
        return ok_or_findings(summary, self.findings, figures, len(self.dumped), of)

    def _tell_left_out(self, refusing: t.Sequence[str]) -> None:
        for name in refusing:
            message = "refuses connections (datallowconn is false), so it cannot be dumped and is in no backup"
            self._find("backup-no-connections", "low", name, message, "drop it, or let it accept connections")

    def _find(self, name: str, severity: str, subject: str, message: str, action: str) -> None:
        self.findings.append(Finding(name, severity, subject, message, action=action))


def diff_of(before: t.Sequence[str], after: t.Sequence[str]) -> dict[str, str]:
    return {"before": "".join(f"{line}\n" for line in before), "after": "".join(f"{line}\n" for line in after)}


def describe(backup: BackupSet) -> str:
    """One backup as a line of a diff."""
    if backup.damage:
        return f"{backup.name} damaged"
    state = "verified" if backup.is_verified else "refuted" if backup.refuted else "not verified"
    return f"{backup.name} {state}, {format_size(backup.bytes)}: {', '.join(backup.databases)}"


def _file_entry(directory: str, name: str) -> dict[str, t.Any]:
    path = os.path.join(directory, name)
    return {"path": name, "bytes": os.stat(path).st_size, "sha256": sha256_of(path)}


def _free_moment(path: str) -> datetime.datetime:
    """Now; a second later when a backup already bears this second's name."""
    while True:
        now = utc_now()
        if not os.path.exists(os.path.join(path, stamp(now))):
            return now
        time.sleep(0.1)
