# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a vulnerability may stay, by its severity, and how old a release must be before it is taken without need.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.clock import parse_time, write_time
from .._core.durations import format_duration, parse_duration
from .._core.suggest import InputError, refuse_unknown

#: From the most severe to the least.
SEVERITIES = ("critical", "high", "medium", "low")
#: What nobody gave a severity is not harmless.
UNKNOWN_COUNTS_AS = "high"
NOW = "now"


@dataclasses.dataclass(frozen=True)
class Lane:
    """:param seconds: how long after it was first seen; 0 is at once, by an emergency change."""

    severity: str
    seconds: int
    text: str


@dataclasses.dataclass(frozen=True)
class Due:
    """Where a vulnerability stands in its lane."""

    lane: Lane
    first_seen: datetime.datetime
    due: datetime.datetime
    overdue_seconds: float

    @property
    def is_overdue(self) -> bool:
        return self.overdue_seconds > 0

    def told(self) -> str:
        if self.lane.seconds == 0:
            since = format_duration(self.overdue_seconds) if self.is_overdue else "a moment"
            return f"due at once, known for {since}"
        if self.is_overdue:
            return f"due {write_time(self.due)}, overdue by {format_duration(self.overdue_seconds)}"
        return f"due {write_time(self.due)}"


def read_lanes(given: t.Mapping[str, t.Any], defaults: t.Mapping[str, str]) -> dict[str, Lane]:
    """The lanes of all severities; `given` holds the differences to the defaults.

    :raises InputError: naming the key, the value and what would be right.
    """
    refuse_unknown("lanes: unknown severity", given, SEVERITIES)
    lanes: dict[str, Lane] = {}
    for severity in SEVERITIES:
        text = given.get(severity, defaults[severity])
        try:
            lanes[severity] = Lane(severity, 0 if text == NOW else parse_duration(text), text)
        except InputError as exc:
            raise InputError(f"lanes.{severity}: {exc}; or write {NOW!r}") from None
    ordered = [lanes[severity] for severity in SEVERITIES]
    for lane, milder in zip(ordered, ordered[1:]):
        if lane.seconds > milder.seconds:
            raise InputError(
                f"lanes.{lane.severity} is {lane.text!r}, longer than lanes.{milder.severity} ({milder.text!r}): "
                "what is worse must not be allowed to stay longer"
            )
    return lanes


def judge(
    severity: str, first_seen: datetime.datetime, now: datetime.datetime, lanes: t.Mapping[str, Lane]
) -> tuple[str, Due]:
    """The severity that it counts as, and when it is due: counted from when it was first seen."""
    counted = severity if severity in lanes else UNKNOWN_COUNTS_AS
    lane = lanes[counted]
    due = first_seen + datetime.timedelta(seconds=lane.seconds)
    return counted, Due(lane, first_seen, due, max(0.0, (now - due).total_seconds()))


def held_until(published: str, now: datetime.datetime, cooldown: int, is_fix: bool = False) -> str | None:
    """Until when a release is left alone; None when it may be taken, empty where nobody knows. A fix never waits.

    A release whose moment is not told is too young: whoever hides a bad release would hide that first.
    """
    if cooldown <= 0 or is_fix:
        return None
    try:
        moment = parse_time(published)
    except InputError:
        return ""
    free = moment + datetime.timedelta(seconds=cooldown)
    return write_time(free) if free > now else None
