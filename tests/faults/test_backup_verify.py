# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a backup or to its verification, and what must be said of it."""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

import pytest
from support.backups import backups_of, fit_manifest_to_files, processes_naming, rewrite, small_disk
from support.kills import KILLS
from support.postgres import PrivatePostgres


@pytest.fixture(scope="module")
def server():
    with PrivatePostgres() as running:
        running.run_sql("CREATE ROLE app")
        running.run_sql("CREATE DATABASE shop OWNER app")
        running.run_sql("CREATE TABLE t AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 3000) g", "shop")
        running.run_sql("CREATE INDEX ON t (v)", "shop")
        yield running


@pytest.fixture
def backups(server):
    with backups_of(server) as place:
        yield place


def test_no_backup_at_all(backups):
    answer = backups.verify()
    assert answer["verdict"] == "failed"
    assert answer["reason"] == f"there is no backup in {backups.path}"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("globals.sql", "flip"),
        ("shop/toc.dat", "truncate"),
        ("shop/toc.dat", "remove"),
        ("manifest.json", "flip"),
        ("manifest.json", "remove"),
    ],
)
def test_a_damaged_file_is_named(backups, name, damage):
    backups.back_up()
    path = backups.sets()[0] / name
    good = path.read_bytes()
    middle = len(good) // 2
    if damage == "flip":
        path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
    elif damage == "truncate":
        path.write_bytes(good[:middle])
    else:
        path.unlink()
    answer = backups.verify()
    assert answer["verdict"] == "failed"
    assert str(path) in answer["reason"]
    assert not (path.parent / "verified.json").exists()
    assert os.listdir(str(backups.scratch)) == []
    # A backup that is known to be bad protects nothing: the next one is due at once.
    assert backups.back_up()["changed"]


def test_a_proof_is_taken_back(backups):
    backups.back_up()
    backups.verify()
    path = backups.sets()[0] / "globals.sql"
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    assert backups.verify()["verdict"] == "failed"
    assert (backups.sets()[0] / "refuted.json").exists()
    assert not (backups.sets()[0] / "verified.json").exists()
    path.write_bytes(good)
    assert not backups.verify()["failed"]
    assert (backups.sets()[0] / "verified.json").exists()
    assert not (backups.sets()[0] / "refuted.json").exists()


def shop(body):
    return next(entry for entry in body["databases"] if entry["name"] == "shop")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda body: shop(body)["stored_tables"][0].update(rows=3001), '"public"."t" has 3000 rows instead of 3001'),
        (
            lambda body: shop(body)["stored_tables"].append({"schema": "public", "name": "u", "rows": 0}),
            '"public"."u" is missing',
        ),
        (lambda body: shop(body)["stored_tables"].clear(), '"public"."t" is not in the manifest'),
        (lambda body: shop(body)["extensions"].update(postgis="3.4"), "lacks extensions after the restore: postgis"),
        (lambda body: shop(body).update(large_objects=2), "there are 0 large objects instead of 2"),
        (lambda body: shop(body).update(connection_limit=3), "connection_limit is -1 instead of 3"),
        (lambda body: body["roles"].append("nobody_made_me"), "roles are missing after the globals were replayed"),
    ],
)
def test_the_restored_copy_is_compared(backups, change, expected):
    backups.back_up(databases=["shop"])
    rewrite(backups, change)
    answer = backups.verify()
    assert answer["verdict"] == "failed"
    assert expected in answer["reason"]
    assert os.listdir(str(backups.scratch)) == []


def test_a_dump_that_cannot_be_restored(backups):
    """The manifest fits the files, so that only the restore can tell."""
    backups.back_up(databases=["shop"], compression="none")
    path = next(path for path in backups.sets()[0].glob("shop/*.dat") if path.name != "toc.dat")
    path.write_bytes(path.read_bytes()[:-1000])
    fit_manifest_to_files(backups)
    answer = backups.verify()
    assert answer["verdict"] == "failed"
    assert "'shop'" in answer["reason"]


def test_a_missing_program_is_unknown_not_failed(server, backups, tmp_path):
    backups.back_up()
    for name in ("pg_restore", "initdb"):
        (tmp_path / name).symlink_to(os.path.join(server.bin_dir, name))
    answer = backups.verify(bin_dir=str(tmp_path))
    assert answer["verdict"] == "unknown"
    assert f"postgres of PostgreSQL {server.major} was not found" in answer["reason"]
    assert not (backups.sets()[0] / "refuted.json").exists()
    assert not backups.verify()["failed"]


def test_no_space_for_the_throwaway_server(backups):
    backups.back_up()
    with small_disk(backups.scratch, "4m"):
        answer = backups.verify()
        assert answer["verdict"] == "unknown"
        assert f"not enough space in {backups.scratch}" in answer["reason"]
        assert os.listdir(str(backups.scratch)) == []


def test_a_scratch_path_that_is_too_long(backups):
    backups.back_up()
    place = backups.scratch / ("x" * 100)
    place.mkdir()
    answer = backups.verify(scratch_path=str(place))
    assert answer["verdict"] == "unknown"
    assert "too long for a Unix socket" in answer["reason"]


