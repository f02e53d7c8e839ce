# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is injected into a backup, and what must happen: a reason that names the cause, older backups untouched."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import pytest
from support.backups import AgeKey, backups_of, processes_naming, remount, small_disk
from support.kills import KILLS
from support.postgres import PrivatePostgres, wait_for

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import backup_sets

INCOMPRESSIBLE = """
CREATE TABLE t AS
SELECT encode(decode(string_agg(md5(random()::text), ''), 'hex'), 'base64') AS v
FROM generate_series(1, 12000 * 50) g GROUP BY g % 12000"""


@pytest.fixture(scope="module")
def server():
    with PrivatePostgres() as running:
        for name in ("shop", "crm"):
            running.run_sql(f"CREATE DATABASE {name}")
            running.run_sql(
                "CREATE TABLE t AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 30000) g", name
            )
        yield running


@pytest.fixture
def backups(server):
    with backups_of(server) as place:
        yield place


def assert_sound(backups, count):
    """So many backups carry a final name, and every file of each is as its manifest says."""
    found = backup_sets.read_sets(str(backups.path))
    assert len(found) == len(backups.sets()) == count
    for backup in found:
        assert backup.damage == ""
        assert backup_sets.damaged_files(backup, by_hash=True) == []


def test_wrong_password(backups):
    answer = backups.back_up(login_password="not the one")
    assert answer["verdict"] == "failed"
    assert "password authentication failed for user" in answer["reason"]
    assert "not the one" not in str(answer)
    assert not backups.path.exists()


def test_stopped_server(server, backups):
    with PrivatePostgres(server.bin_dir) as other:
        arguments = other.login_arguments
    answer = backups.back_up(**arguments)
    assert answer["verdict"] == "failed"
    assert "Connection refused" in answer["reason"]


def test_server_that_stops_half_way(server, backups):
    with PrivatePostgres(server.bin_dir) as other:
        other.run_sql("CREATE TABLE t (id int)")
        blocker = other.connect()
        blocker.cursor().execute("BEGIN; LOCK TABLE public.t")
        process = backups.start_backup(**other.login_arguments)
        wait_for(lambda: waiting(other), "the dump waits")
        other.stop("immediate")
        stdout, _stderr = process.communicate(timeout=60)
        other.start()
    assert b'"verdict": "failed"' in stdout
    assert backups.sets() == backups.partials() == []


def waiting(server):
    return server.run_sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


def test_missing_program(backups, tmp_path):
    answer = backups.back_up(bin_dir=str(tmp_path))
    assert answer["verdict"] == "failed"
    assert f"pg_dump of PostgreSQL {backups.server.major} was not found" in answer["reason"]
    assert str(tmp_path) in answer["reason"]
    assert not backups.path.exists()


@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
def test_full_disk(server, backups, tmp_path, encrypted):
    """The tables grow into something that does not compress: no estimate from before can know that."""
    chosen = {"databases": ["big"], "compression": "gzip"}
    if encrypted:
        chosen["recipients"] = [AgeKey(tmp_path).public]
    server.run_sql("CREATE DATABASE big")
    try:
        server.run_sql("CREATE TABLE t AS SELECT repeat('x', 1000) AS v FROM generate_series(1, 12000)", "big")
        with small_disk(backups.path, "8m"):
            assert not backups.back_up(**chosen)["failed"]
            before = backups.tree()
            server.run_sql("DROP TABLE t", "big")
            server.run_sql(INCOMPRESSIBLE, "big")
            answer = backups.back_up(force=True, **chosen)
            assert answer["verdict"] == "failed"
            # The program that wrote is named, not the one that lost its reader.
            assert answer["reason"].startswith("age" if encrypted else "pg_dump")
            assert "no space left on device" in answer["reason"].lower()
            assert not answer["changed"]
            assert backups.partials() == []
            assert backups.tree() == before
            assert_sound(backups, 1)
    finally:
        server.run_sql("DROP DATABASE big")


def test_too_little_space_is_seen_before(backups):
    with small_disk(backups.path, "200k"):
        answer = backups.back_up()
        assert answer["verdict"] == "failed"
        assert f"not enough space in {backups.path}: the backup needs about" in answer["reason"]
        assert backups.sets() == backups.partials() == []


def test_read_only_directory(backups):
    with small_disk(backups.path, "32m"):
        backups.back_up()
        before = backups.tree()
        remount(backups.path, "ro")
        answer = backups.back_up(force=True)
        assert answer["verdict"] == "failed"
        assert "Read-only file system" in answer["reason"]
        assert str(backups.path) in answer["reason"]
        assert backups.tree() == before


def test_database_dropped_half_way(server, backups):
    server.run_sql("CREATE DATABASE doomed")
    server.run_sql("CREATE TABLE t (id int)", "doomed")
    blocker = server.connect("doomed")
    blocker.cursor().execute("BEGIN; LOCK TABLE public.t")
    process = backups.start_backup()
    wait_for(lambda: waiting(server), "the dump waits")
    server.run_sql("DROP DATABASE doomed WITH (FORCE)")
    server.run_sql("CREATE DATABASE newcomer")
    try:
        stdout, _stderr = process.communicate(timeout=60)
        # One that was created meanwhile is in no manifest as dumped, skipped or failed: that is told, and it is due.
        told = [(one["id"], one["subject"]) for one in json.loads(stdout)["findings"]]
        assert ("backup-not-yet-protected", "newcomer") in told
        assert "newcomer" in backups.manifest()["others"]
        assert backups.back_up(check=True)["planned"][0]["reason"] == "database 'newcomer' is in no backup yet"
    finally:
        server.run_sql("DROP DATABASE newcomer")
    assert b'"verdict": "findings"' in stdout, stdout
    manifest = backups.manifest()
    assert manifest["pg_dump_version"].split(".")[0] == str(server.major)
    assert [entry["name"] for entry in manifest["skipped"]] == ["doomed"]
    assert [entry["name"] for entry in manifest["databases"]] == ["crm", "postgres", "shop"]
    assert not any(entry["path"].startswith("doomed") for entry in manifest["files"])
    assert not backups.verify()["failed"]


