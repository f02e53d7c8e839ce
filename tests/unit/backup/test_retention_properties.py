# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever backups there are: the newest proved one stays, and nothing unproved makes another one go."""

from __future__ import annotations

import datetime
import typing as t

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup_sets import BackupSet
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.retention import Policy, judge

NOW = datetime.datetime(2026, 11, 23, 5, 0, tzinfo=datetime.timezone.utc)
DAY = 86400


def make(age_hours: int, state: str, databases: list[str], failed: list[str], major: int, pinned: bool) -> BackupSet:
    started = NOW - datetime.timedelta(hours=age_hours)
    manifest = {
        "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "databases": [{"name": name} for name in databases],
        "failed": [{"name": name} for name in failed],
        "server": {"version_number": major * 10000},
        "files": [],
    }
    name = started.strftime("%Y%m%dT%H%M%SZ")
    if state == "damaged":
        return BackupSet(name, "/b/" + name, damage="gone", is_pinned=pinned)
    proof = {"verified": "x"} if state == "verified" else None
    return BackupSet(name, "/b/" + name, manifest, verified=proof, is_pinned=pinned)


names = st.lists(st.sampled_from(["a", "b", "c"]), unique=True)
states = st.sampled_from(["verified", "verified", "unverified", "damaged"])
backups = st.lists(
    st.builds(make, st.integers(0, 30000), states, names, names, st.sampled_from([15, 17]), st.booleans()),
    unique_by=lambda one: one.name,
).map(lambda sets: sorted(sets, key=lambda one: one.name))
few = st.integers(0, 5)
policies = st.builds(Policy, st.integers(1, 120).map(lambda days: days * DAY), few, few, few, few)


@given(backups, policies)
def test_what_may_go(sets: list[BackupSet], policy: Policy) -> None:
    gone = judge(sets, NOW, policy).expired
    proved = [one for one in sets if one.is_verified]
    if not proved:
        assert gone == ()
        return
    newest = max(proved, key=lambda one: one.started)
    for one in gone:
        assert one.started < newest.started
        assert (NOW - one.started).total_seconds() > policy.seconds
        assert not one.is_pinned
    left = [one for one in sets if one not in gone]
    assert newest in left
    for database in newest.missing_databases:
        if any(database in one.databases for one in proved):
            assert any(database in one.databases for one in left if one.is_verified)
    assert {one.major for one in left if one.is_verified} == {one.major for one in proved}


@given(backups, policies)
def test_each_backup_stays_for_a_reason_or_goes(sets: list[BackupSet], policy: Policy) -> None:
    judgement = judge(sets, NOW, policy)
    kept = [one.backup for one in judgement.kept]
    assert sorted(one.name for one in [*kept, *judgement.expired]) == [one.name for one in sets]
    assert all(one.why for one in judgement.kept)


@given(backups, policies)
def test_unproved_backups_never_count(sets: list[BackupSet], policy: Policy) -> None:
    proved = [one for one in sets if one.is_verified]
    gone = [one for one in judge(sets, NOW, policy).expired if one.is_verified]
    assert gone == list(judge(proved, NOW, policy).expired)


@given(backups, policies)
def test_nothing_more_goes_when_it_is_asked_again(sets: list[BackupSet], policy: Policy) -> None:
    gone = judge(sets, NOW, policy).expired
    left = [one for one in sets if one not in gone]
    assert judge(left, NOW, policy).expired == ()


@given(backups, policies)
def test_periods_keep_the_last_of_each(sets: list[BackupSet], policy: Policy) -> None:
    """Counted in another way than the code does: period by period, not backup by backup."""
    left = {one.backup.name for one in judge(sets, NOW, policy).kept}
    proved = [one for one in sets if one.is_verified]
    periods: tuple[tuple[int, t.Callable[[datetime.datetime], t.Any]], ...] = (
        (policy.daily, lambda moment: moment.strftime("%Y-%m-%d")),
        (policy.weekly, lambda moment: moment.strftime("%G-%V")),
        (policy.monthly, lambda moment: moment.strftime("%Y-%m")),
        (policy.yearly, lambda moment: moment.strftime("%Y")),
    )
    for count, name_of in periods:
        for period in sorted({name_of(one.started) for one in proved}, reverse=True)[:count]:
            assert [one for one in proved if name_of(one.started) == period][-1].name in left
