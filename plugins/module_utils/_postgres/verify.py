# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest backup proved by a real restore; then, and only then, the backups that have had their time are removed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.durations import format_duration
from .._core.result import Finding, Result, ok_or_findings
from .._core.suggest import InputError
from .backup import GLOBALS, describe, diff_of
from .backup import LOCK as BACKUP_LOCK
from .backup_plan import age_of, due_after, require_space
from .backup_sets import REFUTED, VERIFIED, BackupSet, damaged_files, declare, read_sets, remove_partials, remove_set
from .binaries import find_binary
from .connection import PostgresError, one_line
from .durable import Busy, lock
from .processes import account_for
from .proofs import Compared, Refuted, compare_database, restore_database, restore_globals
from .retention import expired
from .scratch import remove_leftovers, scratch_server

LOCK = ".verify.lock"

_LOCK_PATIENCE = 10
_NEEDS_NO_PRELOAD = ("pg_stat_statements",)  # can be created, and restored, without being preloaded
_RESTORED_GROWTH = 1.2


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to verify; durations in seconds."""

    path: str
    every: int = 86400
    force: bool = False
    retention: int = 30 * 86400
    scratch_path: str = "/var/tmp"  # noqa: S108 (each server gets a private directory in it)
    run_as: str = ""
    jobs: int = 2
    nice: int = 10
    bin_dir: str = ""


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
        diff = diff_of(self.before, self.after)
        return {"planned": self.planned, "backup": self.backup, "pruned": self.pruned, "diff": diff}


def verify(settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Prove the newest backup; whatever goes wrong is in the result."""
    try:
        sets = read_sets(settings.path)
        outcome.before = outcome.after = [describe(backup) for backup in sets]
        if not sets:
            reason = f"there is no backup in {settings.path}"
            if check:
                return Result("skipped", "nothing to verify yet", f"{reason}, and check mode makes none")
            return Result("failed", "no backup was verified", reason)
        newest = sets[-1]
        outcome.backup = newest.path
        why = _why_due(newest, settings)
        if not why:
            return _nothing_to_do(newest)
        if check:
            return _foretell(sets, newest, why, settings, outcome)
        with lock(os.path.join(settings.path, LOCK), _LOCK_PATIENCE):
            return _prove_and_prune(newest, settings, outcome)
    except (PostgresError, InputError, Busy, OSError) as exc:
        # What could not be looked at is neither proved nor refuted.
        return Result("unknown", "the backup could not be verified", one_line(exc))


def _why_due(newest: BackupSet, settings: Settings) -> str:
    if settings.force:
        return "a verification is asked for"
    if newest.damage:
        return "it is damaged"
    if newest.refuted:
        return "its last verification failed"
    if not newest.verified:
        return "it was never verified"
    age = (utc_now() - parse_time(newest.verified["verified"])).total_seconds()
    if age < 0 or age >= due_after(settings.every):
        return f"its last verification is {format_duration(abs(age))} old"
    damaged = damaged_files(newest, by_hash=False)
    return f"it is damaged: {damaged[0]}" if damaged else ""


def _nothing_to_do(newest: BackupSet) -> Result:
    proof = newest.verified or {}
    age = (utc_now() - parse_time(proof["verified"])).total_seconds()
    figures = {
        "rpo_seconds": round(age_of(newest)),
        "verified_age_seconds": round(age),
        "restore_seconds": proof["restore_seconds"],
    }
    return ok_or_findings(f"the newest backup {newest.name} was verified {format_duration(age)} ago", (), figures, 1, 1)


def _foretell(sets: t.Sequence[BackupSet], newest: BackupSet, why: str, settings: Settings, outcome: Outcome) -> Result:
    """What a run would do, if the newest backup passes."""
    last = [backup for backup in sets if backup.verified]
    estimate: dict[str, t.Any] = {"bytes": _restored_bytes(newest)}
    if last and last[-1].verified:
        estimate["seconds"] = last[-1].verified["duration_seconds"]
    outcome.planned = [
        {
            "database": ", ".join(newest.databases),
            "subject": newest.name,
            "action": "verify",
            "reason": why,
            "estimate": estimate,
        }
    ]
    passed = dataclasses.replace(newest, verified={"verified": ""}, refuted=None)
    proved = [*sets[:-1], passed]
    going = expired(proved, utc_now(), settings.retention)
    outcome.pruned = [backup.name for backup in going]
    outcome.planned += [
        {
            "database": "",
            "subject": backup.name,
            "action": "remove",
            "reason": f"older than {format_duration(settings.retention)}, and a newer backup is verified",
            "estimate": {"bytes": backup.bytes},
        }
        for backup in going
    ]
    outcome.changed = True
    outcome.after = [describe(backup) for backup in proved if backup.name not in outcome.pruned]
    summary = f"backup {newest.name} would be verified ({why}) and {len(going)} old backups removed"
    return ok_or_findings(summary, (), {}, len(newest.databases), len(newest.databases))


