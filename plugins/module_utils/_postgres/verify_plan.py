# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are to be proved: the newest every day, and now and then an older one that nobody has chosen.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import random
import typing as t

from .._core.clock import parse_time
from .._core.durations import format_duration
from .._core.suggest import InputError
from .backup_plan import due_after
from .backup_sets import BackupSet, damaged_files, until
from .retention import Judgement, Policy, judge

#: How a statement beside the manifest says as what a backup was proved.
NEWEST = "newest"
OLDER = "older"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to verify; durations in seconds, 0 where something is not wanted."""

    path: str
    every: int = 86400
    older_every: int = 7 * 86400
    force: bool = False
    retention: Policy = dataclasses.field(default_factory=Policy)
    scratch_path: str = "/var/tmp"  # noqa: S108 (each server gets a private directory in it)
    run_as: str = ""
    jobs: int = 2
    nice: int = 10
    io_class: str = "best-effort"
    bin_dir: str = ""
    identity_file: str = ""
    public_key: str = ""
    rto: int = 3600
    rpo: int = 86400
    #: Which older backup is chosen; by chance when empty.
    seed: str = ""

    def __post_init__(self) -> None:
        """:raises InputError: for a number that cannot be right."""
        if self.jobs < 1:
            raise InputError(f"jobs is {self.jobs}: give the number of connections that restore at a time, 1 or more")


@dataclasses.dataclass(frozen=True)
class Work:
    """What is to be proved and why. An empty reason means that it is not due."""

    newest: BackupSet
    why_newest: str
    older: BackupSet | None
    why_older: str

    @property
    def is_due(self) -> bool:
        return bool(self.why_newest or self.older)


def plan_work(sets: t.Sequence[BackupSet], settings: Settings, now: datetime.datetime) -> Work:
    """:param sets: all backups, oldest first; one at least."""
    newest = (until(sets, now) or list(sets))[-1]
    why_older = _why_older(sets, settings.older_every, now)
    older = _choose_older(sets, newest, settings, now) if why_older else None
    return Work(newest, _why_newest(newest, settings, now), older, why_older if older else "")


def judge_if_proved(
    sets: t.Sequence[BackupSet], newest: BackupSet, policy: Policy, now: datetime.datetime
) -> Judgement:
    """What would become of the backups if the newest one passed."""
    passed = dataclasses.replace(newest, verified={"verified": ""}, refuted=None)
    return judge([passed if backup is newest else backup for backup in sets], now, policy)


def _why_newest(newest: BackupSet, settings: Settings, now: datetime.datetime) -> str:
    if settings.force:
        return "a verification is asked for"
    if newest.damage:
        return "it is damaged"
    if newest.refuted:
        return "its last verification failed"
    if not newest.verified:
        return "it was never verified"
    age = (now - parse_time(newest.verified["verified"])).total_seconds()
    if age < 0 or age >= due_after(settings.every):
        return f"its last verification is {format_duration(abs(age))} old"
    damaged = damaged_files(newest, by_hash=False)
    return f"it is damaged: {damaged[0]}" if damaged else ""


def _why_older(sets: t.Sequence[BackupSet], every: int, now: datetime.datetime) -> str:
    if not every:
        return ""
    proofs = [
        parse_time(said[key])
        for backup in sets
        for said, key in ((backup.verified, "verified"), (backup.refuted, "refuted"))
        if said and said.get("as") == OLDER
    ]
    if not proofs:
        return "no older backup was ever verified again"
    age = (now - max(proofs)).total_seconds()
    if 0 <= age < due_after(every):
        return ""
    return f"the last time that an older backup was verified is {format_duration(abs(age))} ago"


def _choose_older(
    sets: t.Sequence[BackupSet], newest: BackupSet, settings: Settings, now: datetime.datetime
) -> BackupSet | None:
    """One that is to stay, for there is no use in proving what is removed afterwards, and that is not known as bad."""
    kept = judge_if_proved(sets, newest, settings.retention, now).reasons()
    others = [backup for backup in sets if backup is not newest and backup.name in kept]
    choice = [backup for backup in others if not backup.damage and not backup.refuted]
    chance: random.Random = random.Random(settings.seed) if settings.seed else random.SystemRandom()  # noqa: S311
    return chance.choice(choice) if choice else None
