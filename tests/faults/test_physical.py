# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is injected into physical backups: damage in the repository, a gap in the archive, kills, a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import stat
import subprocess
import typing as t

import pytest
from support.backups import processes_naming, small_disk
from support.physical import BACKUP, RESTORE, ROWS, STANZA, VERIFY, Physical, query_copy, remove_copy
from support.postgres import PrivatePostgres, wait_for

pytest_plugins = ("support.physical_fixtures",)
pytestmark = pytest.mark.pgbackrest


def flip(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def cut(path: pathlib.Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [flip, cut, os.unlink], ids=["a bit", "cut", "gone"])
def test_a_damaged_file_refutes_the_backup(physical: Physical, damage: t.Callable[[pathlib.Path], None]) -> None:
    label = physical.labels()[-1]
    with physical.preserved():
        damage(physical.file_of(label))
        answer = physical.verify(force=True)
        assert answer["verdict"] == "failed", answer
        assert "did not pass its verification" in answer["summary"]
        assert label in answer["reason"]
        assert "steward-refuted" in physical.notes()
        assert "steward-verified" not in physical.notes()
        coming = physical.back_up(check=True)["planned"]
        assert coming[0]["action"] == "full backup"
        assert "did not pass its verification" in coming[0]["reason"]
        assert answer["pruned"] == []


def test_a_full_backup_after_the_damage_is_good_again(physical: Physical) -> None:
    with physical.preserved():
        flip(physical.file_of(physical.labels()[-1]))
        assert physical.verify(force=True)["failed"]
        made = physical.back_up()
        assert made["backup"].endswith("F"), made
        proved = physical.verify()
        assert not proved["failed"], proved
        # The damaged one is still told, and nothing of it is taken for good.
        assert "backup-repository" in {finding["id"] for finding in proved["findings"]}


def test_a_gap_in_the_archive_is_told(physical: Physical) -> None:
    physical.server.run_sql("CREATE TABLE IF NOT EXISTS passing (id int); INSERT INTO passing VALUES (1)", "shop")
    missing = physical.end_segment()
    physical.server.run_sql("INSERT INTO passing VALUES (2)", "shop")
    physical.end_segment()
    with physical.preserved():
        (segment,) = physical.archived(missing)
        segment.unlink()
        answer = physical.verify(force=True)
        assert answer["verdict"] == "failed", answer
        assert "the recovery ended at" in answer["reason"]
        assert "nothing is between" in answer["reason"]
        assert "archive-gap" in {finding["id"] for finding in answer["findings"]}


def test_a_damaged_segment_is_told(physical: Physical) -> None:
    physical.server.run_sql("CREATE TABLE IF NOT EXISTS passing (id int); INSERT INTO passing VALUES (1)", "shop")
    name = physical.end_segment()
    physical.server.run_sql("INSERT INTO passing VALUES (2)", "shop")
    physical.end_segment()
    with physical.preserved():
        (segment,) = physical.archived(name)
        flip(segment)
        answer = physical.verify(force=True)
        assert answer["verdict"] == "failed", answer
        assert "archive-damaged" in {finding["id"] for finding in answer["findings"]}


def test_a_failing_archiver_is_a_finding(physical: Physical) -> None:
    server = physical.server
    right = server.settings["archive_command"]
    before = physical.labels()
    failures = server.run_sql("SELECT failed_count FROM pg_stat_archiver")[0][0]
    physical.configure(archive_timeout="1")
    server.configure(archive_command=f"false # pgbackrest --stanza={STANZA} archive-push %p")
    server.run_sql("SELECT pg_reload_conf()")
    try:
        server.run_sql("INSERT INTO far VALUES (3); SELECT pg_switch_wal()", "shop")
        wait_for(
            lambda: server.run_sql("SELECT failed_count FROM pg_stat_archiver")[0][0] > failures, "a failed attempt"
        )
        answer = physical.back_up(force=True)
        assert answer["verdict"] == "failed"
        assert "archive-failing" in {finding["id"] for finding in answer["findings"]}
        assert "WAL segment" in answer["reason"]
        assert physical.labels() == before
        verified = physical.verify(force=True)
        # What is in the archive still comes back; that nothing new gets there is told.
        assert not verified["failed"], verified
        assert {"archive-failing", "archive-check"} <= {finding["id"] for finding in verified["findings"]}
    finally:
        physical.configure()
        server.configure(archive_command=right)
        server.run_sql("SELECT pg_reload_conf()")
    server.run_sql("DELETE FROM far WHERE id = 3", "shop")
    physical.end_segment()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("", "archive_command is empty"),
        ("cp %p /nowhere/%f", "archive_command is 'cp %p /nowhere/%f' and does not push to the stanza 'main'"),
    ],
    ids=["empty", "of something else"],
)
def test_a_server_that_does_not_archive_there_gets_no_backup(physical: Physical, setting: str, told: str) -> None:
    server = physical.server
    right = server.settings["archive_command"]
    server.configure(archive_command=setting)
    server.run_sql("SELECT pg_reload_conf()")
    try:
        wait_for(lambda: server.run_sql("SHOW archive_command")[0][0] == setting, "the new setting")
        answer = physical.back_up(force=True)
    finally:
        server.configure(archive_command=right)
        server.run_sql("SELECT pg_reload_conf()")
    assert (answer["verdict"], answer["changed"]) == ("failed", False)
    assert told in answer["reason"]
    assert f"set archive_command = '{right}'" in answer["reason"]
    assert [finding["id"] for finding in answer["findings"]] == ["archive-off"]


