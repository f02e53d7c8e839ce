# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import parse_time
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import backup_sets, durable
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup_plan import due_after, why_due
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup_sets import (
    REFUTED,
    VERIFIED,
    BackupSet,
    damaged_files,
    declare,
    read_sets,
    remove_partials,
    remove_set,
    write_manifest,
)

DAY = 86400
NAME = "20261122T050000Z"
NOW = parse_time("2026-11-22T06:00:00Z")


def make_set(path, name=NAME, databases=("shop",), system="1"):
    directory = path / name
    directory.mkdir()
    (directory / "data").write_bytes(b"rows")
    started = f"{name[:4]}-{name[4:6]}-{name[6:8]}T{name[9:11]}:{name[11:13]}:{name[13:15]}Z"
    write_manifest(
        str(directory),
        {
            "format": 1,
            "started": started,
            "server": {"system_identifier": system},
            "databases": [{"name": database} for database in databases],
            "failed": [],
            "files": [{"path": "data", "bytes": 4, "sha256": durable.sha256_of(str(directory / "data"))}],
        },
    )
    return directory


def only_set(path) -> BackupSet:
    (found,) = read_sets(str(path))
    return found


def test_no_directory_means_no_backups(tmp_path):
    assert read_sets(str(tmp_path / "nowhere")) == []


def test_only_final_names_count(tmp_path):
    make_set(tmp_path)
    (tmp_path / (NAME + ".partial")).mkdir()
    (tmp_path / "lost+found").mkdir()
    assert [one.name for one in read_sets(str(tmp_path))] == [NAME]
    assert only_set(tmp_path).started == parse_time("2026-11-22T05:00:00Z")


def test_a_manifest_that_was_altered_is_found_out(tmp_path):
    directory = make_set(tmp_path)
    text = (directory / "manifest.json").read_bytes()
    undetected = []
    for position in range(len(text)):
        flipped = bytearray(text)
        flipped[position] ^= 1
        (directory / "manifest.json").write_bytes(bytes(flipped))
        found = only_set(tmp_path)
        if not found.damage and found.manifest != json.loads(text.decode()):
            undetected.append(position)
    assert undetected == []


def test_a_missing_manifest_is_damage(tmp_path):
    directory = make_set(tmp_path)
    (directory / "manifest.json").unlink()
    assert "manifest.json cannot be read: No such file" in only_set(tmp_path).damage


def test_a_newer_format_is_not_guessed_at(tmp_path):
    (tmp_path / NAME).mkdir()
    write_manifest(str(tmp_path / NAME), {"format": 99})
    assert "has format 99" in only_set(tmp_path).damage


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda path: path.write_bytes(b"rowz"), "was altered"),
        (lambda path: path.write_bytes(b"row"), "has 3 bytes instead of 4"),
        (lambda path: path.unlink(), "is missing"),
    ],
)
def test_files_are_compared_with_the_manifest(tmp_path, spoil, expected):
    directory = make_set(tmp_path)
    assert damaged_files(only_set(tmp_path), by_hash=True) == []
    spoil(directory / "data")
    (wrong,) = damaged_files(only_set(tmp_path), by_hash=True)
    assert expected in wrong
    assert str(directory / "data") in wrong


def test_a_proof_counts_for_its_own_manifest_only(tmp_path):
    directory = make_set(tmp_path)
    declare(only_set(tmp_path), VERIFIED, {"verified": "now"})
    assert only_set(tmp_path).is_verified
    manifest = dict(only_set(tmp_path).manifest)
    manifest.pop("digest")
    write_manifest(str(directory), {**manifest, "started": "2026-11-22T05:00:01Z"})
    assert not only_set(tmp_path).is_verified


def test_proved_and_refuted_exclude_each_other(tmp_path):
    directory = make_set(tmp_path)
    declare(only_set(tmp_path), VERIFIED, {})
    declare(only_set(tmp_path), REFUTED, {"reason": "rows"})
    assert not only_set(tmp_path).is_verified
    assert only_set(tmp_path).refuted["reason"] == "rows"
    declare(only_set(tmp_path), VERIFIED, {})
    assert only_set(tmp_path).refuted is None
    assert not (directory / REFUTED).exists()


def test_removal_takes_the_final_name_away_first(tmp_path, monkeypatch):
    make_set(tmp_path)
    monkeypatch.setattr(backup_sets, "remove_tree", lambda _path: None)  # as if killed right after the rename
    remove_set(only_set(tmp_path))
    assert read_sets(str(tmp_path)) == []
    monkeypatch.undo()
    assert remove_partials(str(tmp_path)) == [NAME + ".partial"]
    assert os.listdir(str(tmp_path)) == []


def test_partials_of_others_are_left_alone(tmp_path):
    (tmp_path / "download.partial").mkdir()
    assert remove_partials(str(tmp_path)) == []
    assert (tmp_path / "download.partial").exists()


def why(path, wanted=("shop",), system="1", max_age=DAY, now=NOW):
    return why_due(read_sets(str(path)), system, wanted, max_age, now)


def test_a_young_sound_backup_is_enough(tmp_path):
    make_set(tmp_path)
    assert why(tmp_path) == ""


def test_reasons_for_a_backup(tmp_path):
    assert why(tmp_path) == "there is no backup yet"
    directory = make_set(tmp_path)
    assert why(tmp_path, wanted=("shop", "new")) == "database 'new' is in no backup yet"
    assert "of another server" in why(tmp_path, system="2")
    assert "1 d old" in why(tmp_path, now=parse_time("2026-11-23T05:00:00Z"))
    assert "future" in why(tmp_path, now=parse_time("2026-11-22T04:00:00Z"))
    (directory / "data").write_bytes(b"row")
    assert "has 3 bytes instead of 4" in why(tmp_path)
    (directory / "data").write_bytes(b"rows")
    declare(only_set(tmp_path), REFUTED, {"reason": "rows differ"})
    assert "did not pass its verification: rows differ" in why(tmp_path)
    (directory / "manifest.json").unlink()
    assert "is not usable" in why(tmp_path)


def test_databases_may_be_spread_over_backups(tmp_path):
    make_set(tmp_path, "20261122T040000Z", ["shop"])
    make_set(tmp_path, "20261122T050000Z", ["crm"])
    assert why(tmp_path, wanted=("shop", "crm")) == ""


def test_a_daily_job_may_come_a_little_early():
    assert due_after(DAY) == DAY * 0.9
    assert due_after(30 * DAY) == 30 * DAY - 12 * 3600
