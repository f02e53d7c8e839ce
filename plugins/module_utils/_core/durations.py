# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lengths of time as people write them: "90s", "5m", "36h", "7d", "2w", "1d12h".

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re

from .suggest import InputError

#: Largest first: the order in which the parts of a duration are written.
UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}

#: Beyond this it is a slip of the pen, and dates computed from it would overflow.
LONGEST_SECONDS = 100 * 366 * 86400

_MOST_DIGITS = 12
_MILLISECONDS_BELOW = 1000
_TENTHS_BELOW = 9.95
_SCALES = (
    (86400, "d", 3600, "h", "d"),
    (3600, "h", 60, "min", "02d"),
    (60, "min", 1, "s", "02d"),
)

_RIGHT = 'write whole numbers with s, m (minutes), h, d or w, largest first, like "90s", "36h", "7d" or "1d12h"'
_PART = re.compile(r"([0-9]+)\s*([A-Za-z]*)\s*")


class DurationError(InputError):
    """A duration that cannot be read; the message names the value and what would be right."""


def parse_duration(text: str) -> int:
    """The seconds of a duration such as "36h" or "1d12h".

    :raises DurationError: for anything else, zero and negative durations included.
    """
    if not isinstance(text, str):
        raise DurationError(f"duration {text!r} is not a text: {_RIGHT}")
    seconds = 0
    position = 0
    allowed = list(UNITS)
    stripped = text.strip()
    while position < len(stripped):
        part = _PART.match(stripped, position)
        if not part:
            raise DurationError(f"duration {text!r} cannot be read: {_RIGHT}")
        number, unit = part.groups()
        if unit not in UNITS:
            unfinished = "has no unit" if part.end() == len(stripped) else "cannot be read"
            wrong = f"has the unknown unit {unit!r}" if unit else unfinished
            raise DurationError(f"duration {text!r} {wrong}: {_RIGHT}")
        if unit not in allowed:
            raise DurationError(f"duration {text!r} has {unit!r} twice or after a smaller unit: {_RIGHT}")
        allowed = allowed[allowed.index(unit) + 1 :]
        seconds += _bounded(number, text) * UNITS[unit]
        position = part.end()
    if not stripped:
        raise DurationError(f"duration {text!r} is empty: {_RIGHT}")
    if seconds <= 0:
        raise DurationError(f"duration {text!r} is zero: {_RIGHT}")
    if seconds > LONGEST_SECONDS:
        raise DurationError(f"duration {text!r} is longer than 100 years: {_RIGHT}")
    return seconds


def _bounded(digits: str, text: str) -> int:
    # int() of thousands of digits is slow and refused by newer Pythons with an error of its own.
    if len(digits) > _MOST_DIGITS:
        raise DurationError(f"duration {text!r} is longer than 100 years: {_RIGHT}")
    return int(digits)


def write_duration(seconds: int) -> str:
    """The shortest text that L{parse_duration} reads back as this many seconds."""
    if seconds <= 0:
        raise DurationError(f"{seconds!r} seconds are not a duration: it must be positive")
    rest = seconds
    parts = []
    for unit, size in UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def format_duration(seconds: float) -> str:
    """A length of time for a person: "850 ms", "4.2 s", "42 s", "5 min 03 s", "2 h 05 min", "3 d 4 h"."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    whole = round(seconds)
    for size, unit, part_size, part_unit, width in _SCALES:
        if whole >= size:
            part = whole % size // part_size
            return f"{whole // size} {unit}" + (f" {part:{width}} {part_unit}" if part else "")
    milliseconds = round(seconds * 1000)
    if seconds > 0 and milliseconds < _MILLISECONDS_BELOW:
        return f"{max(1, milliseconds)} ms"
    return f"{whole} s" if seconds == whole or seconds >= _TENTHS_BELOW else f"{seconds:.1f} s"
