# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of a server's databases: written aside, named only when all of it is on the disk.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._core.clock import utc_now
from .._core.durations import format_duration
from .._core.locks import Busy, lock
from .._core.result import Finding, Result, ok_or_findings
from .._core.sizes import format_size
from .._core.suggest import InputError
from . import contents
from .backup_lock import only_backup
from .backup_plan import Planned, age_of, all_databases, choose_databases, plan, require_space, why_due
from .backup_sets import BackupSet, damaged_files, read_sets, remove_partials
from .backup_writing import BackupWriter
from .connection import Login, PostgresError, connect, one_line
from .dump import Tools, find_tools
from .encryption import find_seal
from .signatures import check_signing_key
from .sources import Source, choose_source

LOCK = ".backup.lock"

_LOCK_PATIENCE = 10


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
    recipients: tuple[str, ...] = ()
    content_checksums: bool = False
    signing_key: str = ""
    standby: Login | None = None
    standby_max_lag: int = 300

    def __post_init__(self) -> None:
        """:raises InputError: for a number that cannot be right."""
        if self.jobs < 1:
            raise InputError(f"jobs is {self.jobs}: give the number of connections that dump at a time, 1 or more")


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

    def go(self, check: bool) -> Result:
        settings = self.settings
        # What somebody wrote is looked at before anything of the server is, and nothing is touched before both are.
        seal = find_seal(settings.recipients)
        check_signing_key(settings.signing_key)
        server = contents.server(self.conn)
        if server["standby"] and not settings.allow_standby:
            reason = f"{self.login.place} is a standby: the primary's backup is the one that counts"
            return Result("skipped", "no backup from a standby", reason)
        wanted, left_out = choose_databases(self.conn, settings.databases)
        self._tell_left_out(left_out)
        sets, why = self._look(server, wanted)
        if not why:
            return self._nothing_to_do(sets, wanted)
        major = server["version_number"] // 10000
        tools = find_tools(major, settings.bin_dir, settings.compression, settings.jobs, settings.lock_timeout)
        tools = dataclasses.replace(tools, seal=seal, checksums=settings.content_checksums)
        planned = plan(self.login, wanted, why, sets, tools)
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
        with lock(os.path.join(settings.path, LOCK), _LOCK_PATIENCE), only_backup(
            self.login, self.conn, _LOCK_PATIENCE
        ):
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
        source = choose_source(self.login, self.conn, self.settings.standby, self.settings.standby_max_lag)
        if source.finding:
            self.findings.append(source.finding)
        wanted = [one.database for one in planned]
        about = {
            "why": why,
            # Where the rows come from: a standby has no unlogged tables.
            "server": {**server, "standby": source.is_standby},
            "others": sorted(set(all_databases(self.conn)) - set(wanted)),
        }
        writer = BackupWriter(
            self.login, self.conn, source, tools, about, self.settings.signing_key, not self.settings.databases
        )
        final, manifest = writer.write(self.settings.path, planned)
        self.findings += writer.written.findings
        return self._told(final, manifest, source)

    def _told(self, final: str, manifest: dict[str, t.Any], source: Source) -> Result:
        backup = next(one for one in read_sets(self.settings.path) if one.path == final)
        wrong = [backup.damage] if backup.damage else damaged_files(backup, by_hash=False)
        if wrong:
            raise PostgresError(f"the backup is damaged as soon as it is written: {wrong[0]}")
        self.outcome.changed = True
        self.outcome.backup = final
        self.outcome.after = [*self.outcome.before, describe(backup)]
        dumped, failed = manifest["databases"], manifest["failed"]
        rows = sum(table["rows"] for entry in dumped for table in entry["stored_tables"])
        tables = sum(len(entry["stored_tables"]) for entry in dumped)
        figures = {
            "duration_seconds": manifest["duration_seconds"],
            "backup_bytes": backup.bytes,
            "databases": len(dumped),
            "tables": tables,
            "rows": rows,
        }
        if source.is_standby and self.settings.standby:
            figures["standby_lag_seconds"] = round(source.lag_seconds, 3)
        summary = (
            f"{len(dumped)} databases backed up: {tables} tables, {rows} rows, {format_size(backup.bytes)}"
            f" in {format_duration(manifest['duration_seconds'])}"
        )
        of = len(dumped) + len(failed)
        if failed:
            reason = "; ".join(f"database {one['name']!r}: {one['reason']}" for one in failed)
            lost = f"{len(failed)} of {of} databases are not in the backup"
            return Result("failed", f"{lost}; {summary}", reason, tuple(self.findings), figures, len(dumped), of)
        return ok_or_findings(summary, self.findings, figures, len(dumped), of)

    def _tell_left_out(self, left_out: t.Sequence[str]) -> None:
        for name in left_out:
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
    beside = f"{', encrypted' if backup.recipients else ''}{', pinned' if backup.is_pinned else ''}"
    return f"{backup.name} {state}, {format_size(backup.bytes)}{beside}: {', '.join(backup.databases)}"
