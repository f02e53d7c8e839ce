# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A physical backup by pgBackRest: made when it is due, and only where the server's WAL gets into the archive.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.clock import utc_now
from .._core.durations import format_duration
from .._core.result import Finding, Result, ok_or_findings
from .._core.sizes import format_size
from .._core.suggest import InputError
from .backup import diff_of
from .connection import Login, PostgresError, connect, is_standby, one_line
from .physical_archive import FAILING, Archiver, figures, findings, look, why_no_archiving
from .physical_backrest import Backrest
from .physical_plan import Due, Schedule, choose
from .physical_stanza import PhysicalBackup, Stanza, read_stanza

_UPGRADE = "after a major upgrade, or pg_upgrade, of this server: pgbackrest stanza-upgrade, then a full backup"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to back up; durations in seconds, 0 where something is not wanted."""

    schedule: Schedule = dataclasses.field(default_factory=Schedule)
    force: bool = False
    rpo: int = 0


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    backup: str = ""
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        return {"planned": self.planned, "backup": self.backup, "diff": diff_of(self.before, self.after)}


def back_up(login: Login, backrest: Backrest, settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Back up what is due; whatever goes wrong is in the result."""
    try:
        if check and not backrest.is_configured:
            return not_configured_yet(backrest)
        version = backrest.require()
        conn = connect(login, application="backup")
        try:
            if is_standby(conn):
                reason = f"{login.place} is a standby: pgBackRest backs up the primary (see its option backup-standby)"
                return Result("skipped", "no backup from a standby", reason)
            return _Run(login, backrest, settings, conn, version, outcome).go(check)
        finally:
            conn.close()
    except (PostgresError, InputError, OSError) as exc:
        return _failed(one_line(exc, login.password))


def _failed(reason: str, found: t.Sequence[Finding] = (), told: t.Mapping[str, float] | None = None) -> Result:
    return Result("failed", "no backup was made", reason, tuple(found), told or {}, 0, 1)


