# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups proved by a real restore; after the newest was, and only then, those that have had their time are removed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.durations import format_duration
from .._core.locks import Busy, lock
from .._core.result import Finding, Result, merge, ok_or_findings
from .._core.suggest import InputError
from .backup import LOCK as BACKUP_LOCK
from .backup import describe, diff_of
from .backup_plan import age_of
from .backup_sets import REFUTED, VERIFIED, BackupSet, declare, read_sets, remove_partials, remove_set, until
from .connection import PostgresError, one_line
from .encryption import find_key
from .objectives import missed_objectives
from .proofs import Compared, Refuted
from .proving import prove, restored_bytes
from .retention import judge
from .signatures import check_public_key
from .verify_plan import NEWEST, OLDER, Settings, Work, judge_if_proved, plan_work

LOCK = ".verify.lock"

_LOCK_PATIENCE = 10


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    backup: str = ""
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    pruned: list[str] = dataclasses.field(default_factory=list)
    kept: list[dict[str, str]] = dataclasses.field(default_factory=list)
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        diff = diff_of(self.before, self.after)
        return {
            "planned": self.planned,
            "backup": self.backup,
            "pruned": self.pruned,
            "kept": self.kept,
            "diff": diff,
        }

    def keep(self, reasons: t.Mapping[str, str]) -> None:
        self.kept = [{"backup": name, "reason": why} for name, why in reasons.items()]


