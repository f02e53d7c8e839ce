# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup is due: a full one now and then, a differential one between, else an incremental one.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.durations import format_duration
from .._core.suggest import InputError
from .backup_plan import due_after
from .physical_stanza import PhysicalBackup

_DAY = 86400


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How old the newest backup of each kind may be, in seconds; 0 where a kind is never made for its age.

    A kind serves for all that are below it: a full backup is a differential and an incremental one as well.
    """

    full_every: int = 7 * _DAY
    diff_every: int = _DAY
    incr_every: int = 3600

    def __post_init__(self) -> None:
        """:raises InputError: for an order that cannot be meant."""
        wanted = {
            name: value
            for name, value in (
                ("full_every", self.full_every),
                ("diff_every", self.diff_every),
                ("incr_every", self.incr_every),
            )
            if value
        }
        if "full_every" not in wanted:
            raise InputError("full_every is empty: give how old the newest full backup may be, such as 7d")
        names = list(wanted)
        for larger, smaller in zip(names, names[1:]):
            if wanted[smaller] > wanted[larger]:
                raise InputError(
                    f"{smaller} is longer than {larger}: a {larger.split('_')[0]} backup is the rarer one, so make"
                    f" {smaller} the shorter one, or leave it empty"
                )


@dataclasses.dataclass(frozen=True)
class Due:
    """What kind of backup is to be made and why."""

    kind: str
    why: str


def choose(backups: t.Sequence[PhysicalBackup], schedule: Schedule, force: bool, now: datetime.datetime) -> Due | None:
    """What is due, or nothing.

    :param backups: those of the present server, oldest first.
    """
    begun = [backup for backup in backups if backup.started <= now]
    fulls = [backup for backup in begun if backup.kind == "full"]
    if not backups:
        return Due("full", "there is no backup yet")
    if not fulls:
        return Due("full", "there is no full backup that was begun before now: a clock was wrong")
    if begun[-1].refuted:
        # What it is made of lies in the full one: only a new full one writes all of it anew.
        return Due("full", f"the newest backup {begun[-1].label} did not pass its verification: {begun[-1].refuted}")
    if begun[-1].has_page_errors:
        return Due("full", f"the newest backup {begun[-1].label} has pages whose checksum is wrong")
    reached = {
        "full": (schedule.full_every, fulls),
        "diff": (schedule.diff_every, [backup for backup in begun if backup.kind in ("full", "diff")]),
        "incr": (schedule.incr_every, begun),
    }
    for kind, (every, those) in reached.items():
        age = (now - those[-1].started).total_seconds()
        if every and age >= due_after(every):
            named = "" if kind == "incr" else f" {'full or differential' if kind == 'diff' else kind}"
            return Due(kind, f"the newest{named} backup {those[-1].label} is {format_duration(age)} old")
    return Due("incr", "a backup is asked for") if force else None


def whole_days(seconds: int) -> int:
    """A length of time in days, as pgBackRest counts retention: rounded up, so that nothing goes too early."""
    return -(-seconds // _DAY)
