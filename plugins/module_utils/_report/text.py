# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text and times as they may be shown: records can hold anything, a page or a terminal must not obey it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import time
import typing as t

from .._core.clock import parse_time
from .._core.suggest import InputError

#: Control characters (a terminal would obey them), text direction overrides (they make a line read as another one),
#: lone surrogates (they cannot be encoded) and non-characters.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")

_C0_END = 0x20
_DELETE = 0x7F


def _visible(match: t.Match[str]) -> str:
    code = ord(match.group())
    if match.group() in "\t\n\r":
        return " "
    if code < _C0_END:
        return chr(0x2400 + code)  # the control picture: an escape character stays visible as what it is
    return "\u2421" if code == _DELETE else "\ufffd"


def harmless(text: str) -> str:
    """The text without anything that a page or a terminal would obey; what was there stays visible."""
    return _UNSAFE.sub(_visible, text)


def clean(value: t.Any) -> str:
    """A value out of a record as one line of harmless text."""
    return "" if value is None else harmless(str(value)).strip()


def epoch(value: t.Any) -> int | None:
    """Seconds since the epoch of a record's time, or None for anything that is not one."""
    try:
        return int(parse_time(value).timestamp())
    except InputError:
        return None


def utc(seconds: float) -> str:
    """For people: `2026-11-23 05:13`, UTC."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def iso(seconds: float) -> str:
    """For machines: `2026-11-23T05:13:39Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key: db2 before db10."""
    parts = [part for part in re.split(r"([0-9]+)", name) if part]
    return tuple((0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in parts)