def verify(settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Prove what is due; whatever goes wrong is in the result."""
    try:
        find_key(settings.identity_file)
        check_public_key(settings.public_key)
        sets = read_sets(settings.path)
        outcome.before = outcome.after = [describe(backup) for backup in sets]
        if not sets:
            reason = f"there is no backup in {settings.path}"
            if check:
                return Result("skipped", "nothing to verify yet", f"{reason}, and check mode makes none")
            return Result("failed", "no backup was verified", reason)
        work = plan_work(sets, settings, utc_now())
        outcome.backup = work.newest.path
        if not work.is_due:
            return _with_wrong_clocks(sets, _nothing_to_do(sets, work.newest, settings, outcome))
        if check:
            return _with_wrong_clocks(sets, _foretell(sets, work, settings, outcome))
        with lock(os.path.join(settings.path, LOCK), _LOCK_PATIENCE):
            return _with_wrong_clocks(sets, _Run(settings, outcome).go(work))
    except (PostgresError, InputError, Busy, OSError) as exc:
        # What could not be looked at is neither proved nor refuted.
        return Result("unknown", "the backup could not be verified", one_line(exc))


def _with_wrong_clocks(sets: t.Sequence[BackupSet], result: Result) -> Result:
    """The result, and a finding for each backup that bears a date in the future."""
    begun = until(sets, utc_now())
    message = "it bears a date in the future, for a clock was wrong; it counts for nothing and is kept until that date"
    action = "set the clock, and remove the backup when younger ones are verified"
    wrong = [
        Finding("backup-in-the-future", "medium", backup.name, message, action=action)
        for backup in sets
        if backup not in begun
    ]
    verdict = "findings" if wrong and result.verdict == "ok" else result.verdict
    return dataclasses.replace(result, verdict=verdict, findings=(*result.findings, *wrong))


def _nothing_to_do(sets: t.Sequence[BackupSet], newest: BackupSet, settings: Settings, outcome: Outcome) -> Result:
    outcome.keep(judge(sets, utc_now(), settings.retention).reasons())
    proof = newest.verified or {}
    age = (utc_now() - parse_time(proof["verified"])).total_seconds()
    figures = {
        "rpo_seconds": round(age_of(newest)),
        "verified_age_seconds": round(age),
        "restore_seconds": proof["restore_seconds"],
    }
    missed = missed_objectives(newest.name, proof["restore_seconds"], age_of(newest), settings.rto, settings.rpo)
    summary = f"the newest backup {newest.name} was verified {format_duration(age)} ago"
    return ok_or_findings(summary, missed, figures, 1, 1)


def _foretell(sets: t.Sequence[BackupSet], work: Work, settings: Settings, outcome: Outcome) -> Result:
    """What a run would do, if what it proves passes."""
    last = [backup for backup in sets if backup.verified]
    seconds = {"seconds": last[-1].verified["duration_seconds"]} if last and last[-1].verified else {}
    due = [(work.newest, work.why_newest)] if work.why_newest else []
    due += [(work.older, work.why_older)] if work.older else []
    outcome.planned = [
        {
            "database": ", ".join(backup.databases),
            "subject": backup.name,
            "action": "verify",
            "reason": why,
            "estimate": {"bytes": restored_bytes(backup), **seconds},
        }
        for backup, why in due
    ]
    # Nothing goes without a new proof of the newest.
    judgement = judge_if_proved(sets, work.newest, settings.retention, utc_now())
    going = judgement.expired if work.why_newest else ()
    outcome.keep(judgement.reasons())
    outcome.pruned = [backup.name for backup in going]
    outcome.planned += [
        {
            "database": "",
            "subject": backup.name,
            "action": "remove",
            "reason": "no rule of retention keeps it, and a newer backup is verified",
            "estimate": {"bytes": backup.bytes},
        }
        for backup in going
    ]
    outcome.changed = True
    why_kept = judgement.reasons()
    outcome.after = [
        describe(backup) + (f" (stays: {why_kept[backup.name]})" if backup.name in why_kept else "")
        for backup in sets
        if backup.name not in outcome.pruned
    ]
    told = " and ".join(f"backup {backup.name} would be verified ({why})" for backup, why in due)
    count = sum(len(backup.databases) for backup, _why in due)
    return ok_or_findings(f"{told}; {len(going)} old backups would be removed", (), {}, count, count)


class _Run:
    def __init__(self, settings: Settings, outcome: Outcome) -> None:
        self.settings = settings
        self.outcome = outcome

    def go(self, work: Work) -> Result:
        results = []
        if work.why_newest:
            results.append(self._prove_newest(work.newest))
        if work.older and not any(result.verdict == "unknown" for result in results):
            results.append(self._prove_older(work.older))
        left = read_sets(self.settings.path)
        self.outcome.after = [describe(backup) for backup in left]
        self.outcome.keep(judge(left, utc_now(), self.settings.retention).reasons())
        return results[0] if len(results) == 1 else merge(results)

    def _prove_newest(self, newest: BackupSet) -> Result:
        compared = Compared()
        result = self._prove(newest, NEWEST, compared)
        if result.is_bad:
            return result
        figures = {**result.figures, "rpo_seconds": round(age_of(newest))}
        objectives = self.settings.rto, self.settings.rpo
        found = missed_objectives(newest.name, figures["restore_seconds"], age_of(newest), *objectives)
        pruned, trouble = self._prune()
        summary = f"{result.summary}; {len(self.outcome.pruned)} old backups removed"
        findings = [*compared.findings, *found, *trouble]
        return ok_or_findings(summary, findings, {**figures, **pruned}, result.looked, result.of)

    def _prove_older(self, older: BackupSet) -> Result:
        """Its failure is a finding: the newest is what is restored, and whether that is good was seen already."""
        compared = Compared()
        try:
            result = self._prove(older, OLDER, compared)
        except (PostgresError, OSError) as exc:
            return Result("unknown", f"the older backup {older.name} could not be verified", one_line(exc), of=1)
        figures = {f"older_{name}": result.figures[name] for name in ("restore_seconds",) if name in result.figures}
        if result.verdict == "failed":
            message = f"{result.summary}: {result.reason}"
            action = "look at the disk, and do not count on backups of that age"
            compared.findings.append(Finding("backup-older-refuted", "high", older.name, message, action=action))
            return ok_or_findings(result.summary, compared.findings, figures, 1, 1)
        return ok_or_findings(f"older {result.summary}", compared.findings, figures, result.looked, result.of)

    def _prove(self, backup: BackupSet, proved_as: str, compared: Compared) -> Result:
        """The proof of one backup, written beside its manifest: `ok` or `failed`.

        :raises PostgresError: when it could not be looked at.
        """
        began = time.monotonic()
        started = write_time(utc_now())
        try:
            figures = prove(backup, self.settings, compared)
        except Refuted as exc:
            reason = one_line(exc)
            if not backup.damage:
                declare(backup, REFUTED, {"refuted": write_time(utc_now()), "reason": reason, "as": proved_as})
            self.outcome.changed = True
            figures = {"duration_seconds": round(time.monotonic() - began, 3)}
            summary = f"backup {backup.name} did not pass its verification"
            return Result("failed", summary, reason, tuple(compared.findings), figures, 0, 1)
        figures["duration_seconds"] = round(time.monotonic() - began, 3)
        rpo = {"rpo_seconds": round(age_of(backup))}
        said = {**figures, **rpo, "started": started, "verified": write_time(utc_now()), "as": proved_as}
        declare(backup, VERIFIED, said)
        self.outcome.changed = True
        summary = (
            f"backup {backup.name} restored in {format_duration(figures['restore_seconds'])} and compared:"
            f" {compared.databases} databases, {compared.tables} tables, {compared.rows} rows"
        )
        return Result("ok", summary, "", (), figures, compared.looked, compared.of)

    def _prune(self) -> tuple[dict[str, float], list[Finding]]:
        """Remove what retention lets go, now that the newest backup is proved."""
        path = self.settings.path
        freed = 0
        trouble = []
        try:
            with lock(os.path.join(path, BACKUP_LOCK)):
                remove_partials(path)
                for backup in judge(read_sets(path), utc_now(), self.settings.retention).expired:
                    remove_set(backup)
                    self.outcome.pruned.append(backup.name)
                    freed += backup.bytes
        except (Busy, OSError) as exc:
            message = f"old backups were not removed: {one_line(exc)}"
            action = "none if a backup was being written: the next verification removes them"
            trouble.append(Finding("backup-not-pruned", "low", path, message, action=action))
        figures: dict[str, float] = {
            "pruned_backups": len(self.outcome.pruned),
            "pruned_bytes": freed,
            "kept_backups": len(read_sets(path)),
        }
        return figures, trouble
