# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Freeze periods: from when until when, by whose word and why, nothing is changed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.suggest import InputError, refuse_unknown
from .catalogue import Activity
from .moments import parse_moment

_KEYS = ("reason", "owner", "start", "end", "activities")
_ALWAYS = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)


@dataclasses.dataclass(frozen=True)
class Freeze:
    """Without `activities` it stops all that changes something; what only looks or saves (change: none) goes on."""

    reason: str
    owner: str
    start: datetime.datetime
    end: datetime.datetime
    activities: tuple[str, ...] | None = None

    def stops(self, activity: Activity, at: datetime.datetime) -> bool:
        if not self.start <= at < self.end:
            return False
        return activity.change != "none" if self.activities is None else activity.name in self.activities


def parse_freezes(value: t.Any, activities: t.Iterable[str], variable: str = "cycle_freezes") -> list[Freeze]:
    """Read the freeze periods of the settings.

    :raises InputError: naming the freeze, the key, the value and what would be right.
    """
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{variable} must be a list of freezes, not {value!r}")
    known = tuple(activities)
    return [_freeze(entry, known, f"{variable}[{index}]") for index, entry in enumerate(value)]


def _freeze(entry: t.Any, known: tuple[str, ...], where: str) -> Freeze:
    if not isinstance(entry, dict):
        raise InputError(f"{where} must be a dictionary with reason, owner and end, not {entry!r}")
    refuse_unknown(f"{where}: unknown key %s", entry, _KEYS)
    for key in ("reason", "owner", "end"):
        if not entry.get(key):
            raise InputError(f"{where}: {key} is missing: a freeze says why, by whose word, and when it ends")
    for key in ("reason", "owner"):
        if not isinstance(entry[key], str):
            raise InputError(f"{where}: {key} must be a text, not {entry[key]!r}")
    start = _moment(where, "start", entry["start"], False) if entry.get("start") else _ALWAYS
    end = _moment(where, "end", entry["end"], True)
    if end <= start:
        raise InputError(f"{where}: end {entry['end']!r} is not after start {entry['start']!r}")
    return Freeze(entry["reason"], entry["owner"], start, end, _named(where, entry.get("activities"), known))


def _named(where: str, names: t.Any, known: tuple[str, ...]) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, (list, tuple)) or not names:
        raise InputError(f"{where}: activities must be a list of at least one activity, not {names!r}")
    refuse_unknown(f"{where}: unknown activity %s", names, known)
    return tuple(names)


def _moment(where: str, key: str, value: t.Any, whole_day: bool) -> datetime.datetime:
    try:
        return parse_moment(value, whole_day)
    except InputError as exc:
        raise InputError(f"{where}: {key}: {exc}") from exc