def _prove_and_prune(newest: BackupSet, settings: Settings, outcome: Outcome) -> Result:
    compared = Compared()
    began = time.monotonic()
    started = write_time(utc_now())
    try:
        figures = prove(newest, settings, compared)
    except Refuted as exc:
        reason = one_line(exc)
        if not newest.damage:
            declare(newest, REFUTED, {"refuted": write_time(utc_now()), "reason": reason})
        outcome.changed = True
        outcome.after = [describe(backup) for backup in read_sets(settings.path)]
        summary = f"backup {newest.name} did not pass its verification"
        figures = {"duration_seconds": round(time.monotonic() - began, 3)}
        return Result("failed", summary, reason, tuple(compared.findings), figures, 0, 1)
    figures["duration_seconds"] = round(time.monotonic() - began, 3)
    figures["rpo_seconds"] = round(age_of(newest))
    declare(newest, VERIFIED, {**figures, "started": started, "verified": write_time(utc_now())})
    outcome.changed = True
    figures.update(_prune(settings, outcome, compared))
    summary = (
        f"backup {newest.name} restored in {format_duration(figures['restore_seconds'])} and compared:"
        f" {compared.databases} databases, {compared.tables} tables, {compared.rows} rows;"
        f" {len(outcome.pruned)} old backups removed"
    )
    return ok_or_findings(summary, compared.findings, figures, compared.looked, compared.of)


def prove(backup: BackupSet, settings: Settings, compared: Compared) -> dict[str, float]:
    """:raises Refuted: when the backup is not what it says."""
    if backup.damage:
        raise Refuted(backup.damage)
    began = time.monotonic()
    damaged = damaged_files(backup, by_hash=True)
    if damaged:
        raise Refuted("; ".join(damaged[:5]))
    rehashed = time.monotonic() - began
    manifest = backup.manifest
    server = manifest["server"]
    major = server["version_number"] // 10000
    pg_restore = find_binary("pg_restore", major, settings.bin_dir)
    account = account_for(settings.run_as)
    remove_leftovers(settings.scratch_path, account)
    require_space(settings.scratch_path, _restored_bytes(backup), "the restored copy")
    installed = {name for entry in manifest["databases"] for name in entry["extensions"]}
    preload = [name for name in server["preload_libraries"] if name in installed and name not in _NEEDS_NO_PRELOAD]
    with scratch_server(
        settings.scratch_path, major, settings.bin_dir, account, server["bootstrap_role"], preload, settings.nice
    ) as scratch:
        began = time.monotonic()
        try:
            restore_globals(scratch, backup, os.path.join(backup.path, GLOBALS))
        except Refuted:
            raise
        except PostgresError as exc:
            raise Refuted(str(exc)) from exc
        for entry in manifest["databases"]:
            restore_database(scratch, backup, entry, pg_restore, settings.jobs, settings.nice)
        restored = time.monotonic() - began
        for entry in manifest["databases"]:
            compare_database(scratch.login, entry, server["standby"], compared)
    return {
        "rehash_seconds": round(rehashed, 3),
        "restore_seconds": round(restored, 3),
        "restored_databases": compared.databases,
        "restored_tables": compared.tables,
        "restored_rows": compared.rows,
        "checked_indexes": compared.indexes,
        "verified_bytes": backup.bytes,
    }


def _restored_bytes(backup: BackupSet) -> int:
    return int(sum(entry["bytes"] for entry in backup.manifest.get("databases", [])) * _RESTORED_GROWTH)


def _prune(settings: Settings, outcome: Outcome, compared: Compared) -> dict[str, float]:
    """Remove what retention lets go, now that the newest backup is proved."""
    freed = 0
    try:
        with lock(os.path.join(settings.path, BACKUP_LOCK)):
            remove_partials(settings.path)
            for backup in expired(read_sets(settings.path), utc_now(), settings.retention):
                remove_set(backup)
                outcome.pruned.append(backup.name)
                freed += backup.bytes
    except (Busy, OSError) as exc:
        message = f"old backups were not removed: {one_line(exc)}"
        action = "none if a backup was being written: the next verification removes them"
        compared.findings.append(Finding("backup-not-pruned", "low", settings.path, message, action=action))
    left = read_sets(settings.path)
    outcome.after = [describe(backup) for backup in left]
    return {"pruned_backups": len(outcome.pruned), "pruned_bytes": freed, "kept_backups": len(left)}
