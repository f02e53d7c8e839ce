# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One way to write a moment: UTC, to the second, "2026-11-23T05:13:39Z".

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import re

from .suggest import InputError

_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|\+00:00)")


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def write_time(moment: datetime.datetime) -> str:
    """A moment in UTC; fractions of a second are cut off, so that nothing ends before it ended."""
    if moment.tzinfo is None:
        raise InputError(f"time {moment.isoformat()} has no time zone: give one in UTC")
    return moment.astimezone(datetime.timezone.utc).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def stamp(moment: datetime.datetime) -> str:
    """A moment as part of a file name: "20261123T051339Z"."""
    return write_time(moment).replace("-", "").replace(":", "")


def parse_time(text: str) -> datetime.datetime:
    """The moment of "2026-11-23T05:13:39Z"; a fraction of the second and "+00:00" for "Z" are accepted.

    :raises InputError: naming the value and what would be right.
    """
    wrong = f'time {text!r} cannot be read: write it in UTC like "2026-11-23T05:13:39Z"'
    match = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise InputError(wrong)
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    try:
        return datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc)
    except ValueError as exc:
        raise InputError(f"{wrong} ({exc})") from exc
