# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When maintenance may run: "Sun 01:00-05:00 Europe/Paris; Mon-Fri 22:00-04:00 UTC".

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

It runs on the controller only, which has a time zone database; zoneinfo is imported where it is used, because the
oldest Python of managed hosts has none and imports this package too.

A window is open exactly while a clock on the wall of its time zone shows a time in it. So when clocks go forward over
a window, it is shorter or does not open; when they go back over it, it is open in both passes of the repeated hour.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from .suggest import InputError, nearest

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAILY = ("daily", "everyday")
_FULL_DAY = 24 * 60
_LAST_MINUTE = 59
#: Every window opens or closes within this many days: one that is weekly may be swallowed by a clock change once.
_HORIZON_DAYS = 22

_RIGHT = (
    'write days, times and a time zone, like "Sun 01:00-05:00 Europe/Paris", "Mon-Fri 22:00-04:00 UTC" '
    'or "daily 01:00-03:00 Asia/Tokyo"; several with ";" between them'
)
_SPAN = re.compile(
    r"(?P<days>[A-Za-z]+(?:\s*[-,]\s*[A-Za-z]+)*)\s+"
    r"(?P<opens>\d\d?:\d\d)\s*-\s*(?P<closes>\d\d?:\d\d)"
    r"(?:\s+(?P<zone>[A-Za-z][A-Za-z0-9_+\-/]*))?"
)
_HAS_TIMES = re.compile(r"\d:\d\d\s*-\s*\d")


class WindowError(InputError):
    """A window that cannot be read; the message names the value and what would be right."""


