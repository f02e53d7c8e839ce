# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments as people write them in settings: "2026-12-24", "2026-12-24 18:00 Europe/Berlin", "2026-12-24T18:00:00Z".

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

It runs on the controller only; zoneinfo is imported where it is used, because old Pythons of managed hosts have none.
"""

from __future__ import annotations

import datetime
import re
import typing as t

from .._core.suggest import InputError, nearest

_RIGHT = 'write "2026-12-24", "2026-12-24 18:00 Europe/Berlin" or "2026-12-24T18:00:00Z" (without a zone, UTC is meant)'
_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<clock>\d\d:\d\d(?::\d\d)?))?"
    r"(?P<zone>Z|[+-]\d\d:\d\d|\s+[A-Za-z][A-Za-z0-9_+\-/]*)?"
)


def parse_moment(value: t.Any, whole_day: bool = False) -> datetime.datetime:
    """The moment in UTC. Of a date alone it is the first moment, or with `whole_day` the first one after that day.

    :raises InputError: naming the value and what would be right.
    """
    # YAML makes dates and times of what is not quoted.
    text = value.isoformat() if isinstance(value, datetime.date) else value
    match = _MOMENT.fullmatch(text.strip()) if isinstance(text, str) else None
    if not match:
        raise InputError(f"time {value!r} cannot be read: {_RIGHT}")
    zone = _zone((match.group("zone") or "Z").strip(), text)
    clock = match.group("clock")
    try:
        local = datetime.datetime.fromisoformat(f"{match.group('date')}T{clock or '00:00'}")
        if clock is None and whole_day:
            local += datetime.timedelta(days=1)
        return local.replace(tzinfo=zone).astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError) as exc:
        raise InputError(f"time {text!r} does not exist ({exc}): {_RIGHT}") from exc


def _zone(name: str, text: str) -> datetime.tzinfo:
    import zoneinfo

    if name == "Z":
        return datetime.timezone.utc
    if name[0] in "+-":
        hours, minutes = (int(part) for part in name[1:].split(":"))
        offset = datetime.timedelta(hours=hours, minutes=minutes)
        try:
            return datetime.timezone(-offset if name[0] == "-" else offset)
        except ValueError as exc:
            raise InputError(f"time {text!r}: the offset {name} does not exist: {_RIGHT}") from exc
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        near = nearest(name, zoneinfo.available_timezones())
        right = f"did you mean {near!r}?" if near else _RIGHT
        raise InputError(f"time {text!r}: unknown time zone {name!r}; {right}") from exc
