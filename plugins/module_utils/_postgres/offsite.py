# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups copied off-site: what is not in the bucket yet is sent and proved, then what is too old there is removed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import time
import typing as t

from .._core.clock import utc_now
from .._core.durations import format_duration
from .._core.locks import Busy, lock
from .._core.result import Finding, Result, ok_or_findings
from .._core.sizes import format_size
from .._core.suggest import InputError
from .._s3.client import Store, Upload
from .._s3.errors import S3Error
from .._s3.settings import Lock, StoreSettings
from .._s3.streams import Streams
from .._s3.upload import Sender
from .backup import diff_of
from .backup_sets import BackupSet, moment_of, read_sets
from .connection import PostgresError, one_line
from .offsite_choice import Planned, choose, system_of
from .offsite_copies import Copy, describe, read_copies
from .offsite_retention import StillLocked, abandoned, expired_names, is_versioned, remove_copy, require_lock
from .offsite_sending import Begun, NotWhole, Sent, copy_backup, prove_again

LOCK = ".offsite.lock"

_LOCK_PATIENCE = 10


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to copy and how long to keep it there; durations in seconds."""

    path: str
    unverified: bool = False
    retention: int = 30 * 86400
    incomplete_after: int = 7 * 86400
    lock: Lock | None = None


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    copied: list[str] = dataclasses.field(default_factory=list)
    pruned: list[str] = dataclasses.field(default_factory=list)
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        diff = diff_of(self.before, self.after)
        return {"planned": self.planned, "copied": self.copied, "pruned": self.pruned, "diff": diff}


def copy_offsite(where: StoreSettings, settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Copy what is not there yet; whatever goes wrong is in the result, and the copies of before are as they were."""
    try:
        sets = read_sets(settings.path)
        if not sets:
            reason = f"there is no backup in {settings.path}"
            if check:
                return Result("skipped", "nothing to copy yet", f"{reason}, and check mode makes none")
            return Result("failed", "no backup was copied", reason)
        store = Store(where)
        with Streams(where.streams) as streams:
            run = _Run(store, streams, sets, settings, outcome)
            if check:
                return run.foretell()
            with lock(os.path.join(settings.path, LOCK), _LOCK_PATIENCE):
                return run.go()
    except (S3Error, PostgresError, InputError, Busy, OSError) as exc:
        return Result("failed", "no backup was copied", one_line(exc, where.secret_key))


