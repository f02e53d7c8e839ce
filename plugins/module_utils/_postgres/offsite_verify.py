# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest copy fetched back, compared byte by byte and restored: what a recovery without this host would take.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
import typing as t

from .._core.clock import utc_now, write_time
from .._core.durations import format_duration
from .._core.locks import Busy, own_place
from .._core.result import Finding, Result, ok_or_findings
from .._core.suggest import InputError
from .._s3.client import Store
from .._s3.download import Damaged
from .._s3.errors import S3Error
from .._s3.settings import StoreSettings
from .._s3.streams import Streams
from .._s3.upload import Sender
from .backup import diff_of
from .backup_plan import due_after, require_space
from .backup_sets import BackupSet, moment_of, read_sets
from .connection import PostgresError, one_line
from .durable import remove_tree
from .offsite_copies import OFFSITE_REFUTED, OFFSITE_VERIFIED, Copy, describe, read_copies, restored_moment
from .offsite_fetch import NoCopy, download, find_copy
from .offsite_fetch import Settings as Choice
from .proofs import Compared, Refuted
from .proving import prove
from .verify_plan import Settings as Restoring

PREFIX = "steward-offsite-"

_LOCK_PATIENCE = 10


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to verify; durations in seconds. `restoring` says how the restored copy is made and compared."""

    restoring: Restoring
    every: int = 30 * 86400
    force: bool = False
    system_identifier: str = ""


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


def verify_offsite(where: StoreSettings, settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Prove the newest copy by a restore; whatever goes wrong is in the result."""
    try:
        store = Store(where)
        with Streams(where.streams) as streams:
            return _Verification(store, streams, settings, outcome).go(check)
    except NoCopy as exc:
        if check:
            return Result("skipped", "nothing to verify yet", f"{one_line(exc)}, and check mode makes none")
        return Result("failed", "no copy was verified", one_line(exc))
    except (S3Error, PostgresError, InputError, Busy, OSError) as exc:
        # What could not be looked at is neither proved nor refuted.
        return Result("unknown", "the copy could not be verified", one_line(exc, where.secret_key))


