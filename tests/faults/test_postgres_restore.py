# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is injected into a restore, and what must happen: a reason that names the cause, and production as it was.

Injected: bytes changed and cut off in every file of the backup, a wrong password, missing roles, extensions,
tablespaces and programs, a disk too small, a dump of a newer major version, prepared transactions, a dump that cannot
be restored, an application that cannot be seen, does not stop, does not start, is ill, or never answers.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
import signal
import tempfile
import time
import typing as t

import pytest
from support.backups import Backups, processes_naming, small_disk
from support.postgres import wait_for
from support.restores import LIVE_ROWS, SAVED_ROWS, Restores

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import backup_sets, durable

pytest_plugins = ("support.restores_fixtures",)


@pytest.fixture
def copied(saved: Backups, restores: Restores) -> pathlib.Path:
    """A copy of the proved backup that may be spoiled, as the only one in its directory."""
    directory = restores.place / "spoiled"
    shutil.copytree(saved.sets()[0], directory / saved.sets()[0].name)
    return directory / saved.sets()[0].name


def rewrite(backup: pathlib.Path, change: t.Callable[[dict[str, t.Any]], None]) -> None:
    """A manifest that is consistent in itself and says something else; verified as before."""
    found = backup_sets.read_sets(str(backup.parent))[0]
    body = json.loads(json.dumps({name: value for name, value in found.manifest.items() if name != "digest"}))
    change(body)
    for entry in body["files"]:
        path = backup / entry["path"]
        entry.update(bytes=path.stat().st_size, sha256=durable.sha256_of(str(path)))
    backup_sets.write_manifest(str(backup), body)
    changed = backup_sets.read_sets(str(backup.parent))[0]
    backup_sets.declare(changed, backup_sets.VERIFIED, dict(found.verified or {}))


def shop(body: dict[str, t.Any]) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", body["databases"][0])


def test_a_flipped_bit_and_a_cut_in_every_file_are_found_before_anything_is_touched(
    restores: Restores, copied: pathlib.Path
) -> None:
    files = [path for path in sorted(copied.rglob("*")) if path.is_file() and path.name != "verified.json"]
    assert len(files) > 6
    state = {"path": str(copied.parent)}
    for path in files:
        good = path.read_bytes()
        middle = len(good) // 2
        for bad in (good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :], good[:middle]):
            path.write_bytes(bad)
            answer = restores.restore(check=len(bad) == len(good), **state)
            assert answer["verdict"] == "failed", path
            assert str(path) in answer["reason"]
            assert not answer["changed"]
        path.write_bytes(good)
    restores.assert_untouched()
    assert not restores.application.told()
    assert restores.journals() == ""


def test_a_damaged_backup_is_never_taken_and_a_refuted_one_only_when_that_is_said(
    restores: Restores, copied: pathlib.Path
) -> None:
    found = backup_sets.read_sets(str(copied.parent))[0]
    backup_sets.declare(found, backup_sets.REFUTED, {"reason": "rows differ"})
    answer = restores.restore(check=True, path=str(copied.parent))
    assert "did not pass its verification (rows differ); allow_refuted=true" in answer["reason"]
    assert not restores.restore(check=True, path=str(copied.parent), allow_refuted=True)["failed"]
    globals_file = copied / "globals.sql"
    globals_file.write_bytes(globals_file.read_bytes()[:-1])
    everything = {"allow_refuted": True, "allow_unverified": True, "backup": copied.name}
    answer = restores.restore(path=str(copied.parent), **everything)
    assert answer["verdict"] == "failed"
    assert f"backup {copied.name} is damaged" in answer["reason"]
    restores.assert_untouched()