def test_another_server_than_the_stanza_s_is_refused(physical: Physical) -> None:
    archive = {"archive_mode": "on", "archive_command": physical.server.settings["archive_command"] + " || true"}
    with PrivatePostgres(settings=archive, own_cluster=True) as stranger:
        answer = physical.back_up(**stranger.login_arguments)
    assert answer["failed"]
    assert "is of another server" in answer["reason"]


def test_an_old_pgbackrest_is_refused(physical: Physical) -> None:
    old = physical.place / "pgbackrest"
    old.write_text("#!/bin/sh\necho 'pgBackRest 2.33'\n")
    old.chmod(old.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    answer = physical.back_up(program=str(old))
    assert answer["failed"]
    assert "is pgBackRest 2.33: 2.41 or newer is needed" in answer["reason"]


def kill_while(physical: Physical, process: subprocess.Popen[bytes], what: str) -> None:
    """Kill a module as soon as a program of its own runs whose command line has these words."""

    def running() -> bool:
        # Another layer of the tests may be at work with pgBackRest beside this one.
        return any(what in line for line in processes_naming(str(physical.config)))

    try:
        wait_for(running, f"{what} to run")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    wait_for(lambda: not running(), "all ended")


def test_a_killed_backup_is_gone_over_by_the_next_run(physical: Physical) -> None:
    before = physical.labels()
    anew = {"full_every": "1s", "diff_every": "", "incr_every": ""}
    kill_while(physical, physical.start(BACKUP, **physical.backup_arguments(**anew)), "pgbackrest backup")
    assert physical.labels() == before
    made = physical.back_up(**anew)
    assert made["verdict"] in ("ok", "findings"), made
    assert len(physical.labels()) == len(before) + 1
    proved = physical.verify(force=True)
    assert not proved["failed"], proved


def test_a_killed_restore_is_made_anew(physical: Physical) -> None:
    place = physical.place / "killed"
    arguments = physical.restore_arguments(directory=str(place))
    kill_while(physical, physical.start(RESTORE, **arguments), "pgbackrest restore")
    assert place.exists()
    answer = physical.restore(directory=str(place))
    assert answer["verdict"] == "ok", answer
    try:
        assert query_copy(answer, "SELECT count(*) FROM goods", account=physical.server.account) == str(ROWS)
    finally:
        remove_copy(answer, physical.server.account)


def test_a_killed_verification_leaves_nothing_after_the_next(physical: Physical) -> None:
    kill_while(physical, physical.start(VERIFY, **physical.verify_arguments(force=True)), "pgbackrest restore")
    left = [path for path in physical.scratch.iterdir() if path.is_dir()]
    assert left, "it was killed too late to leave anything"
    proved = physical.verify(force=True)
    assert not proved["failed"], proved
    assert [path for path in physical.scratch.iterdir() if path.is_dir()] == []
    assert processes_naming(str(physical.scratch)) == []


def test_a_full_disk_is_refused_before_anything_is_written(physical: Physical) -> None:
    small = physical.place / "small"
    with small_disk(small, "8m"):
        verified = physical.verify(force=True, scratch_path=str(small))
        assert verified["verdict"] == "unknown"
        assert f"not enough space in {small}" in verified["reason"]
        assert "steward-refuted" not in physical.notes()
        restored = physical.restore(directory=str(small / "copy"))
        assert restored["verdict"] == "failed"
        assert "not enough space" in restored["reason"]
        assert [path for path in small.iterdir() if path.is_dir()] == []


def test_a_disk_that_fills_meanwhile_proves_nothing(physical: Physical) -> None:
    """It is the fault of this host: the backup is neither proved nor refuted by it."""
    small = physical.place / "filling"
    with small_disk(small, "48m"):
        small.chmod(0o777)
        free = os.statvfs(small)
        assert free.f_bavail * free.f_frsize > physical.backups()[-1]["info"]["size"] * 1.1
        process = physical.start(VERIFY, **physical.verify_arguments(force=True, scratch_path=str(small)))
        wait_for(lambda: list(small.glob("steward-verify-*/data/PG_VERSION")) or process.poll() is not None, "a copy")
        with contextlib.suppress(OSError), (small / "ballast").open("wb", buffering=0) as ballast:
            while process.poll() is None:
                ballast.write(b"\0" * 2**20)
        stdout, _stderr = process.communicate(timeout=120)
    answer = json.loads(stdout)
    assert (answer["verdict"], answer["failed"]) == ("unknown", True), (answer["verdict"], answer["reason"])
    assert "steward-refuted" not in physical.notes()