class _Verification:
    def __init__(self, store: Store, streams: Streams, settings: Settings, outcome: Outcome) -> None:
        self.store = store
        self.streams = streams
        self.settings = settings
        self.outcome = outcome
        self.compared = Compared()

    def go(self, check: bool) -> Result:
        choice = Choice(path="", system_identifier=self.settings.system_identifier)
        copy = find_copy(self.store, self.streams, choice, self.compared.findings)
        copies = read_copies(self.store, self.streams, copy.system)
        self.outcome.backup = f"s3://{self.store.settings.bucket}/{copy.base}"
        self.outcome.before = self.outcome.after = [describe(one) for one in copies]
        why = self._why_due(copies)
        if not why:
            return self._nothing_to_do(copies)
        self.outcome.planned = [_planned(copy, why)]
        if check:
            self.outcome.changed = True
            summary = f"the copy {copy.name} would be fetched and restored ({why})"
            return ok_or_findings(summary, self.compared.findings, {}, 1, 1)
        # What a killed run fetched into it is gone on with.
        path = os.path.join(self.settings.restoring.scratch_path, f"{PREFIX}{copy.system}-{os.geteuid()}")
        with own_place(path, _LOCK_PATIENCE, remove_tree) as place:
            return self._verify(copy, place)

    def _why_due(self, copies: t.Sequence[Copy]) -> str:
        if self.settings.force:
            return "a verification is asked for"
        last = max(restored_moment(copy) for copy in copies)
        if not last:
            return "no copy was ever restored"
        age = utc_now().timestamp() - last
        return (
            f"the last verification is {format_duration(abs(age))} old"
            if not 0 <= age < due_after(self.settings.every)
            else ""
        )

    def _nothing_to_do(self, copies: t.Sequence[Copy]) -> Result:
        last = max(copies, key=restored_moment)
        proof = last.verified or {}
        age = utc_now().timestamp() - restored_moment(last)
        names = ("download_seconds", "restore_seconds", "recovery_seconds")
        figures = {name: proof[name] for name in names if name in proof}
        summary = f"the copy {last.name} was restored {format_duration(age)} ago"
        return ok_or_findings(summary, self.compared.findings, {**figures, "verified_age_seconds": round(age)}, 1, 1)

    def _verify(self, copy: Copy, place: str) -> Result:
        began = time.monotonic()
        try:
            figures = self._prove(copy, place)
        except (Refuted, Damaged) as exc:
            reason = one_line(exc)
            self._say(copy, OFFSITE_REFUTED, OFFSITE_VERIFIED, {"refuted": write_time(utc_now()), "reason": reason})
            summary = f"the copy {copy.name} did not pass its verification"
            figures = {"duration_seconds": round(time.monotonic() - began, 3)}
            return Result("failed", summary, reason, tuple(self.compared.findings), figures, 0, 1)
        figures["duration_seconds"] = round(time.monotonic() - began, 3)
        figures["recovery_seconds"] = round(figures["download_seconds"] + figures["restore_seconds"], 3)
        figures["rpo_seconds"] = round((utc_now() - moment_of(copy.name)).total_seconds())
        self._say(copy, OFFSITE_VERIFIED, OFFSITE_REFUTED, {**figures, "verified": write_time(utc_now())})
        compared = self.compared
        summary = (
            f"copy {copy.name} fetched in {format_duration(figures['download_seconds'])}, restored in"
            f" {format_duration(figures['restore_seconds'])} and compared: {compared.databases} databases,"
            f" {compared.tables} tables, {compared.rows} rows"
        )
        return ok_or_findings(summary, compared.findings, figures, compared.looked, compared.of)

    def _prove(self, copy: Copy, place: str) -> dict[str, float]:
        """:raises Refuted: when the copy is not what its manifest says.
        :raises Damaged: when it does not come back as it was sent.
        """
        size = sum(int(entry["bytes"]) for entry in copy.manifest["files"])
        require_space(place, size, "the fetched copy")
        directory = os.path.join(place, copy.name)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        began = time.monotonic()
        count = download(self.store, self.streams, copy, directory)
        seconds = time.monotonic() - began
        fetched = next(backup for backup in read_sets(place) if backup.name == copy.name)
        try:
            figures = prove(_as_it_was_made(fetched), self.settings.restoring, self.compared)
        except KeyError as exc:
            raise Refuted(f"the manifest of {copy.name} lacks {exc}") from exc
        return {**figures, "download_seconds": round(seconds, 3), "download_bytes": count}

    def _say(self, copy: Copy, name: str, opposite: str, said: t.Mapping[str, t.Any]) -> None:
        """Leave the statement beside the copy. Where that is not allowed, it is told; the next run verifies again."""
        text = json.dumps({**said, "manifest": copy.manifest["digest"]}, indent=1, sort_keys=True) + "\n"
        try:
            Sender(self.store, self.streams).probe(f"{copy.base}/{name}", text.encode())
            if opposite in copy.objects:
                self.store.call("delete_object", f"{copy.base}/{opposite}")
        except S3Error as exc:
            message = f"the outcome could not be left beside the copy, so it is verified again next time: {exc}"
            action = "allow s3:PutObject and s3:DeleteObject to these credentials"
            self.compared.findings.append(Finding("offsite-not-noted", "low", copy.name, message, action=action))
            return
        self.outcome.changed = True
        self.outcome.after = [describe(one) for one in read_copies(self.store, self.streams, copy.system)]


def _as_it_was_made(fetched: BackupSet) -> BackupSet:
    """A manifest that came back damaged refutes the copy, as any other file does."""
    if fetched.damage:
        raise Refuted(fetched.damage)
    return fetched


def _planned(copy: Copy, why: str) -> dict[str, t.Any]:
    return {
        "database": ", ".join(entry["name"] for entry in copy.manifest["databases"]),
        "subject": copy.name,
        "action": "verify",
        "reason": why,
        "estimate": {"bytes": sum(int(entry["bytes"]) for entry in copy.manifest["files"])},
    }