def test_on_a_standby_nothing_is_restored_and_nothing_dropped(restores: Restores) -> None:
    with contextlib.closing(restores.server.make_standby()) as standby:
        elsewhere = standby.login_arguments
        answers = [
            restores.restore(**elsewhere),
            restores.restore(check=True, **elsewhere),
            restores.roll_back(**elsewhere),
            restores.tables("orders", **elsewhere),
        ]
        retired = restores.retire(**elsewhere)

    for answer in answers:
        assert (answer["verdict"], answer["changed"]) == ("failed", False)
        assert "is a standby: this is done on its primary" in answer["reason"]
    assert (retired["verdict"], retired["failed"], retired["changed"]) == ("skipped", False, False)
    restores.assert_untouched()


def test_a_wrong_password(restores: Restores) -> None:
    answer = restores.restore(login_password="not the one")
    assert answer["verdict"] == "failed"
    assert "password authentication failed" in answer["reason"]
    assert "not the one" not in json.dumps(answer)
    restores.assert_untouched()


def _newer(body: dict[str, t.Any]) -> None:
    body["server"]["version_number"] = 990001


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda body: shop(body)["extensions"].update(nowhere="1.0"),
            "extensions are not installed on the server's host",
        ),
        (
            lambda body: shop(body)["settings"].append(["ghost", "work_mem=1MB"]),
            "roles are missing on the server: ghost",
        ),
        (lambda body: shop(body).update(owner="phantom"), "roles are missing on the server: phantom"),
        (_newer, "a dump can only be restored into the same or a newer major version"),
    ],
)
def test_what_the_server_lacks_is_told_before_anything_is_touched(
    restores: Restores, copied: pathlib.Path, change: t.Callable[[dict[str, t.Any]], None], told: str
) -> None:
    rewrite(copied, change)
    answer = restores.restore(path=str(copied.parent))
    assert answer["verdict"] == "failed"
    assert told in answer["reason"]
    assert answer["summary"].endswith("the database in use was not touched")
    restores.assert_untouched()
    assert restores.journals() == ""


def test_all_that_is_missing_is_told_at_once(restores: Restores, copied: pathlib.Path) -> None:
    def change(body: dict[str, t.Any]) -> None:
        shop(body)["extensions"].update(nowhere="1.0")
        shop(body)["acl"] = ['"odd ""one"""=c/app']

    rewrite(copied, change)
    answer = restores.restore(path=str(copied.parent))
    assert "extensions are not installed" in answer["reason"]
    assert 'roles are missing on the server: odd "one"' in answer["reason"]


def test_a_tablespace_that_is_missing_or_too_small(saved: Backups, restores: Restores) -> None:
    server = restores.server
    disk = pathlib.Path(tempfile.mkdtemp(prefix="steward-ts-"))
    with small_disk(disk, "24m"):
        disk.chmod(0o711)
        place = disk / "here"
        server._own(place)
        server.run_sql(f"CREATE TABLESPACE small LOCATION '{place}'")
        try:
            server.run_sql("CREATE TABLE apart (id int) TABLESPACE small; INSERT INTO apart VALUES (1)", "shop")
            made = saved.back_up(databases=["shop"], force=True, jobs=1)
            assert not made["failed"], made
            backup = {"backup": made["backup"].rpartition("/")[2], "allow_unverified": True}
            server.run_sql("DROP TABLE apart", "shop")
            # The live database is there now, and there is no room for a second one.
            server.run_sql("ALTER DATABASE shop SET TABLESPACE small")
            (place / "ballast").write_bytes(b"x" * 9_000_000)
            full = restores.restore(**backup)
            assert full["verdict"] == "failed"
            assert f"not enough space in {place}" in full["reason"]
            restores.assert_untouched()
            server.run_sql("ALTER DATABASE shop SET TABLESPACE pg_default")
        finally:
            server.run_sql("ALTER DATABASE shop SET TABLESPACE pg_default")
            server.run_sql("DROP TABLESPACE small")
    lacking = restores.restore(**backup)
    assert lacking["verdict"] == "failed"
    assert "tablespaces are missing on the server: small; create them, or let ignore_tablespaces" in lacking["reason"]
    restores.assert_untouched()
    answer = restores.restore(**backup, ignore_tablespaces=True)
    assert answer["verdict"] == "ok", answer
    assert server.run_sql("SELECT count(*) FROM apart", "shop") == [(1,)]


