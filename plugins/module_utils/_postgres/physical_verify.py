# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A physical backup proved: the repository read, the cluster restored and recovered, opened and looked at.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

``pgbackrest verify`` says that the repository holds what was written to it, not that a cluster comes back
(pgbackrest#2139). So both are done, and only then what is old goes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import time
import typing as t

from .._core.clock import utc_now, write_time
from .._core.durations import format_duration
from .._core.locks import Busy, lock
from .._core.result import Finding, Result, ok_or_findings
from .._core.suggest import InputError
from .backup import diff_of
from .backup_plan import due_after, require_space
from .connection import Login, PostgresError, connect, is_standby, one_line
from .objectives import missed_objectives
from .physical_archive import FAILING, Archiver, findings, look, segment_number
from .physical_backrest import Backrest, BackrestFailed
from .physical_backup import describe, not_configured_yet, require_same_server
from .physical_expiry import expire
from .physical_proof import prove_cluster
from .physical_repository import Report, verify_repository
from .physical_side import Recovered, RecoveryFailed, SideCluster
from .physical_stanza import REFUTED, RESTORE_SECONDS, VERIFIED, PhysicalBackup, Stanza, note, read_stanza
from .physical_target import Target
from .processes import give_way_at_the_disk
from .proofs import Compared, Refuted
from .scratch import private_space, remove_leftovers

_GROWTH = 1.1
_LOCK_PATIENCE = 10
_LONGEST_NOTE = 200


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to verify; durations in seconds, 0 where something is not wanted."""

    every: int = 86400
    force: bool = False
    retention: int = 30 * 86400
    rto: int = 3600
    rpo: int = 86400
    scratch_path: str = "/var/tmp"  # noqa: S108 (each server gets a private directory in it)
    nice: int = 10
    io_class: str = "best-effort"
    bin_dir: str = ""
    preload: tuple[str, ...] = ()


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    backup: str = ""
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    pruned: list[str] = dataclasses.field(default_factory=list)
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        told = {"planned": self.planned, "backup": self.backup, "pruned": self.pruned}
        return {**told, "diff": diff_of(self.before, self.after)}


@dataclasses.dataclass(frozen=True)
class Live:
    """The server whose backup it is, as it was before anything was done; none of it where it cannot be asked.

    :param must_reach: the place in its WAL that a recovery has to come to; 0 where none is known to be archived.
    """

    archiver: Archiver | None = None
    must_reach: int = 0


def verify(login: Login, backrest: Backrest, settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Prove what is due; whatever goes wrong is in the result."""
    try:
        if check and not backrest.is_configured:
            return not_configured_yet(backrest)
        backrest.require()
        stanza = read_stanza(backrest)
        if stanza.wrong:
            raise PostgresError(f"stanza {backrest.stanza!r} cannot be used: {stanza.wrong}")
        outcome.before = outcome.after = [describe(backup) for backup in stanza.backups]
        newest = stanza.newest
        if newest is None:
            reason = f"there is no backup of the stanza {backrest.stanza!r} in repository {backrest.repo}"
            if check:
                return Result("skipped", "nothing to verify yet", f"{reason}, and check mode makes none")
            return Result("failed", "no backup was verified", reason)
        outcome.backup = newest.label
        why = why_due(stanza.backups, settings)
        run = _Run(login, backrest, settings, stanza, outcome)
        if not why:
            return run.nothing_to_do()
        if check:
            return run.foretell(newest, why)
        with lock(os.path.join(settings.scratch_path, f".steward-physical-{backrest.stanza}.lock"), _LOCK_PATIENCE):
            return run.go(newest)
    except (PostgresError, InputError, Busy, OSError) as exc:
        # What could not be looked at is neither proved nor refuted.
        return Result("unknown", "the backup could not be verified", one_line(exc, login.password))


def why_due(backups: t.Sequence[PhysicalBackup], settings: Settings) -> str:
    """Why the newest backup is to be proved, or an empty text.

    Each new incremental backup would be due at once, were it counted by itself: a proof of one that is young counts.
    """
    if settings.force:
        return "a verification is asked for"
    if backups[-1].refuted:
        return "its last verification failed"
    proofs = [backup.verified for backup in backups if backup.verified]
    if not proofs:
        return "no backup was ever verified"
    age = (utc_now() - max(proofs)).total_seconds()
    return (
        f"the last verification is {format_duration(abs(age))} old" if not 0 <= age < due_after(settings.every) else ""
    )


class _Run:
    def __init__(self, login: Login, backrest: Backrest, settings: Settings, stanza: Stanza, outcome: Outcome) -> None:
        self.login = login
        self.backrest = backrest
        self.settings = settings
        self.stanza = stanza
        self.outcome = outcome
        self.findings: list[Finding] = []

    def nothing_to_do(self) -> Result:
        proved, moment = [(backup, backup.verified) for backup in self.stanza.backups if backup.verified][-1]
        age = (utc_now() - moment).total_seconds()
        figures: dict[str, float] = {"verified_age_seconds": round(age)}
        if proved.restore_seconds is not None:
            figures["restore_seconds"] = proved.restore_seconds
        missed = missed_objectives(proved.label, proved.restore_seconds, 0, self.settings.rto, 0)
        return ok_or_findings(f"backup {proved.label} was verified {format_duration(age)} ago", missed, figures, 1, 1)

    def foretell(self, newest: PhysicalBackup, why: str) -> Result:
        estimate: dict[str, t.Any] = {"bytes": needed_bytes(newest)}
        last = [backup.restore_seconds for backup in self.stanza.backups if backup.restore_seconds is not None]
        if last:
            estimate["seconds"] = last[-1]
        self.outcome.planned = [
            {"database": "", "subject": newest.label, "action": "verify", "reason": why, "estimate": estimate}
        ]
        self.outcome.changed = True
        return ok_or_findings(f"backup {newest.label} would be verified ({why})", (), {}, 1, 1)

    def go(self, newest: PhysicalBackup) -> Result:
        """:raises PostgresError: when something could not be looked at."""
        began = time.monotonic()
        compared = Compared()
        live = self._look_at_the_live_server()
        give_way_at_the_disk(self.settings.io_class)
        try:
            report = verify_repository(self.backrest, self.settings.nice)
            self.findings += report.findings(newest.chain)
            if report.spoils(newest.chain):
                raise Refuted(f"pgbackrest verify: {report.spoils(newest.chain)}")
            recovered, seconds = self._restore(newest, live, report, compared)
        except Refuted as exc:
            return self._refuted(newest, one_line(exc), time.monotonic() - began)
        figures: dict[str, float] = {
            "duration_seconds": round(time.monotonic() - began, 3),
            "repository_seconds": report.seconds,
            "restore_seconds": seconds,
            "replay_seconds": round(recovered.seconds, 3),
            "restored_databases": compared.databases,
            "restored_tables": compared.tables,
            "restored_rows": compared.rows,
            "checked_indexes": compared.indexes,
            "restored_bytes": newest.bytes,
            "rpo_seconds": round(self._rpo(newest, live, recovered), 3),
        }
        return self._proved(newest, compared, figures)

    def _look_at_the_live_server(self) -> Live:
        """How far its archive is behind; and let it end a segment, so that all of before must come back.

        It may be down, or elsewhere: a backup is proved all the same.
        """
        try:
            conn = connect(self.login, application="verify")
        except PostgresError:
            return Live()
        try:
            if is_standby(conn):
                return Live()
            archiver = look(conn)
        finally:
            conn.close()
        require_same_server(self.stanza, archiver, self.backrest.stanza)
        self.findings += [
            one for one in findings(archiver, self.login.place, self.settings.rpo) if one.id != "backup-rpo"
        ]
        try:
            self.backrest.run("check")
        except PostgresError as exc:
            message = f"the server's WAL does not get into the archive: {exc}"
            action = "look at archive_command, the server's log and the repository: nothing newer can be recovered"
            self.findings.append(Finding("archive-check", "critical", self.login.place, message, action=action))
            return Live(archiver)
        self.findings = [finding for finding in self.findings if finding.id != FAILING]
        return Live(archiver, archiver.position)

    def _restore(
        self, newest: PhysicalBackup, live: Live, report: Report, compared: Compared
    ) -> tuple[Recovered, float]:
        """How far it came, and what the restore took until databases could be opened.

        :raises Refuted: when the cluster does not come back, or not with all that the archive has.
        :raises PostgresError: when this host is to blame.
        """
        settings, account = self.settings, self.backrest.account
        remove_leftovers(settings.scratch_path, account)
        require_space(settings.scratch_path, needed_bytes(newest), "the restored cluster")
        archived = read_stanza(self.backrest).archive_max
        with private_space(settings.scratch_path, account) as directory:
            major = int(self.stanza.version.split(".")[0])
            side = SideCluster(directory, major, settings.bin_dir, account, settings.nice)
            began = time.monotonic()
            try:
                side.restore(self.backrest, newest.label, Target())
            except BackrestFailed as exc:
                raise (Refuted(str(exc)) if exc.is_damage else exc) from exc
            side.dress(self.backrest, Target(), settings.preload, throwaway=True)
            try:
                recovered = side.recover(self.backrest.timeout)
            except RecoveryFailed as exc:
                raise (exc if exc.is_hosts_fault else Refuted(str(exc))) from exc
            seconds = round(time.monotonic() - began, 3)
            self._require_all_of_it(side, recovered, archived, live, report)
            side.undress()
            role = f"steward_verify_{secrets.token_hex(4)}"
            side.alone(f"CREATE ROLE {role} SUPERUSER LOGIN")
            with side.running(self.backrest.timeout):
                prove_cluster(side.login(role), compared)
        return recovered, seconds

    def _require_all_of_it(
        self, side: SideCluster, recovered: Recovered, archived: str, live: Live, report: Report
    ) -> None:
        """A recovery ends without an error where a segment is missing: so it is looked at where it ended.

        :raises Refuted: when it ended too early.
        """
        segment_bytes = int(side.control()["Bytes per WAL segment"])
        last = segment_number(archived, segment_bytes)
        too_early = last is not None and recovered.position <= last * segment_bytes
        if recovered.trouble and (too_early or recovered.position < live.must_reach):
            raise PostgresError(f"the recovery ended too early: {recovered.trouble}")
        if too_early:
            reached = f"{recovered.position >> 32:X}/{recovered.position & 0xFFFFFFFF:X}"
            gap = f" ({report.gap_words})" if report.gap_words else ""
            raise Refuted(
                f"the recovery ended at {reached}, but the archive goes up to segment {archived}: WAL between is"
                f" missing or damaged{gap}"
            )
        if recovered.position < live.must_reach:
            raise Refuted("what the server had committed when the verification began did not come back")

    def _rpo(self, newest: PhysicalBackup, live: Live, recovered: Recovered) -> float:
        """How old the data would have been that came back, had the server been lost when the verification began."""
        if live.archiver and live.archiver.exposure is not None:
            return live.archiver.exposure
        return (utc_now() - (recovered.last_transaction or newest.stopped)).total_seconds()

    def _refuted(self, newest: PhysicalBackup, reason: str, seconds: float) -> Result:
        self.outcome.changed = True
        said = {REFUTED: f"{write_time(utc_now())} {reason}"[:_LONGEST_NOTE], VERIFIED: ""}
        try:
            note(self.backrest, newest.label, said)
        except PostgresError as exc:
            message = f"that it was refuted could not be noted beside the backup: {exc}"
            action = "make a full backup by force: without the note the next run does not know that one is due"
            self.findings.append(Finding("backup-not-noted", "high", newest.label, message, action=action))
        with contextlib.suppress(PostgresError):
            self.outcome.after = [describe(backup) for backup in read_stanza(self.backrest).backups]
        summary = f"backup {newest.label} did not pass its verification"
        return Result("failed", summary, reason, tuple(self.findings), {"duration_seconds": round(seconds, 3)}, 0, 1)

    def _proved(self, newest: PhysicalBackup, compared: Compared, figures: dict[str, float]) -> Result:
        seconds = figures["restore_seconds"]
        note(
            self.backrest,
            newest.label,
            {VERIFIED: write_time(utc_now()), RESTORE_SECONDS: f"{seconds}", REFUTED: ""},
        )
        self.outcome.changed = True
        settings = self.settings
        self.findings += compared.findings
        self.findings += missed_objectives(newest.label, seconds, figures["rpo_seconds"], settings.rto, settings.rpo)
        if settings.retention:
            expiry = expire(self.backrest, newest.label, settings.retention)
            self.outcome.pruned = expiry.pruned
            self.findings += expiry.findings
        left = read_stanza(self.backrest)
        self.outcome.after = [describe(backup) for backup in left.backups]
        told = {**figures, "pruned_backups": len(self.outcome.pruned), "kept_backups": len(left.backups)}
        summary = (
            f"backup {newest.label} restored and recovered in {format_duration(seconds)} and looked at:"
            f" {compared.databases} databases, {compared.tables} tables, {compared.rows} rows;"
            f" {len(self.outcome.pruned)} old backups removed"
        )
        return ok_or_findings(summary, self.findings, told, compared.looked, compared.of)


def needed_bytes(backup: PhysicalBackup) -> int:
    """The space of a restored cluster, without the WAL that is replayed in it."""
    return int(backup.bytes * _GROWTH)