class _Run:
    def __init__(
        self, login: Login, backrest: Backrest, settings: Settings, conn: t.Any, version: str, outcome: Outcome
    ) -> None:
        self.login = login
        self.backrest = backrest
        self.settings = settings
        self.conn = conn
        self.version = version
        self.outcome = outcome
        self.findings: list[Finding] = []

    def go(self, check: bool) -> Result:
        archiver = look(self.conn)
        wrong = why_no_archiving(archiver, self.backrest.stanza, self.backrest.archive_command())
        if wrong:
            # Without its WAL, a backup taken online cannot be restored: pgBackRest would wait for it in vain.
            action = "set the lines that are named; this collection never restarts a server"
            return _failed(wrong, [Finding("archive-off", "critical", self.login.place, wrong, action=action)])
        stanza = read_stanza(self.backrest)
        self.outcome.before = self.outcome.after = [describe(backup) for backup in stanza.backups]
        require_same_server(stanza, archiver, self.backrest.stanza)
        due = choose(stanza.backups, self.settings.schedule, self.settings.force, utc_now())
        if due:
            self.outcome.planned = [self._planned(due, stanza.backups)]
        self.findings += findings(archiver, self.login.place, self.settings.rpo)
        if check:
            return self._foretell(stanza, due, archiver)
        try:
            return self._act(stanza, due, archiver)
        except PostgresError as exc:
            return _failed(one_line(exc, self.login.password), self.findings, figures(archiver))

    def _act(self, stanza: Stanza, due: Due | None, archiver: Archiver) -> Result:
        if not stanza.exists:
            self.backrest.run_short("stanza-create")
            self.outcome.changed = True
            stanza = read_stanza(self.backrest)
            if not stanza.exists:
                raise PostgresError(f"the stanza {self.backrest.stanza!r} is not there after it was created")
        began = time.monotonic()
        # It ends a segment of WAL and waits until that is in the archive: the one proof that archiving works now.
        self.backrest.run("check")
        # What failed before is over: until there was a stanza, for example, each attempt failed.
        self.findings = [finding for finding in self.findings if finding.id != FAILING]
        told = {**figures(archiver), "archive_check_seconds": round(time.monotonic() - began, 3)}
        return self._nothing_to_do(stanza, told) if due is None else self._make(stanza, due, told)

    def _foretell(self, stanza: Stanza, due: Due | None, archiver: Archiver) -> Result:
        if due is None:
            return self._nothing_to_do(stanza, figures(archiver))
        self.outcome.changed = True
        self.outcome.after = [*self.outcome.before, f"a new {due.kind} backup"]
        made = "" if stanza.exists else f"the stanza {self.backrest.stanza!r} would be created and "
        summary = f"{made}a {due.kind} backup would be made: {due.why}"
        return ok_or_findings(summary, self.findings, figures(archiver), 1, 1)

    def _planned(self, due: Due, backups: t.Sequence[PhysicalBackup]) -> dict[str, t.Any]:
        last = [backup for backup in backups if backup.kind == due.kind]
        estimate: dict[str, t.Any] = {}
        if last:
            seconds = (last[-1].stopped - last[-1].started).total_seconds()
            estimate = {"bytes": last[-1].repo_bytes, "seconds": seconds}
        return {
            "database": "",
            "subject": self.backrest.stanza,
            "action": f"{due.kind} backup",
            "reason": due.why,
            "estimate": estimate,
        }

    def _nothing_to_do(self, stanza: Stanza, told: t.Mapping[str, float]) -> Result:
        newest = stanza.backups[-1]
        self.outcome.backup = newest.label
        age = (utc_now() - newest.started).total_seconds()
        all_figures = {**told, "backup_age_seconds": round(age), "backup_bytes": newest.bytes}
        summary = f"no backup needed: the {newest.kind} backup {newest.label} is {format_duration(age)} old"
        return ok_or_findings(summary, self.findings, all_figures, 1, 1)

    def _make(self, stanza: Stanza, due: Due, told: t.Mapping[str, float]) -> Result:
        began = time.monotonic()
        # What is old goes when a restore has proved what is new, see physical_verify: never by itself.
        said = self.backrest.run("backup", f"--type={due.kind}", f"--repo={self.backrest.repo}", "--no-expire-auto")
        seconds = time.monotonic() - began
        self.outcome.changed = True
        after = read_stanza(self.backrest)
        self.outcome.after = [describe(backup) for backup in after.backups]
        made = [backup for backup in after.backups if backup.label not in stanza.labels()]
        if not made:
            raise PostgresError("pgbackrest backup ended well, but pgbackrest info knows no new backup")
        newest = made[-1]
        self.outcome.backup = newest.label
        self._tell(newest, said.warnings)
        all_figures = {
            **told,
            "duration_seconds": round(seconds, 3),
            "backup_bytes": newest.bytes,
            "repository_bytes": newest.repo_bytes,
            "backups": len(after.backups),
        }
        summary = (
            f"{newest.kind} backup {newest.label} made in {format_duration(seconds)}: {format_size(newest.bytes)},"
            f" {format_size(newest.repo_bytes)} new in the repository (pgBackRest {self.version})"
        )
        return ok_or_findings(summary, self.findings, all_figures, 1, 1)

    def _tell(self, backup: PhysicalBackup, warnings: t.Sequence[str]) -> None:
        if backup.has_page_errors:
            message = (
                "pages of the server's files have a wrong checksum: the damage is in the server, and in the backup"
            )
            action = (
                f"pgbackrest info --set={backup.label} names the files; look at the disk, and keep the older backups"
            )
            self.findings.append(Finding("backup-page-checksum", "critical", backup.label, message, action=action))
        for words in warnings:
            if "-retention-full" in words:
                continue  # what is removed, and when, is said to pgbackrest expire after a proof
            action = "read the log of pgBackRest"
            self.findings.append(Finding("backup-warning", "low", backup.label, words, action=action))


def not_configured_yet(backrest: Backrest) -> Result:
    """In check mode, the task before, which writes the file, has not written it."""
    return Result(
        "skipped", "nothing can be foretold", f"there is no {backrest.config} yet, and check mode writes none"
    )


def require_same_server(stanza: Stanza, archiver: Archiver, name: str) -> None:
    """:raises PostgresError: when the stanza is damaged or belongs to another server."""
    if stanza.wrong:
        raise PostgresError(f"stanza {name!r} cannot be used: {stanza.wrong}")
    if stanza.exists and stanza.system_identifier != archiver.system_identifier:
        raise PostgresError(
            f"stanza {name!r} is of another server (system identifier {stanza.system_identifier}) than the one that was"
            f" asked ({archiver.system_identifier}): choose the right stanza; {_UPGRADE}"
        )


def describe(backup: PhysicalBackup) -> str:
    """One backup as a line of a diff."""
    state = "refuted" if backup.refuted else "verified" if backup.verified else "not verified"
    return f"{backup.label} {backup.kind}, {state}, {format_size(backup.bytes)}"
