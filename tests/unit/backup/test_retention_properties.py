# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever backups there are: the newest proved one stays, and nothing unproved makes another one go."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup_sets import BackupSet
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.retention import expired

NOW = datetime.datetime(2026, 11, 23, 5, 0, tzinfo=datetime.timezone.utc)
DAY = 86400


def make(age_hours: int, verified: bool, databases: list[str], failed: list[str], damaged: bool) -> BackupSet:
    started = NOW - datetime.timedelta(hours=age_hours)
    manifest = {
        "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "databases": [{"name": name} for name in databases],
        "failed": [{"name": name} for name in failed],
        "files": [],
    }
    name = started.strftime("%Y%m%dT%H%M%SZ")
    if damaged:
        return BackupSet(name, "/b/" + name, damage="gone")
    return BackupSet(name, "/b/" + name, manifest, verified={"verified": "x"} if verified else None)


names = st.lists(st.sampled_from(["a", "b", "c"]), unique=True)
backups = st.lists(
    st.builds(make, st.integers(0, 3000), st.booleans(), names, names, st.booleans()), unique_by=lambda one: one.name
).map(lambda sets: sorted(sets, key=lambda one: one.name))


@given(backups, st.integers(1, 120))
def test_what_may_go(sets: list[BackupSet], days: int) -> None:
    gone = expired(sets, NOW, days * DAY)
    proved = [one for one in sets if one.is_verified]
    if not proved:
        assert gone == []
        return
    newest = max(proved, key=lambda one: one.started)
    for one in gone:
        assert one.started < newest.started
        assert (NOW - one.started).total_seconds() > days * DAY
    left = [one for one in sets if one not in gone]
    assert newest in left
    for database in newest.failed_databases:
        if any(database in one.databases for one in proved):
            assert any(database in one.databases for one in left if one.is_verified)


@given(backups, st.integers(1, 120))
def test_unproved_backups_never_count(sets: list[BackupSet], days: int) -> None:
    proved = [one for one in sets if one.is_verified]
    assert [one for one in expired(sets, NOW, days * DAY) if one.is_verified] == expired(proved, NOW, days * DAY)


@given(backups, st.integers(1, 120))
def test_everything_old_behind_a_proved_one_goes(sets: list[BackupSet], days: int) -> None:
    left = [one for one in sets if one not in expired(sets, NOW, days * DAY)]
    assert expired(left, NOW, days * DAY) == []
