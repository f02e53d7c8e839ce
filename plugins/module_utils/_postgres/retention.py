# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups may go, and for each one that stays, why. Only proved ones count as something to keep.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Days, weeks (ISO), months and years are those of UTC: a host that changes its clocks in spring loses no backup by it.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.durations import format_duration
from .._core.suggest import InputError
from .backup_sets import BackupSet, until


@dataclasses.dataclass(frozen=True)
class Policy:
    """How long backups stay: all for `seconds`, then the newest proved one of so many days, weeks, months, years."""

    seconds: int = 30 * 86400
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0

    def __post_init__(self) -> None:
        """:raises InputError: for a number below zero."""
        for period in _PERIODS:
            if getattr(self, period.rule) < 0:
                given = getattr(self, period.rule)
                raise InputError(
                    f"keep_{period.rule} is {given}: give the number of {period.name}s to keep, 0 for none"
                )


@dataclasses.dataclass(frozen=True)
class Kept:
    """A backup that stays, and why."""

    backup: BackupSet
    why: str


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What becomes of each backup, oldest first."""

    kept: tuple[Kept, ...]
    expired: tuple[BackupSet, ...]

    def reasons(self) -> dict[str, str]:
        """By name, why a backup is kept."""
        return {one.backup.name: one.why for one in self.kept}


@dataclasses.dataclass(frozen=True)
class _Period:
    rule: str
    name: str
    of: t.Callable[[datetime.datetime], t.Any]


_PERIODS = (
    _Period("daily", "day", lambda moment: moment.date()),
    _Period("weekly", "week", lambda moment: tuple(moment.isocalendar())[:2]),
    _Period("monthly", "month", lambda moment: (moment.year, moment.month)),
    _Period("yearly", "year", lambda moment: moment.year),
)


def judge(sets: t.Sequence[BackupSet], now: datetime.datetime, policy: Policy) -> Judgement:
    """Who stays and who goes.

    Whatever the policy says, these stay: the newest proved backup and everything newer than it; what somebody pinned;
    the newest proved copy of a database that exists but is not in the newest proved backup; the newest proved backup of
    each major version of PostgreSQL, for the host that restores it may have the programs of an older one. Without any
    proved backup nothing goes.
    """
    begun = until(sets, now)
    proved = sorted((backup for backup in begun if backup.is_verified), key=lambda backup: backup.started)
    why: dict[str, str] = {}
    if not proved:
        why = {backup.name: "no backup is verified yet" for backup in sets}
    else:
        why.update(_by_periods(proved, policy))
        why.update(_by_age(sets, now, policy.seconds))
        why.update(_always(begun, proved))
        why.update(
            {backup.name: "it bears a date in the future: a clock was wrong" for backup in sets if backup not in begun}
        )
    why.update(
        {backup.name: f"pinned{': ' + backup.pinned if backup.pinned else ''}" for backup in sets if backup.is_pinned}
    )
    kept = tuple(Kept(backup, why[backup.name]) for backup in sets if backup.name in why)
    return Judgement(kept, tuple(backup for backup in sets if backup.name not in why))


def _always(sets: t.Sequence[BackupSet], proved: t.Sequence[BackupSet]) -> dict[str, str]:
    newest = proved[-1]
    why: dict[str, str] = {}
    majors: dict[int, BackupSet] = {backup.major: backup for backup in proved}
    for major, backup in majors.items():
        why[backup.name] = f"the newest verified one of PostgreSQL {major}"
    for database in newest.missing_databases:
        copies = [backup for backup in proved if database in backup.databases]
        if copies:
            why[copies[-1].name] = f"the newest verified copy of database {database!r}"
    for backup in sets:
        if backup.started > newest.started:
            why[backup.name] = "newer than the newest verified one"
    why[newest.name] = "the newest verified one"
    return why


def _by_age(sets: t.Sequence[BackupSet], now: datetime.datetime, seconds: int) -> dict[str, str]:
    border = now - datetime.timedelta(seconds=seconds)
    return {backup.name: f"younger than {format_duration(seconds)}" for backup in sets if backup.started >= border}


def _by_periods(proved: t.Sequence[BackupSet], policy: Policy) -> dict[str, str]:
    """The newest proved backup of each of the last so many periods that have one."""
    why: dict[str, str] = {}
    for period in reversed(_PERIODS):
        wanted = getattr(policy, period.rule)
        newest = {period.of(backup.started): backup for backup in proved}
        chosen = sorted(newest.values(), key=lambda backup: backup.started, reverse=True)[:wanted]
        for number, backup in enumerate(chosen, 1):
            why[backup.name] = f"the last of its {period.name} ({number} of {wanted} {period.rule} ones)"
    return why
