# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the same names had a certificate lately: no run may use up what an authority gives in a week.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Authorities count certificates for exactly the same names (Let's Encrypt: five in seven days). Something that has one
issued in every run, such as two entries in one directory, would use them up, and then there is none when it matters.
"""

from __future__ import annotations

import datetime
import json
import os
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.locks import lock
from .._core.suggest import InputError
from .issue_state import make_closed, read_json, write_closed

_MOST = 5
_WEEK = 7 * 86400
_PATIENCE = 30
_FILE = "issued.json"


class Issuances:
    """What was issued to one account, by the set of names."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, _FILE)

    def too_often(self, names: t.Sequence[str], now: datetime.datetime | None = None) -> str:
        """Why there should be no more of them now, or nothing."""
        now = now or utc_now()
        young = sorted(until for until in self._until(names) if until > now)
        if len(young) < _MOST:
            return ""
        told = f"{len(young)} certificates for the very same names were issued within a week or their lifetime"
        return f"{told}; the next one is not ordered before {write_time(young[-_MOST])}"

    def note(self, names: t.Sequence[str], lifetime: float, now: datetime.datetime | None = None) -> None:
        """Keep that one was issued.

        :param lifetime: in seconds: what lives for a day is rightly issued twice on it.
        """
        now = now or utc_now()
        until = now + datetime.timedelta(seconds=min(_WEEK, lifetime))
        make_closed(os.path.dirname(self._path))
        with lock(f"{self._path}.lock", _PATIENCE):
            kept = read_json(self._path)
            mine = [*(each for each in self._until(names) if each > now), until]
            kept[_set_of(names)] = [write_time(each) for each in mine]
            write_closed(self._path, json.dumps(kept, sort_keys=True).encode())

    def _until(self, names: t.Sequence[str]) -> list[datetime.datetime]:
        found = []
        given = read_json(self._path).get(_set_of(names))
        for text in given if isinstance(given, list) else ():
            try:
                found.append(parse_time(text))
            except InputError:
                continue
        return found


def _set_of(names: t.Sequence[str]) -> str:
    return " ".join(sorted(set(names)))
