# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calendar of announced changes."""

from __future__ import annotations

import datetime
import warnings

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.web_pki import (
    CHANGES,
    PUBLIC,
    SCOPES,
    coming,
    findings_of,
)


def test_a_change_is_told_from_90_days_before_until_it_holds() -> None:
    day = datetime.date(2027, 2, 10)
    for before, told in ((91, False), (90, True), (1, True), (0, False), (-1, False)):
        found = coming(day - datetime.timedelta(days=before))
        assert (day in [change.day for change in found]) is told, before
    finding = findings_of(day - datetime.timedelta(days=76), SCOPES)[0]
    assert (finding.id, finding.severity, finding.value) == ("calendar-change", "info", 76)
    assert "from 2027-02-10 on the profile classic lives for 64 days" in finding.message
    assert findings_of(day - datetime.timedelta(days=76), (PUBLIC,)) == []
    assert findings_of(day - datetime.timedelta(days=30), ()) == []


def test_the_table_is_in_order_and_this_run_warns_of_what_comes() -> None:
    assert [change.day for change in CHANGES] == sorted(change.day for change in CHANGES)
    assert {change.scope for change in CHANGES} == set(SCOPES)
    for change in coming(datetime.datetime.now(datetime.timezone.utc).date()):
        warnings.warn(f"from {change.day} on {change.what} ({change.source}): are the docs still right?", stacklevel=1)
