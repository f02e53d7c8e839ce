# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which indexes and kept files go: as of any moment within the retention, the tree stays restorable."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._files.keeping import expired

STAMPS = [f"202611{day:02}T000000Z" for day in range(1, 29)]


def test_the_newest_run_of_before_the_border_stays() -> None:
    runs = ["20261101T000000Z", "20261105T000000Z", "20261110T000000Z"]
    assert expired(runs, runs, "20261107T000000Z") == (("20261101T000000Z",), ("20261101T000000Z", "20261105T000000Z"))


def test_nothing_goes_while_no_run_is_old_enough() -> None:
    assert expired(["20261110T000000Z"], ["20261101T000000Z"], "20261107T000000Z").runs == 0
    assert expired([], ["20261101T000000Z"], "20261107T000000Z").runs == 0


@given(st.lists(st.sampled_from(STAMPS), unique=True), st.lists(st.sampled_from(STAMPS)), st.sampled_from(STAMPS))
def test_every_moment_within_the_retention_can_be_restored(runs: list[str], kept: list[str], border: str) -> None:
    """The tree as of a moment needs the newest index of before it, and all that later runs kept."""
    gone = expired(sorted(runs), sorted(set(kept)), border)
    for moment in (stamp for stamp in STAMPS if stamp >= border):
        needed = max((run for run in runs if run <= moment), default="")
        if needed:
            assert needed not in gone.indexes
            assert not [stamp for stamp in gone.kept if stamp > needed]
    assert not runs or max(runs) not in gone.indexes
