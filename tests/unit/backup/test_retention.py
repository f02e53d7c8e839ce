# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads when they ask why a backup stays."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup_sets import BackupSet
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.objectives import missed_objectives
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.retention import Policy, judge

UTC = datetime.timezone.utc
NOW = datetime.datetime(2026, 3, 31, 4, 0, tzinfo=UTC)
DAY = 86400


def backup(name, verified=True, pinned="", is_pinned=False, major=15, databases=("shop",), **manifest):
    started = datetime.datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    body = {
        "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "databases": [{"name": one} for one in databases],
        "server": {"version_number": major * 10000},
        "files": [],
        **manifest,
    }
    proof = {"verified": "x"} if verified else None
    return BackupSet(name, "/b/" + name, body, verified=proof, is_pinned=is_pinned, pinned=pinned)


def daily(days):
    """One backup a day at 02:00 UTC, the last one today."""
    first = NOW.replace(hour=2)
    return [
        backup((first - datetime.timedelta(days=back)).strftime("%Y%m%dT%H%M%SZ")) for back in reversed(range(days))
    ]


def test_grandfather_father_son():
    judgement = judge(daily(800), NOW, Policy(3 * DAY, daily=7, weekly=5, monthly=12, yearly=2))
    reasons = judgement.reasons()
    assert reasons["20260331T020000Z"] == "the newest verified one"
    assert reasons["20260329T020000Z"] == "younger than 3 d"
    assert reasons["20260325T020000Z"] == "the last of its day (7 of 7 daily ones)"
    # Sundays end the ISO weeks. The first of the five weeks is the one that is not over.
    assert reasons["20260322T020000Z"] == "the last of its week (3 of 5 weekly ones)"
    assert reasons["20260308T020000Z"] == "the last of its week (5 of 5 weekly ones)"
    assert reasons["20260228T020000Z"] == "the last of its month (2 of 12 monthly ones)"
    assert reasons["20251231T020000Z"] == "the last of its month (4 of 12 monthly ones)"
    assert reasons["20250430T020000Z"] == "the last of its month (12 of 12 monthly ones)"
    assert "20250331T020000Z" not in reasons
    assert len(judgement.kept) == 7 + 3 + 11  # seven days, Sundays 22, 15 and 8, and the ends of eleven months
    assert len(judgement.kept) + len(judgement.expired) == 800


def test_days_are_those_of_utc():
    """Half past midnight in Paris is still yesterday; a clock that is set back makes no day longer."""
    sets = [
        backup("20260328T233000Z"),
        backup("20260329T003000Z"),
        backup("20260329T233000Z"),
        backup("20260330T000100Z"),
    ]
    reasons = judge(sets, NOW, Policy(1, daily=9)).reasons()
    assert list(reasons) == ["20260328T233000Z", "20260329T233000Z", "20260330T000100Z"]


def test_a_pin_outlasts_everything():
    sets = [
        backup("20240101T000000Z", verified=False, is_pinned=True, pinned="before the migration"),
        backup("20240102T000000Z", is_pinned=True),
        backup("20240103T000000Z"),
        backup("20260331T000000Z"),
    ]
    judgement = judge(sets, NOW, Policy())
    assert judgement.reasons()["20240101T000000Z"] == "pinned: before the migration"
    assert judgement.reasons()["20240102T000000Z"] == "pinned"
    assert [one.name for one in judgement.expired] == ["20240103T000000Z"]


def test_nothing_goes_while_nothing_is_verified():
    sets = [backup("20240101T000000Z", verified=False), backup("20260331T000000Z", verified=False)]
    judgement = judge(sets, NOW, Policy())
    assert judgement.expired == ()
    assert set(judgement.reasons().values()) == {"no backup is verified yet"}


def test_the_last_copy_of_a_database_stays_while_the_database_exists():
    old = backup("20250101T000000Z", databases=("crm", "gone"))
    newer = backup("20250102T000000Z", databases=("gone",))
    failed = backup("20260330T000000Z", failed=[{"name": "crm"}])
    chosen = backup("20260330T000000Z", others=["crm"])
    for newest in (failed, chosen):
        judgement = judge([old, newer, newest], NOW, Policy())
        assert judgement.reasons()[old.name] == "the newest verified copy of database 'crm'"
        assert [one.name for one in judgement.expired] == [newer.name]


def test_one_of_each_major_version_stays():
    sets = [backup("20250101T000000Z"), backup("20250102T000000Z"), backup("20260331T000000Z", major=17)]
    judgement = judge(sets, NOW, Policy())
    assert judgement.reasons()["20250102T000000Z"] == "the newest verified one of PostgreSQL 15"
    assert [one.name for one in judgement.expired] == ["20250101T000000Z"]


def test_one_of_the_future_takes_nobody_s_place():
    """Were it the newest verified one, the true one would be behind it and could go."""
    sets = [backup("20260101T000000Z"), backup("20260102T000000Z", verified=False), backup("21000101T000000Z")]
    judgement = judge(sets, NOW, Policy())
    assert judgement.reasons()["20260101T000000Z"] == "the newest verified one"
    assert judgement.reasons()["20260102T000000Z"] == "newer than the newest verified one"
    assert judgement.reasons()["21000101T000000Z"] == "it bears a date in the future: a clock was wrong"
    assert judge(sets[2:], NOW, Policy()).expired == ()


def test_a_number_below_zero_is_refused():
    with pytest.raises(InputError, match="keep_weekly is -1: give the number of weeks to keep, 0 for none"):
        Policy(weekly=-1)


def test_objectives():
    assert missed_objectives("b", 3600, 86400, 3600, 86400) == []
    late, old = missed_objectives("b", 3601, 2 * 86400, 3600, 86400)
    assert (late.id, late.severity, late.value, late.threshold) == ("backup-rto", "high", 3601, 3600)
    assert late.message == "the restore took 1 h, the recovery time objective is 1 h"
    assert old.message == "the data is 2 d old, the recovery point objective is 1 d"
    assert missed_objectives("b", 10**6, 10**9, 0, 0) == []
    assert [one.id for one in missed_objectives("b", None, 10**9, 1, 1)] == ["backup-rpo"]
