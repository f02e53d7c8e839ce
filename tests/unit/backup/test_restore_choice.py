# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup is restored when one of them was made under a fast clock."""

from __future__ import annotations

import datetime
import pathlib

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import stamp, utc_now, write_time
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import backup_sets
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import PostgresError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_choice import (
    Wanted,
    choose,
    listing,
)


def _make(path: pathlib.Path, seconds: int) -> str:
    """A verified backup that was begun so many seconds from now."""
    moment = utc_now() + datetime.timedelta(seconds=seconds)
    place = path / stamp(moment)
    place.mkdir()
    entry = {"name": "shop", "bytes": 1, "stored_tables": []}
    body = {
        "format": 1,
        "started": write_time(moment),
        "server": {"system_identifier": "1"},
        "databases": [entry],
        "files": [],
    }
    backup_sets.write_manifest(str(place), body)
    found = next(one for one in backup_sets.read_sets(str(path)) if one.name == place.name)
    backup_sets.declare(found, backup_sets.VERIFIED, {"verified": write_time(moment)})
    return place.name


@pytest.mark.parametrize(("ahead", "is_taken"), [(540, True), (660, False)])
def test_the_clocks_of_two_hosts_may_differ_a_little(tmp_path: pathlib.Path, ahead: int, is_taken: bool) -> None:
    past, future = _make(tmp_path, -3600), _make(tmp_path, ahead)
    for at in ("", "2200-01-01T00:00:00Z"):
        chosen = choose(Wanted(str(tmp_path), "shop", at=at))
        assert chosen.backup.name == (future if is_taken else past)
        assert [finding.subject for finding in chosen.findings] == ([] if is_taken else [future])
    states = {one["name"]: one["state"] for one in listing(str(tmp_path))}
    assert states == {past: "verified", future: "verified" if is_taken else "future"}


def test_when_all_are_of_the_future_nothing_is_taken_unless_named(tmp_path: pathlib.Path) -> None:
    names = [_make(tmp_path, 10**6), _make(tmp_path, 10**7)]
    with pytest.raises(PostgresError, match=rf"{names[1]} bears a date in the future"):
        choose(Wanted(str(tmp_path), "shop"))
    assert choose(Wanted(str(tmp_path), "shop", backup=names[0])).backup.name == names[0]
    (first, second) = listing(str(tmp_path))
    assert first["line"].startswith(f"{names[1]}  ")
    assert "in 11 d" in second["line"]


def test_another_database_s_backup_of_the_future_is_not_told(tmp_path: pathlib.Path) -> None:
    past = _make(tmp_path, -60)
    future = _make(tmp_path, 10**6)
    found = backup_sets.read_sets(str(tmp_path))[-1]
    body = {name: value for name, value in found.manifest.items() if name != "digest"}
    body["databases"] = [{**body["databases"][0], "name": "crm"}]
    backup_sets.write_manifest(str(tmp_path / future), body)
    chosen = choose(Wanted(str(tmp_path), "shop"))
    assert (chosen.backup.name, chosen.findings) == (past, ())
