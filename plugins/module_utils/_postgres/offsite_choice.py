# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups have to be copied off-site, and why. Decided from the backups here and the copies there.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.result import Finding
from .backup_sets import BackupSet
from .offsite_copies import Copy, beside_manifest
from .offsite_retention import expired_names


@dataclasses.dataclass(frozen=True)
class Planned:
    """One backup that is to be copied, and what lies there of it."""

    backup: BackupSet
    there: Copy
    reason: str

    @property
    def system(self) -> str:
        return self.there.system

    @property
    def missing_bytes(self) -> int:
        """What is not there yet in the right size; the rest is looked at and, as a rule, not sent again."""
        there = {} if self.there.refuted else self.there.objects
        return sum(
            entry["bytes"]
            for entry in self.backup.manifest["files"]
            if entry["path"] not in there or there[entry["path"]].bytes != entry["bytes"]
        )

    def to_dict(self) -> dict[str, t.Any]:
        return {
            "database": ", ".join(self.backup.databases),
            "subject": self.backup.name,
            "action": "copy",
            "reason": self.reason,
            "estimate": {"bytes": self.missing_bytes, "objects": len(self.backup.manifest["files"])},
        }


def system_of(backup: BackupSet) -> str:
    return str(backup.manifest["server"]["system_identifier"])


def choose(
    sets: t.Sequence[BackupSet],
    copies: t.Sequence[Copy],
    base_of: t.Callable[[str, str], str],
    unverified: bool,
    keep_seconds: int,
    now: datetime.datetime,
    findings: list[Finding],
) -> list[Planned]:
    """The backups to copy, newest first, for the newest is the one that is needed; others are told in `findings`.

    :param base_of: the key of the copy of a server's backup of a name.
    """
    there = {(copy.system, copy.name): copy for copy in copies}
    planned = []
    for backup in reversed(sets):
        if not _may_be_copied(backup, unverified, findings):
            continue
        system = system_of(backup)
        copy = there.get((system, backup.name)) or Copy(system, backup.name, base_of(system, backup.name), {})
        if copy.manifest and copy.manifest["digest"] != backup.manifest["digest"]:
            message = (
                f"the bucket has a copy of another backup under the name of {backup.path}, so this one is not copied"
            )
            action = "give each directory of backups a prefix of its own"
            findings.append(Finding("offsite-other-backup", "high", backup.name, message, action=action))
            continue
        reason = _why(backup, copy)
        if reason:
            planned.append(Planned(backup, copy, reason))
    return _without_old(planned, copies, keep_seconds, now)


def _may_be_copied(backup: BackupSet, unverified: bool, findings: list[Finding]) -> bool:
    if backup.damage or backup.refuted:
        why = backup.damage or (backup.refuted or {}).get("reason", "")
        message = f"it is not copied, for it is known to be bad: {why}"
        findings.append(Finding("offsite-bad-backup", "medium", backup.name, message, action="make a new backup"))
        return False
    if backup.is_verified or unverified:
        return True
    message = "it is not copied yet, for it was not verified yet"
    action = "verify it, or copy unverified backups as well"
    findings.append(Finding("offsite-not-verified", "low", backup.name, message, action=action))
    return False


def _why(backup: BackupSet, copy: Copy) -> str:
    """Why a backup has to be copied (again); an empty text when its copy is as it should be."""
    if copy.is_begun:
        count = len(copy.objects)
        return f"its copy was begun and not completed ({count} objects are there)" if count else "it is not there yet"
    if copy.damage:
        return f"its copy is damaged: {copy.damage}"
    if copy.refuted:
        return f"its copy did not pass its verification: {copy.refuted.get('reason', '')}"
    if not copy.is_proved:
        return "its copy was not proved yet"
    later = [name for name in beside_manifest(backup) if name not in copy.objects]
    return f"its copy lacks what came later: {', '.join(later)}" if later else ""


def _without_old(
    planned: t.Sequence[Planned], copies: t.Sequence[Copy], keep_seconds: int, now: datetime.datetime
) -> list[Planned]:
    """Without those that retention would remove as soon as they are there."""
    kept = []
    for system in dict.fromkeys(one.system for one in planned):
        mine = [one for one in planned if one.system == system]
        ours = [copy for copy in copies if copy.system == system]
        gone = expired_names(ours, [one.backup for one in mine], now, keep_seconds)
        kept += [one for one in mine if one.backup.name not in gone]
    return kept