def test_a_prepared_transaction_is_named(restores: Restores) -> None:
    conn = restores.server.connect("shop")
    conn.cursor().execute("BEGIN; INSERT INTO orders VALUES (99); PREPARE TRANSACTION 'half done'")
    conn.close()
    answer = restores.restore()
    assert answer["verdict"] == "failed"
    assert "has prepared transactions (half done)" in answer["reason"]
    restores.server.run_sql("ROLLBACK PREPARED 'half done'", "shop")
    restores.assert_untouched()


def test_missing_programs(restores: Restores, tmp_path: pathlib.Path) -> None:
    answer = restores.restore(bin_dir=str(tmp_path))
    assert answer["verdict"] == "failed"
    assert f"pg_restore of PostgreSQL {restores.server.major} was not found" in answer["reason"]
    restores.assert_untouched()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda body: shop(body)["stored_tables"][0].update(rows=7), "rows instead of 7"),
        (lambda body: shop(body).update(large_objects=5), "large objects instead of 5"),
    ],
)
def test_a_copy_that_is_not_what_the_manifest_says_is_not_taken_into_use(
    restores: Restores, copied: pathlib.Path, change: t.Callable[[dict[str, t.Any]], None], told: str
) -> None:
    restores.application.start()
    rewrite(copied, change)
    answer = restores.restore(path=str(copied.parent), **restores.application.arguments)
    assert answer["verdict"] == "failed"
    assert "step 'prove the copy' failed" in answer["reason"]
    assert told in answer["reason"]
    assert answer["summary"].endswith("all is as it was before")
    restores.assert_untouched()
    assert restores.application.told() == ["start"]


def test_a_dump_that_cannot_be_restored(restores: Restores, copied: pathlib.Path) -> None:
    """The manifest fits the files, so that only the restore can tell; what it made goes away."""
    data = max(copied.glob("shop/*.dat*"), key=lambda path: (path.name != "toc.dat", path.stat().st_size))
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    rewrite(copied, lambda _body: None)
    answer = restores.restore(path=str(copied.parent))
    assert answer["verdict"] == "failed"
    # A cut zstd file passes pg_restore without a word, and has no rows then: the proof finds it.
    told = ("pg_restore ended with status 1", "zstd ended with status 1")
    found = [f"step 'restore beside' failed: {words}" for words in told] + ["step 'prove the copy' failed"]
    assert any(words in answer["reason"] for words in found), answer["reason"]
    restores.assert_untouched()


def test_an_application_that_does_not_stop(restores: Restores) -> None:
    restores.application.behave("stubborn")
    restores.application.start()
    answer = restores.restore(**{**restores.application.arguments, "stop_timeout": "1s"})
    assert answer["verdict"] == "failed"
    assert "step 'stop the application' failed" in answer["reason"]
    assert "still runs 1 s after it was told to stop" in answer["reason"]
    assert answer["summary"].endswith("all is as it was before")
    assert not answer["changed"]
    restores.assert_untouched()
    assert restores.application.runs()


@pytest.mark.parametrize(("mode", "told"), [("ill", "answered 500 instead of 200"), ("mute", "did not answer within")])
def test_an_application_that_is_not_well_afterwards(restores: Restores, mode: str, told: str) -> None:
    """It works on the old database again, and the restored copy is gone."""
    application = restores.application
    application.start()
    application.behave(mode)
    before = restores.properties()
    answer = restores.restore(**{**application.arguments, "health_timeout": "1s"})
    assert answer["verdict"] == "failed"
    assert 'step "check the application\'s health" failed' in answer["reason"]
    assert told in answer["reason"]
    assert "all was undone" in answer["reason"]
    restores.assert_untouched()
    assert restores.properties() == before
    assert application.told() == ["start", "stop", "start", "stop", "start"]
    assert application.runs()
    application.behave("well")
    assert not restores.restore(**application.arguments)["failed"]
    assert restores.rows() == SAVED_ROWS