def test_killed_at_any_moment(backups):
    backups.back_up()
    began = time.monotonic()
    assert not backups.verify(force=True)["failed"]
    length = time.monotonic() - began
    proof = backups.sets()[0] / "verified.json"
    for number in range(KILLS):
        process = backups.start_verify(force=True)
        time.sleep(random.Random(number).uniform(0.2, length))  # noqa: S311
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert proof.exists()
    answer = backups.verify(force=True)
    assert not answer["failed"], answer
    assert os.listdir(str(backups.scratch)) == []
    assert processes_naming(str(backups.scratch)) == []


def test_what_a_run_was_killed_while_removing_is_removed(backups):
    backups.back_up()
    half_removed = backups.scratch / "steward-verify-half.gone"
    (half_removed / "data").mkdir(parents=True)
    assert not backups.verify()["failed"]
    assert os.listdir(str(backups.scratch)) == []


def test_a_server_that_outlived_its_run_is_ended(server, backups):
    """Where the system cannot end the throwaway server with its run, the next run does, and only that one."""
    backups.back_up()
    place = backups.scratch / "steward-verify-orphan"
    orphan = PrivatePostgres(server.bin_dir, place)
    orphan.create()
    orphan.start()
    (place / "lock").touch()
    bystander = backups.scratch / "somebody's"
    bystander.mkdir()
    try:
        assert not backups.verify()["failed"]
        assert os.listdir(str(backups.scratch)) == ["somebody's"]
        assert processes_naming(str(place)) == []
    finally:
        for line in processes_naming(str(place)):
            raise AssertionError(f"still there: {line}")


def test_one_that_is_in_use_is_left_alone(backups):
    backups.back_up()
    place = backups.scratch / "steward-verify-used"
    place.mkdir()
    holder = subprocess.Popen(["flock", str(place / "lock"), "sleep", "60"])
    try:
        time.sleep(0.5)
        assert not backups.verify()["failed"]
        assert os.listdir(str(backups.scratch)) == ["steward-verify-used"]
    finally:
        holder.kill()
        holder.wait()
        shutil.rmtree(str(place))


# A comparison that turns round when amcheck asks: the index is built well, and found damaged as one of a bad disk is.
FICKLE = """
CREATE FUNCTION fickle(int, int) RETURNS int IMMUTABLE STRICT LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RETURN CASE WHEN current_query() LIKE '%bt_index%' THEN btint4cmp($2, $1) ELSE btint4cmp($1, $2) END;
END$$;
CREATE OPERATOR CLASS fickle_ops FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=,
  OPERATOR 5 >, FUNCTION 1 fickle(int, int);
CREATE TABLE fickle (id int); INSERT INTO fickle SELECT generate_series(1, 100);
CREATE INDEX fickle_index ON fickle (id fickle_ops)"""


def test_an_index_that_is_damaged_in_the_copy_refutes_the_backup(server, backups):
    if not server.has_extension("amcheck"):
        assert not backups.back_up()["failed"]
        assert "backup-no-amcheck" in [finding["id"] for finding in backups.verify()["findings"]]
        return
    server.run_sql("CREATE DATABASE fickle")
    try:
        server.run_sql(FICKLE, "fickle")
        assert not backups.back_up(databases=["fickle"])["failed"]
        answer = backups.verify()
        assert answer["verdict"] == "failed", answer
        expected = (
            'database \'fickle\': index "public"."fickle_index" is not sound after the restore: item order invariant'
        )
        assert expected in answer["reason"]
        assert (backups.sets()[0] / "refuted.json").exists()
        assert os.listdir(str(backups.scratch)) == []
    finally:
        server.run_sql("DROP DATABASE fickle")


def how_polite(pid_file):
    """The nice value and the class at the disk of a server, by what the system says of it."""
    pid = pid_file.read_text().splitlines()[0]
    nice = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])
    told = subprocess.run(["ionice", "-p", pid], check=True, stdout=subprocess.PIPE).stdout.decode()
    return nice, told.strip()


def test_the_throwaway_server_has_no_network(server, backups):
    """What it listens on is one socket in a directory closed to others."""
    server.run_sql(
        "CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 FROM pg_sleep(0.02)'", "shop"
    )
    server.run_sql("CREATE TABLE u (id int); INSERT INTO u SELECT generate_series(1, 200)", "shop")
    server.run_sql("CREATE INDEX ON u (slow(id))", "shop")
    try:
        backups.back_up()
        process = backups.start_verify(nice=7, io_class="idle")
        seen = None
        deadline = time.monotonic() + 30
        while seen is None and time.monotonic() < deadline and process.poll() is None:
            found = [line for line in processes_naming(str(backups.scratch)) if "listen_addresses= " in line]
            sockets = list(backups.scratch.glob("steward-verify-*/.s.PGSQL.*"))
            if found and sockets:
                # It gives way at the processor and at the disk, as far as the system knows it.
                politeness = how_polite(sockets[0].parent / "data" / "postmaster.pid")
                seen = (found[0], sockets[0].parent.stat().st_mode & 0o777, politeness)
            time.sleep(0.01)
        stdout, _stderr = process.communicate(timeout=120)
        assert seen is not None
        assert seen[1] == 0o700
        assert seen[2] == (min(19, os.nice(0) + 7), "idle")
        assert b'"failed": true' not in stdout
    finally:
        server.run_sql("DROP TABLE u; DROP FUNCTION slow(int)", "shop")
