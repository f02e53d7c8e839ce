# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How old the advisories are: an answer that comes at once may be one of last week.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A cache on the way says so in its headers (Age, or an old Date). A mirror that stopped does not, so its stamp can be
asked for: an address or a file that it renews each time it takes over advisories.
"""

from __future__ import annotations

import datetime
import email.utils
import json
import os
import re
import typing as t

from .._core.clock import parse_time, write_time
from .._core.durations import format_duration
from .._core.suggest import InputError
from .looks import Pair
from .web import Http, NoAnswer

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_MOST_STAMP = 64 * 1024
#: A clock that runs a little ahead is no reason for an alarm; one that runs a day ahead would hide an old answer.
_SKEW = 3600


def age_of_osv(http: Http, url: str, canary: Pair) -> float | None:
    """How old the answer says it is; None when the service answers nothing that tells it."""
    body = {"package": {"name": canary[0], "ecosystem": "PyPI"}, "version": canary[1]}
    return _age(http, url, body)


def age_of_npm(http: Http, registry: str, canary: Pair) -> float | None:
    """The same of a registry; None where it wants a token, which npm alone has."""
    return _age(http, f"{registry.rstrip('/')}/-/npm/v1/security/advisories/bulk", {canary[0]: [canary[1]]})


def _age(http: Http, url: str, body: t.Any) -> float | None:
    try:
        return http.found(url, body).age_seconds
    except NoAnswer:
        return None


def judge_age(what: str, seconds: float | None, max_age: int) -> str:
    """Why the answers are too old; empty when they are not, or do not say."""
    if not max_age or seconds is None or seconds <= max_age:
        return ""
    age, most = format_duration(seconds), format_duration(max_age)
    return f"{what} are {age} old, more than {most}: a cache or a mirror stands still"


def judge_stamp(http: Http, stamp: str, max_age: int, now: datetime.datetime) -> str:
    """Why the stamp says that the advisories are too old, or says nothing; empty when they are young enough."""
    try:
        moment = _moment_of_address(http, stamp) if "://" in stamp else _moment_of_file(stamp)
    except (NoAnswer, InputError, OSError, ValueError) as exc:
        return f"the stamp of the advisories cannot be read: {' '.join(str(exc).split())}"
    age = (now - moment).total_seconds()
    if age < -_SKEW:
        return (
            f"the stamp of the advisories says {write_time(moment)}, which is still to come: one of the clocks is wrong"
        )
    return judge_age("the advisories", age, max_age)


def _moment_of_address(http: Http, url: str) -> datetime.datetime:
    answer = http.found(url, accept="*/*")
    moment = _moment_in(answer.body[:_MOST_STAMP].decode("utf-8", "replace"))
    if moment:
        return moment
    told = answer.headers.get("Last-Modified")
    if not told:
        raise ValueError("it holds no moment such as 2026-11-26T05:13:39Z, and has no Last-Modified")
    return email.utils.parsedate_to_datetime(told).astimezone(datetime.timezone.utc)


def _moment_of_file(path: str) -> datetime.datetime:
    with open(path, encoding="utf-8", errors="replace") as handle:
        moment = _moment_in(handle.read(_MOST_STAMP))
        changed = os.fstat(handle.fileno()).st_mtime
    return moment or datetime.datetime.fromtimestamp(changed, datetime.timezone.utc)


def _moment_in(text: str) -> datetime.datetime | None:
    """The moment that the text begins with, or that is its `modified` when it is JSON."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    told = str(found.get("modified") or "") if isinstance(found, dict) else text.strip()
    match = _MOMENT.match(told)
    return parse_time(match.group()) if match else None
