# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether security fixes could be seen at all: there is an archive for them, and it is still being published.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A host without such a source, or with one that stopped (a mirror that stands still, a release that nobody maintains any
more), has no security fix to install, ever. That is not clean. What an archive calls itself, and when it was last
published, is in the signed index that apt keeps of it.
"""

from __future__ import annotations

import datetime
import email.utils
import os
import re
import typing as t

from .._core.clock import utc_now
from .._core.durations import format_duration
from .archives import Origin, is_security
from .lists import Lists, Source
from .programs import Apt

_FIELD = re.compile(r"^(Origin|Label|Codename|Suite|Date): (.+)$", re.MULTILINE)
_HEAD_BYTES = 16 * 1024
_INDEX = "InRelease"


def judge(apt: Apt, known: Lists, rules: t.Sequence[t.Mapping[str, str]], max_age: float) -> str:
    """Why security fixes could not be seen; empty when they could. A source that stopped gets its problem.

    :param max_age: how long ago an archive for security fixes may have been published, in seconds; 0 for ever.
    """
    found = [(source, _fields(apt, source)) for source in known.sources]
    security = [(source, fields) for source, fields in found if is_security(_origin(fields), rules)]
    if not security:
        return "no source of packages is an archive for security fixes by security_origins, so none would ever wait"
    for source, fields in security:
        age = _age(fields)
        if max_age and age is not None and age > max_age and not source.problem:
            old, limit = format_duration(age), format_duration(max_age)
            source.problem = (
                f"it was published {old} ago, longer than {limit}: a mirror stands still, or it is not maintained"
            )
    return ""


def _origin(fields: t.Mapping[str, str]) -> Origin:
    names = ("Origin", "Label", "Codename", "Suite")
    return Origin(*(fields.get(name, "") for name in names))


def _fields(apt: Apt, source: Source) -> dict[str, str]:
    for name in (source.file, source.file[: -len(_INDEX)] + "Release"):
        try:
            with open(os.path.join(apt.lists, name), "rb") as file:
                return dict(_FIELD.findall(file.read(_HEAD_BYTES).decode("utf-8", "replace")))
        except OSError:
            continue
    return {}


def _age(fields: t.Mapping[str, str]) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(fields.get("Date", "").replace("UTC", "+0000"))
    except (TypeError, ValueError, IndexError):
        return None
    return (utc_now() - moment.replace(tzinfo=moment.tzinfo or datetime.timezone.utc)).total_seconds()