def test_an_application_that_does_not_start_keeps_the_way_back_open(restores: Restores) -> None:
    """It does not start on the old database either: all else is taken back, and the next run goes on from there."""
    application = restores.application
    application.start()
    broken = {**application.arguments, "start_commands": [["false"]]}
    answer = restores.restore(**broken)
    assert answer["verdict"] == "failed"
    assert "step 'stop the application' cannot be undone" in answer["reason"]
    assert "it is not finished" in answer["summary"]
    assert restores.rows() == LIVE_ROWS
    assert not application.runs()
    mended = restores.restore(**application.arguments)
    assert mended["verdict"] == "failed"
    assert "what it did was taken back" in mended["reason"]
    restores.assert_untouched()
    assert application.runs()


def test_an_application_that_cannot_be_seen(restores: Restores) -> None:
    for command, told in (
        (["sh", "-c", "echo who knows; exit 7"], "ended with status 7"),
        (["./nowhere"], "cannot run"),
    ):
        answer = restores.restore(**{**restores.application.arguments, "running_command": command})
        assert answer["verdict"] == "failed"
        assert told in answer["reason"]
    restores.assert_untouched()
    assert restores.journals() == ""


def test_a_rollback_that_fails_is_taken_back(restores: Restores) -> None:
    application = restores.application
    application.start()
    assert not restores.restore(**application.arguments)["failed"]
    application.behave("ill")
    answer = restores.roll_back(**{**application.arguments, "health_timeout": "1s"})
    assert answer["verdict"] == "failed"
    assert "answered 500" in answer["reason"]
    assert restores.rows() == SAVED_ROWS
    assert application.runs()
    application.behave("well")
    assert not restores.roll_back(**application.arguments)["failed"]
    assert restores.rows() == LIVE_ROWS


def test_two_at_once(restores: Restores) -> None:
    """The second is told who the first is, and touches nothing."""
    blocker = restores.server.connect("template1")
    blocker.cursor().execute("BEGIN; LOCK TABLE pg_catalog.pg_database IN SHARE MODE")
    first = restores.start_restore()
    try:
        wait_for(lambda: "restore beside" in restores.journals(), "the first is at work")
        second = restores.restore()
        assert second["verdict"] == "failed"
        assert f"is being changed by process {first.pid}" in second["reason"]
        elsewhere = restores.restore(state_dir=str(restores.place / "elsewhere"))  # another host, the same server
        assert elsewhere["verdict"] == "failed"
        assert "another run restores 'shop' on this server" in elsewhere["reason"]
    finally:
        blocker.close()
        stdout, _stderr = first.communicate(timeout=60)
    assert json.loads(stdout)["verdict"] == "ok"
    assert restores.rows() == SAVED_ROWS


def test_no_password_and_no_program_is_left_when_it_is_killed(restores: Restores) -> None:
    blocker = restores.server.connect("template1")
    blocker.cursor().execute("BEGIN; LOCK TABLE pg_catalog.pg_database IN SHARE MODE")
    process = restores.start_restore()
    wait_for(lambda: "restore beside" in restores.journals(), "it is at work")
    lines = processes_naming("postgres_restore") + processes_naming("shop_restore_")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    blocker.close()
    assert lines
    assert not any(restores.server.password in line for line in lines)
    assert restores.server.password not in restores.journals()
    wait_for(lambda: not processes_naming(restores.server.bin_dir + "/pg_restore"), "its programs are gone")
    began = time.monotonic()
    assert restores.restore()["verdict"] == "ok"
    assert time.monotonic() - began < 60
    assert restores.rows() == SAVED_ROWS