class _Run:
    def __init__(
        self, store: Store, streams: Streams, sets: t.Sequence[BackupSet], settings: Settings, outcome: Outcome
    ) -> None:
        self.store = store
        self.streams = streams
        self.settings = settings
        self.outcome = outcome
        self.sets = [backup for backup in sets if not backup.damage]
        self.systems = sorted({system_of(backup) for backup in self.sets})
        self.sender = Sender(store, streams, settings.lock)
        self.now = utc_now()
        self.findings: list[Finding] = []
        self.failures: list[str] = []
        self.figures: dict[str, float] = {}

    def foretell(self) -> Result:
        """What a run would do, if all that is sent arrives."""
        wanted, copies = self._look()
        going = self._going(copies, wanted)
        waste = abandoned(copies, self.now, self.settings.incomplete_after)
        old = f"older than {format_duration(self.settings.retention)}, and a newer copy is proved"
        self.outcome.planned = [one.to_dict() for one in wanted]
        self.outcome.planned += [_removal(copy, old) for copy in going]
        self.outcome.planned += [_removal(copy, "it was never completed") for copy in waste]
        self.outcome.copied = [one.backup.name for one in wanted]
        self.outcome.pruned = [copy.name for copy in [*going, *waste]]
        self.outcome.changed = bool(self.outcome.planned)
        staying = [copy for copy in copies if copy.name not in self.outcome.pruned + self.outcome.copied]
        coming = [f"{one.system}/{one.backup.name} proved, {format_size(one.backup.bytes)}" for one in wanted]
        self.outcome.after = sorted([*map(describe, staying), *coming])
        missing = sum(one.missing_bytes for one in wanted)
        summary = (
            f"{len(wanted)} backups would be copied ({format_size(missing)}) and {len(self.outcome.pruned)} removed"
        )
        return ok_or_findings(summary, self.findings, {"missing_bytes": missing}, len(wanted), len(wanted))

    def go(self) -> Result:
        began = time.monotonic()
        if self.settings.lock:
            require_lock(self.store)
        wanted, copies = self._look()
        self.outcome.planned = [one.to_dict() for one in wanted]
        begun = self._unfinished(wanted)
        sent = [one for one in (self._copy(planned, begun) for planned in wanted) if one]
        if sent and not self.sender.trust.sha256:
            words = self.sender.trust.words
            message = f"the store does not know SHA-256; the copies were proved by {words} and by samples"
            action = "none, if that is known: the verification of the copies reads all of it back"
            self._find("offsite-no-sha256", "info", self.store.settings.place, message, action)
        if not self.failures:
            self._prune(self._copies() if sent else copies, proved_now=bool(sent))
        return self._told(began, copies, wanted, sent)

    def _look(self) -> tuple[list[Planned], list[Copy]]:
        copies = self._copies()
        self.outcome.before = self.outcome.after = [describe(copy) for copy in copies]
        settings = self.settings
        wanted = choose(
            self.sets, copies, self.store.settings.key, settings.unverified, settings.retention, self.now, self.findings
        )
        return wanted, copies

    def _copies(self) -> list[Copy]:
        return [copy for system in self.systems for copy in read_copies(self.store, self.streams, system)]

    def _going(self, copies: t.Sequence[Copy], coming: t.Sequence[Planned]) -> list[Copy]:
        """The copies that have had their time, once what is coming is there."""
        going = []
        for system in self.systems:
            ours = [copy for copy in copies if copy.system == system]
            new = [one.backup for one in coming if one.system == system]
            names = expired_names(ours, new, self.now, self.settings.retention)
            going += [copy for copy in ours if copy.name in names]
        return going

    def _unfinished(self, wanted: t.Sequence[Planned]) -> Begun:
        """Uploads in parts that killed runs left. Those of what is wanted are gone on with, the others are given up.

        The key says whose they are: nobody else writes below the name of a backup that lies here, and this run holds
        the lock. What has another name is somebody else's until it is too old to be anybody's.
        """
        ours = {(system_of(backup), backup.name) for backup in self.sets}
        going_on = {one.there.base: one for one in wanted}
        border = self.now - datetime.timedelta(seconds=self.settings.incomplete_after)
        begun: dict[str, list[Upload]] = {}
        for system in self.systems:
            base = f"{self.store.settings.key(system)}/"
            for upload in list(self.store.uploads(base)):
                name = upload.key[len(base) :].split("/")[0]
                if base + name in going_on:
                    begun.setdefault(upload.key, []).append(upload)
                elif (system, name) in ours or upload.begun < border:
                    self._give_up(upload)
        return begun

    def _give_up(self, upload: Upload) -> None:
        self.sender.give_up(upload)
        self.figures["aborted_uploads"] = self.figures.get("aborted_uploads", 0) + 1
        self.outcome.changed = True

    def _copy(self, planned: Planned, begun: Begun) -> Sent | None:
        """One backup's failure leaves the others their copy."""
        name = planned.backup.name
        try:
            sent = copy_backup(planned.backup, planned.there, self.sender, begun)
            for upload in list(self.store.uploads(f"{planned.there.base}/")):
                self._give_up(upload)  # of a file that is not in parts any more, or of an attempt that nobody needs
        except (S3Error, NotWhole) as exc:
            self.failures.append(f"{name}: {one_line(exc, self.store.settings.secret_key)}")
            return None
        self.outcome.changed = True
        self.outcome.copied.append(name)
        return sent

    def _prune(self, copies: t.Sequence[Copy], proved_now: bool) -> None:
        """Remove what has had its time; only in a run that proved a copy, the newest one anew if none was sent."""
        going = self._going(copies, ())
        waste = abandoned(copies, self.now, self.settings.incomplete_after)
        if not going and not waste:
            return
        if not proved_now and not self._prove_newest(copies):
            return
        try:
            versioned = is_versioned(self.store)
            for copy in [*going, *waste]:
                self._remove(copy, versioned)
        except S3Error as exc:
            message = f"old copies were not removed: {one_line(exc)}"
            action = "see to it: the next run tries again, and until then they take space"
            self._find("offsite-not-pruned", "medium", self.store.settings.place, message, action)

    def _prove_newest(self, copies: t.Sequence[Copy]) -> bool:
        for system in self.systems:
            proved = [copy for copy in copies if copy.system == system and copy.as_backup().is_verified]
            wrong = prove_again(self.store, self.streams, proved[-1]) if proved else ["none is proved"]
            if wrong:
                message = (
                    f"old copies were not removed, for the newest could not be proved again: {'; '.join(wrong[:3])}"
                )
                self._find("offsite-not-pruned", "high", self.store.settings.place, message, "see why, and run again")
                return False
        return True

    def _remove(self, copy: Copy, versioned: bool) -> None:
        try:
            count = remove_copy(self.store, self.streams, copy, versioned)
        except StillLocked as exc:
            message = f"it has had its time and is not removed: {exc}"
            self._find("offsite-locked", "info", copy.name, message, "none: a later run removes it")
            return
        self.outcome.changed = True
        self.outcome.pruned.append(copy.name)
        self.figures["pruned_objects"] = self.figures.get("pruned_objects", 0) + count

    def _told(self, began: float, copies: list[Copy], wanted: t.Sequence[Planned], sent: t.Sequence[Sent]) -> Result:
        if sent or self.failures or self.outcome.changed:
            copies = self._copies()
        self.outcome.after = [describe(copy) for copy in copies]
        # A copy that failed half-way has altered the bucket all the same.
        self.outcome.changed = self.outcome.changed or self.outcome.after != self.outcome.before
        self._tell_lost(copies)
        good = [copy for copy in copies if copy.is_proved]
        self.figures.update(
            duration_seconds=round(time.monotonic() - began, 3),
            copied_backups=len(sent),
            sent_objects=sum(one.sent_objects for one in sent),
            sent_bytes=sum(one.sent_bytes for one in sent),
            resumed_bytes=sum(one.resumed_bytes for one in sent),
            pruned_copies=len(self.outcome.pruned),
            kept_copies=len(good),
            kept_bytes=sum(copy.bytes for copy in good),
        )
        if good:
            newest = max(moment_of(copy.name) for copy in good)
            self.figures["rpo_seconds"] = round((utc_now() - newest).total_seconds())
        looked, of = len(sent), len(wanted)
        summary = (
            f"{looked} backups copied ({format_size(self.figures['sent_bytes'])} in"
            f" {format_duration(self.figures['duration_seconds'])}), {len(self.outcome.pruned)} removed,"
            f" {len(good)} proved copies in {self.store.settings.place}"
        )
        findings = tuple(self.findings)
        if self.failures:
            lost = f"{len(self.failures)} of {of} backups were not copied"
            return Result("failed", f"{lost}; {summary}", "; ".join(self.failures), findings, self.figures, looked, of)
        if not good:
            reason = f"no copy in {self.store.settings.place} is proved: {self._why_none()}"
            return Result("failed", "there is no proved copy", reason, findings, self.figures, 0, len(self.sets))
        if not sent:
            summary = f"no copy needed: {len(good)} proved copies in {self.store.settings.place}"
            summary += f"; {len(self.outcome.pruned)} removed" if self.outcome.pruned else ""
        return ok_or_findings(summary, findings, self.figures, len(good), len(copies))

    def _why_none(self) -> str:
        return "; ".join(f"{one.subject}: {one.message}" for one in self.findings[:3]) or "nothing was to be copied"

    def _tell_lost(self, copies: t.Sequence[Copy]) -> None:
        """Copies that are not right any more, and whose backup is not here to be sent again."""
        here = {(system_of(backup), backup.name) for backup in self.sets}
        for copy in copies:
            wrong = copy.damage or (f"refuted: {copy.refuted.get('reason', '')}" if copy.refuted else "")
            if wrong and (copy.system, copy.name) not in here:
                message = f"the copy is not right, and the backup is not here any more: {wrong}"
                action = "see who changes objects in the bucket; it does not count, and goes when it has had its time"
                self._find("offsite-damaged", "high", copy.name, message, action)

    def _find(self, name: str, severity: str, subject: str, message: str, action: str) -> None:
        self.findings.append(Finding(name, severity, subject, message, action=action))


def _removal(copy: Copy, reason: str) -> dict[str, t.Any]:
    return {
        "database": "",
        "subject": copy.name,
        "action": "remove",
        "reason": reason,
        "estimate": {"bytes": copy.bytes, "objects": len(copy.objects)},
    }
