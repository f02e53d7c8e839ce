# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What authorities have announced, by the day from which on it holds.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Nothing in this collection computes with these numbers: renewals go by the share of a lifetime. Some other program of a
site may have a number of days in it, so whoever runs it hears of a change in time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.result import Finding

#: How long before it holds a change is told.
AHEAD = datetime.timedelta(days=90)

#: Whom it concerns: those with certificates of Let's Encrypt, or of any public authority.
LETS_ENCRYPT, PUBLIC = "lets_encrypt", "public"
SCOPES = (LETS_ENCRYPT, PUBLIC)


@dataclasses.dataclass(frozen=True)
class Change:
    """One announced change."""

    day: datetime.date
    scope: str
    what: str
    source: str


_BALLOT = "CA/B Forum ballot SC-081v3"
_POST = "Let's Encrypt, 2025-12-02"

#: In the order of their days.
CHANGES = (
    Change(datetime.date(2026, 2, 11), LETS_ENCRYPT, "no certificate is for TLS clients any more", "Let's Encrypt"),
    Change(datetime.date(2026, 3, 15), PUBLIC, "certificates live for 200 days at most, validations too", _BALLOT),
    Change(datetime.date(2026, 5, 13), LETS_ENCRYPT, "the profile tlsserver lives for 45 days", _POST),
    Change(
        datetime.date(2027, 2, 10), LETS_ENCRYPT, "the profile classic lives for 64 days, validations for 10", _POST
    ),
    Change(datetime.date(2027, 3, 15), PUBLIC, "certificates live for 100 days at most, validations too", _BALLOT),
    Change(
        datetime.date(2028, 2, 16),
        LETS_ENCRYPT,
        "the profile classic lives for 45 days, validations for 7 hours",
        _POST,
    ),
    Change(
        datetime.date(2029, 3, 15), PUBLIC, "certificates live for 47 days at most, validations for 10 days", _BALLOT
    ),
)


def coming(today: datetime.date, scopes: t.Collection[str] = SCOPES) -> list[Change]:
    """What holds from a day of the next 90 on."""
    return [change for change in CHANGES if change.scope in scopes and today < change.day <= today + AHEAD]


def findings_of(today: datetime.date, scopes: t.Collection[str]) -> list[Finding]:
    action = "see that nothing at this site counts on another number of days: monitoring, pinned ages, runbooks"
    return [
        Finding("calendar-change", "info", change.scope, f"from {change.day} on {change.what} ({change.source})",
                value=(change.day - today).days, threshold=AHEAD.days, action=action)
        for change in coming(today, scopes)
    ]  # fmt: skip