def test_one_database_that_cannot_be_dumped(server, backups):
    """The others get their backup all the same, and the run is red."""
    blocker = server.connect("crm")
    blocker.cursor().execute("BEGIN; LOCK TABLE public.t")
    try:
        answer = backups.back_up(lock_timeout="1s")
    finally:
        blocker.close()
    assert answer["verdict"] == "failed"
    assert "database 'crm'" in answer["reason"]
    assert answer["coverage"] == {"looked": 2, "of": 3}
    assert_sound(backups, 1)
    assert [entry["name"] for entry in backups.manifest()["failed"]] == ["crm"]
    again = backups.back_up()
    assert again["changed"]
    assert again["planned"][0]["reason"] == "database 'crm' is in no backup yet"


def test_the_password_is_in_no_command_line(server, backups):
    blocker = server.connect("shop")
    blocker.cursor().execute("BEGIN; LOCK TABLE public.t")
    process = backups.start_backup()
    wait_for(lambda: processes_naming(f"{backups.path}/"), "pg_dump runs")
    commands = processes_naming(str(backups.path)) + processes_naming("postgres_backup")
    blocker.close()
    process.communicate(timeout=60)
    assert any("pg_dump" in command for command in commands)
    assert not any(server.password in command for command in commands)
    assert_sound(backups, 1)


def test_two_at_once(backups):
    """The second waits for the first, finds its backup, and makes none."""
    first = backups.start_backup()
    second = backups.start_backup()
    answers = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert sorted(b'"changed": true' in answer for answer in answers) == [False, True]
    assert all(b'"verdict": "ok"' in answer for answer in answers)
    assert_sound(backups, 1)


def test_one_that_takes_too_long_is_named(server, backups):
    """Also by another host, whose directory is another one: the lock of the directory is not what it meets."""
    blocker = server.connect("shop")
    blocker.cursor().execute("BEGIN; LOCK TABLE public.t")
    process = backups.start_backup()
    wait_for(backups.partials, "the first one writes")
    elsewhere = backups.path.with_name("another host's")
    other = backups.start_backup(path=str(elsewhere), login_database="crm")
    answer = backups.back_up()
    told = json.loads(other.communicate(timeout=60)[0])
    assert told["verdict"] == "failed"
    assert f"another run backs up 127.0.0.1:{server.port} at the moment (session " in told["reason"]
    assert list(elsewhere.glob("*Z*")) == []
    assert answer["verdict"] == "failed"
    assert f"(process {process.pid})" in answer["reason"]
    assert len(backups.partials()) == 1
    blocker.close()
    process.communicate(timeout=60)
    assert_sound(backups, 1)


def test_killed_at_any_moment(backups):
    began = time.monotonic()
    backups.back_up()
    length = time.monotonic() - began
    good = backups.tree()
    for number in range(KILLS):
        process = backups.start_backup(force=True)
        time.sleep(random.Random(number).uniform(0.1, length))  # noqa: S311
        process.send_signal(signal.SIGKILL)
        process.communicate()
        now = backups.tree()
        assert {path: now.get(path) for path in good} == good
        assert_sound(backups, len(backups.sets()))
    answer = backups.back_up(force=True)
    assert not answer["failed"], answer
    assert backups.partials() == []
    wait_for(lambda: not processes_naming(str(backups.path)), "all processes of the killed runs end")
    assert not backups.verify()["failed"]


def test_killed_while_the_dump_waits_and_again(server, backups):
    """A moment that is certain: pg_dump and its workers are at work. They die with the run."""
    blocker = server.connect("shop")
    blocker.cursor().execute("BEGIN; LOCK TABLE public.t")
    process = backups.start_backup()
    wait_for(lambda: processes_naming(f"{backups.path}/"), "pg_dump runs")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not processes_naming(f"{backups.path}/"), "pg_dump ends with its run")
    assert backups.sets() == []
    assert len(backups.partials()) == 1
    blocker.close()
    assert backups.back_up()["changed"]
    assert backups.partials() == []
    assert_sound(backups, 1)


def test_a_clock_that_was_wrong_does_not_stop_backups(backups):
    backups.back_up()
    backup = backup_sets.read_sets(str(backups.path))[0]
    body = {name: value for name, value in backup.manifest.items() if name != "digest"}
    backup_sets.write_manifest(backup.path, {**body, "started": "2100-01-01T00:00:00Z"})
    os.rename(backup.path, str(backups.path / "21000101T000000Z"))
    answer = backups.back_up()
    assert answer["changed"]
    assert "a clock was wrong" in answer["planned"][0]["reason"]
    # The one of the future is neither the newest nor young: it is told, and the true newest is proved.
    assert not backups.back_up()["changed"]
    proved = backups.verify()
    assert proved["backup"] == answer["backup"]
    (finding,) = [one for one in proved["findings"] if one["id"] == "backup-in-the-future"]
    assert finding["subject"] == "21000101T000000Z"
    assert proved["pruned"] == []
