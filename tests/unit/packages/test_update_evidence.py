# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much evidence of a project's updates stays, and which one always does."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.evidence import write_evidence
from ansible_collections.steward.maintenance.plugins.module_utils._packages import keeping

SHOP, BILLING = "/srv/shop", "/srv/billing"
PLAN = "0123456789abcdef"


def updated(directory: pathlib.Path, day: int, outcome: str, project: str = SHOP) -> str:
    place = keeping.place_for(str(directory), project, PLAN, f"2026-11-{day:02d}T03:00:00Z")
    write_evidence(place, {"update.json": {"outcome": outcome}})
    return place


def test_each_project_keeps_its_newest(tmp_path: pathlib.Path) -> None:
    other = updated(tmp_path, 1, keeping.TESTED, BILLING)
    places = [updated(tmp_path, day, keeping.TESTED) for day in range(1, 6)]
    assert keeping.retire(places[-1], SHOP, 2) == []
    assert [os.path.exists(place) for place in places] == [False, False, False, True, True]
    assert os.path.exists(other)


def test_failures_do_not_drive_out_the_last_update_whose_tests_passed(tmp_path: pathlib.Path) -> None:
    older, passed = (updated(tmp_path, day, keeping.TESTED) for day in (1, 2))
    failures = []
    for day in range(3, 9):
        failures.append(updated(tmp_path, day, keeping.FAILED))
        assert keeping.retire(failures[-1], SHOP, 2) == []
    assert (os.path.exists(older), os.path.exists(passed)) == (False, True)
    assert [place for place in failures if os.path.exists(place)] == failures[-2:]
    # As soon as another one passed, it has no more rights than others.
    for day in (9, 10):
        latest = updated(tmp_path, day, keeping.TESTED)
        assert keeping.retire(latest, SHOP, 2) == []
    assert sorted(os.listdir(os.path.dirname(latest))) == [
        "2026-11-09T030000Z-0123456789ab",
        "2026-11-10T030000Z-0123456789ab",
    ]


def test_what_cannot_be_removed_is_told_and_is_no_reason_to_fail(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [updated(tmp_path, day, keeping.TESTED) for day in (1, 2)]

    def refuse(path: str) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    monkeypatch.setattr(shutil, "rmtree", refuse)
    (finding,) = keeping.retire(places[1], SHOP, 1)
    assert (finding.id, finding.severity, finding.subject) == ("evidence-left", "low", SHOP)
    assert finding.message == f"old evidence could not be removed: Operation not permitted: {places[0]}"
    assert all(os.path.exists(place) for place in places)