@dataclasses.dataclass(frozen=True)
class Span:
    """Days of the week, and the minutes of the day between which it is open; over midnight when `closes` <= `opens`."""

    days: frozenset[int]
    opens: int
    closes: int
    zone: datetime.tzinfo

    def is_open(self, at: datetime.datetime) -> bool:
        local = at.astimezone(self.zone)
        today = local.weekday()
        minute = local.hour * 60 + local.minute
        if self.opens < self.closes:
            return today in self.days and self.opens <= minute < self.closes
        yesterday = (today - 1) % 7
        return (today in self.days and minute >= self.opens) or (yesterday in self.days and minute < self.closes)

    def turning_points(self, day: datetime.date) -> t.Iterator[datetime.datetime]:
        """The moments of a local day at which the span may open or close."""
        for minute in sorted({self.opens % _FULL_DAY, self.closes % _FULL_DAY}):
            wall = datetime.datetime.combine(day, datetime.time(minute // 60, minute % 60), self.zone)
            for fold in (0, 1):
                yield wall.replace(fold=fold).astimezone(datetime.timezone.utc)
        yield from _clock_change(day, self.zone)


@dataclasses.dataclass(frozen=True)
class Window:
    """One or more spans; it is open while any of them is."""

    spans: tuple[Span, ...]
    text: str

    def is_open(self, at: datetime.datetime) -> bool:
        _require_zone(at)
        return any(span.is_open(at) for span in self.spans)

    def next_opening(self, at: datetime.datetime) -> datetime.datetime | None:
        """`at` itself while open, else the moment it opens next; None when it never does."""
        return at if self.is_open(at) else self._next(at, True)

    def closes_at(self, at: datetime.datetime) -> datetime.datetime | None:
        """When the window that is open at `at`, or else the next one, closes; None when it never does."""
        opening = self.next_opening(at)
        return None if opening is None else self._next(opening, False)

    def _next(self, at: datetime.datetime, is_open: bool) -> datetime.datetime | None:
        points = {
            point
            for span in self.spans
            # From a day before: the local date may be behind that of `at`.
            for ahead in range(-1, _HORIZON_DAYS)
            for point in span.turning_points(at.astimezone(span.zone).date() + datetime.timedelta(days=ahead))
            if point > at
        }
        return next((point for point in sorted(points) if self.is_open(point) == is_open), None)


def parse_window(text: str) -> Window:
    """Read one or more windows, separated by ";" or ",". Without a time zone, UTC is meant.

    :raises WindowError: naming the value and what would be right.
    """
    if not isinstance(text, str) or not text.strip():
        raise WindowError(f"window {text!r} is empty or not a text: {_RIGHT}")
    return Window(tuple(_parse_span(part, text) for part in _parts(text)), text)


def _parts(text: str) -> t.Iterator[str]:
    for piece in text.split(";"):
        pending: list[str] = []
        for part in piece.split(","):
            # A comma stands between days as well as between windows: a window is complete when it has its times.
            pending.append(part)
            if _HAS_TIMES.search(part):
                yield ",".join(pending).strip()
                pending = []
        if pending:
            yield ",".join(pending).strip()


def _parse_span(part: str, text: str) -> Span:
    match = _SPAN.fullmatch(part)
    if not match:
        raise WindowError(f"window {text!r}: {part!r} cannot be read: {_RIGHT}")
    opens = _minute(match.group("opens"), part)
    closes = _minute(match.group("closes"), part)
    if opens == closes:
        raise WindowError(f"window {part!r} opens and closes at the same time: for whole days write 00:00-24:00")
    if opens == _FULL_DAY:
        raise WindowError(f"window {part!r} opens at 24:00: write 00:00 with the next day")
    return Span(_days(match.group("days"), part), opens, closes, _zone(match.group("zone") or "UTC", part))


def _minute(clock: str, part: str) -> int:
    hours, minutes = (int(number) for number in clock.split(":"))
    if minutes > _LAST_MINUTE or hours * 60 + minutes > _FULL_DAY:
        raise WindowError(f"window {part!r}: the time {clock!r} does not exist: times go from 00:00 to 24:00")
    return hours * 60 + minutes


def _days(words: str, part: str) -> frozenset[int]:
    if words.lower() in _DAILY:
        return frozenset(range(len(DAYS)))
    days: set[int] = set()
    for item in words.split(","):
        ends = [_day(word.strip(), part) for word in item.split("-")]
        if len(ends) == 1:
            days.add(ends[0])
        elif len(ends) == 2:
            days.update((ends[0] + step) % 7 for step in range((ends[1] - ends[0]) % 7 + 1))
        else:
            raise WindowError(f"window {part!r}: {item!r} is not a range of days: write it like Mon-Fri")
    return frozenset(days)


def _day(word: str, part: str) -> int:
    for number, name in enumerate(DAYS):
        if word.capitalize() in (name, _LONG_DAYS[number]):
            return number
    raise WindowError(f"window {part!r}: unknown day {word!r}; days are {', '.join(DAYS)} or daily")


def _zone(name: str, part: str) -> datetime.tzinfo:
    if name == "UTC":
        return datetime.timezone.utc
    import zoneinfo  # managed hosts with Python 3.8 import this package and have none

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        known = zoneinfo.available_timezones()
        if not known:
            raise WindowError(f"window {part!r}: the controller has no time zones: install tzdata") from exc
        near = nearest(name, known) or next((zone for zone in sorted(known) if zone.endswith(f"/{name}")), None)
        hint = f"did you mean {near!r}?" if near else 'write it like "Europe/Paris" or "UTC"'
        raise WindowError(f"window {part!r}: unknown time zone {name!r}; {hint}") from exc


def _clock_change(day: datetime.date, zone: datetime.tzinfo) -> t.Iterator[datetime.datetime]:
    """The moment of that local day at which the clocks are changed, if there is one."""
    before, after = (
        datetime.datetime.combine(day + datetime.timedelta(days=ahead), datetime.time(), zone).astimezone(
            datetime.timezone.utc
        )
        for ahead in (0, 1)
    )
    old = before.astimezone(zone).utcoffset()
    if after.astimezone(zone).utcoffset() == old:
        return
    while after - before > datetime.timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    yield after


def _require_zone(at: datetime.datetime) -> None:
    if at.tzinfo is None:
        raise InputError(f"time {at.isoformat()} has no time zone: give one in UTC")
