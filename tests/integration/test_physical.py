# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Physical backups of a real server by the real pgBackRest: made when due, proved, restored to a moment."""

from __future__ import annotations

import datetime
import pathlib
import time
import typing as t

import pytest
from support.modules import run_module
from support.physical import ROWS, Physical, physical_server, query_copy, remove_copy
from support.postgres import PrivatePostgres

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now

pytestmark = pytest.mark.pgbackrest


@pytest.fixture(scope="module")
def physical() -> t.Iterator[Physical]:
    """One server for all tests of this file, which go through the life of a repository in their order."""
    with physical_server() as running:
        yield running


def kinds(physical: Physical) -> list[str]:
    return [entry["type"] for entry in physical.backups()]


def test_the_first_backup_is_a_full_one(physical: Physical) -> None:
    foretold = physical.back_up(check=True)
    assert (foretold["verdict"], foretold["changed"]) == ("ok", True)
    assert foretold["planned"][0]["action"] == "full backup"
    assert "the stanza 'main' would be created" in foretold["summary"]
    assert not list(physical.repo.iterdir())
    unproved = physical.verify()
    assert (unproved["verdict"], unproved["failed"]) == ("failed", True)
    assert "there is no backup" in unproved["reason"]
    made = physical.back_up()
    assert (made["verdict"], made["changed"]) == ("ok", True), made
    assert kinds(physical) == ["full"]
    assert made["backup"] == physical.labels()[0]
    assert made["figures"]["backup_bytes"] > made["figures"]["repository_bytes"] > 0
    assert made["figures"]["archive_check_seconds"] > 0
    assert made["diff"]["after"].startswith(f"{made['backup']} full, not verified")


def test_the_age_decides_which_kind_is_due(physical: Physical) -> None:
    again = physical.back_up()
    assert (again["verdict"], again["changed"]) == ("ok", False)
    assert again["planned"] == []
    asked = physical.back_up(force=True)
    assert asked["changed"]
    assert kinds(physical) == ["full", "incr"]
    time.sleep(1)
    for every, kind in (({"diff_every": "1s", "incr_every": "1s"}, "diff"), ({"incr_every": "1s"}, "incr")):
        answer = physical.back_up(**every)
        assert answer["verdict"] == "ok", answer
        assert kinds(physical)[-1] == kind
        time.sleep(1)


def test_a_verification_proves_the_whole_chain(physical: Physical) -> None:
    physical.server.run_sql("CREATE TABLE late AS SELECT generate_series(1, 77) AS id", "shop")
    newest = physical.labels()[-1]
    foretold = physical.verify(check=True)
    assert foretold["planned"][0]["reason"] == "no backup was ever verified"
    assert physical.notes() == {}
    proved = physical.verify(rto="1h", rpo="1h")
    # An archive_timeout of 0 does not keep any objective, and that is told; nothing else is.
    assert {finding["id"] for finding in proved["findings"]} <= {"archive-timeout", "backup-no-amcheck"}, proved
    assert not proved["failed"]
    assert proved["backup"] == newest
    figures = proved["figures"]
    # The rows of goods and far, and those that were written after the last backup: they came from the archive.
    assert (figures["restored_databases"], figures["restored_tables"]) == (3, 3)
    assert figures["restored_rows"] == ROWS + 2 + 77
    assert figures["checked_indexes"] >= 1
    assert 0 < figures["replay_seconds"] < figures["restore_seconds"] < figures["duration_seconds"]
    assert figures["rpo_seconds"] < 60
    assert proved["coverage"] == {"looked": 6, "of": 6}
    assert physical.notes()["steward-verified"].endswith("Z")
    assert [path.name for path in physical.scratch.iterdir() if path.is_dir()] == []
    again = physical.verify()
    assert (again["verdict"], again["changed"]) == ("ok", False)
    assert again["figures"]["restore_seconds"] == figures["restore_seconds"]


def test_missed_objectives_are_findings(physical: Physical) -> None:
    physical.server.run_sql("UPDATE goods SET name = name WHERE id = 1", "shop")
    time.sleep(1.1)
    late = physical.back_up(rpo="1s")
    assert late["verdict"] == "findings"
    assert {finding["id"] for finding in late["findings"]} == {"archive-timeout", "backup-rpo"}
    assert late["figures"]["rpo_seconds"] > 1
    slow = physical.verify(rto="1s", force=True)
    assert ("backup-rto" in {finding["id"] for finding in slow["findings"]}) == (slow["figures"]["restore_seconds"] > 1)


def test_a_moment_comes_back_beside_the_live_server(physical: Physical) -> None:
    account = physical.server.account
    place = physical.place / "before"
    physical.server.run_sql("CREATE TABLE marks (id int); INSERT INTO marks VALUES (1)", "shop")
    moment = physical.now()
    time.sleep(0.1)
    physical.server.run_sql("INSERT INTO marks VALUES (2)", "shop")
    physical.end_segment()
    asked: dict[str, t.Any] = {"directory": str(place), "target_type": "time", "target": moment}
    foretold = physical.restore(check=True, **asked)
    assert foretold["changed"]
    assert not place.exists()
    answer = physical.restore(**asked)
    assert (answer["verdict"], answer["changed"]) == ("ok", True), answer
    assert answer["backup"] == physical.labels()[-1]
    try:
        assert query_copy(answer, "SELECT count(*) FROM marks", account=account) == "1"
        assert query_copy(answer, "SELECT count(*) FROM far", account=account) == "2"
        assert query_copy(answer, "SHOW archive_mode", account=account) == "off"
        assert query_copy(answer, "SHOW listen_addresses", account=account) == ""
        assert query_copy(answer, "SELECT pg_is_in_recovery()", account=account) == "f"
        assert physical.server.run_sql("SELECT count(*) FROM marks", "shop") == [(2,)]
        assert place.stat().st_mode & 0o077 == 0
        again = physical.restore(**asked)
        assert (again["verdict"], again["changed"]) == ("ok", False)
        other = physical.restore(**{**asked, "target": physical.now()})
        assert other["failed"]
        assert "holds another restore" in other["reason"]
        assert query_copy(answer, "SELECT count(*) FROM marks", account=account) == "1"
    finally:
        remove_copy(answer, account)


@pytest.mark.parametrize("kind", ["name", "xid", "immediate"])
def test_other_targets(physical: Physical, kind: str) -> None:
    """Each but the end of the backup, which is before the table, ends before the second row."""
    place = physical.place / kind
    server = physical.server
    label = physical.labels()[-1]
    server.run_sql("DROP TABLE IF EXISTS targets", "shop")
    server.run_sql("CREATE TABLE targets (id int)", "shop")
    conn = server.connect("shop")
    with conn.cursor() as cursor:
        cursor.execute("INSERT INTO targets VALUES (1) RETURNING pg_current_xact_id()::text")
        xid = cursor.fetchone()[0]
    conn.close()
    server.run_sql("SELECT pg_create_restore_point(%s)", parameters=(f"before {kind}",))
    server.run_sql("INSERT INTO targets VALUES (2)", "shop")
    physical.end_segment()
    values = {"name": f"before {kind}", "xid": xid}
    answer = physical.restore(
        directory=str(place), target_type=kind, target=values.get(kind, ""), backup=label, started=(kind != "name")
    )
    assert answer["verdict"] == "ok", answer
    if kind == "name":
        assert not list(place.glob(".s.PGSQL.*"))
        assert physical.restore(
            directory=str(place), target_type=kind, target=values[kind], backup=label, started=True
        )["changed"]
    try:
        sql = "SELECT count(*) FROM pg_class WHERE relname = 'targets'"
        if kind != "immediate":
            sql = "SELECT count(*) FROM targets"
        expected = {"immediate": "0"}.get(kind, "1")
        assert query_copy(answer, sql, account=server.account) == expected
    finally:
        remove_copy(answer, server.account)


def test_a_target_that_is_not_reached_leaves_nothing(physical: Physical) -> None:
    place = physical.place / "nowhere"
    tomorrow = (utc_now() + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for asked, told in (
        ({"target_type": "time", "target": "2000-01-01T00:00:00Z"}, "unable to find backup set"),
        ({"target_type": "time", "target": tomorrow}, f"the archive ends before time {tomorrow}"),
        ({"backup": "20000101-000000F"}, "there is no backup '20000101-000000F'"),
    ):
        answer = physical.restore(directory=str(place), **asked)
        assert (answer["verdict"], answer["changed"]) == ("failed", False), answer
        assert told in answer["reason"]
        assert not place.exists()


def test_old_backups_go_after_a_proof_and_only_then(physical: Physical) -> None:
    first = physical.labels()[0]
    physical.back_up(full_every="1s", diff_every="", incr_every="")
    assert kinds(physical)[-1] == "full"
    second = physical.labels()[-1]
    for label in physical.labels():
        # With time as retention, the newest full backup that is older than that stays, for the moments after it.
        physical.make_older(label, 40 if label.startswith(first) else 35)
    assert second in physical.labels()
    answer = physical.back_up(full_every="1s", diff_every="", incr_every="")
    third = answer["backup"]
    assert first in physical.labels(), "a backup alone removes nothing"
    proved = physical.verify(force=True, retention="30d")
    assert not proved["failed"], proved
    assert first in proved["pruned"]
    assert physical.labels() == [second, third]
    assert all(label.startswith(first) for label in proved["pruned"])
    assert proved["figures"]["kept_backups"] == 2


def test_a_standby_is_skipped(physical: Physical) -> None:
    with PrivatePostgres() as primary:
        standby = primary.make_standby()
        try:
            answer = physical.back_up(**standby.login_arguments)
        finally:
            standby.close()
    assert (answer["verdict"], answer["changed"]) == ("skipped", False)


def test_a_verification_needs_no_live_server(physical: Physical) -> None:
    physical.server.stop()
    try:
        proved = physical.verify(force=True)
        assert not proved["failed"], proved
        assert proved["figures"]["rpo_seconds"] > 0
    finally:
        physical.server.start()


def test_wrong_input_gets_one_error(physical: Physical, tmp_path: pathlib.Path) -> None:
    full = physical.place / "occupied"
    physical.server._own(full)
    (full / "precious").write_text("work of a week")
    nothing = str(physical.place / "nothing")
    restore, backup = physical.restore_arguments, physical.backup_arguments
    for module, arguments, told in (
        ("backup", backup(config=f"{tmp_path}/none.conf"), "there is no such file"),
        ("backup", backup(stanza="a b"), "stanza is 'a b'"),
        ("backup", backup(stanza="other"), "does not push to the stanza 'other'"),
        ("backup", backup(full_every="1d", diff_every="2d"), "diff_every is longer than full_every"),
        ("backup", backup(full_every="soon"), "full_every: duration 'soon' cannot be read"),
        ("backup", backup(repo=2), "repo"),
        ("backup", backup(program="/nonexistent/pgbackrest"), "install the package pgbackrest"),
        ("verify", physical.verify_arguments(stanza="other"), "there is no backup of the stanza 'other'"),
        ("restore", restore(directory=str(full)), "it is not empty (precious)"),
        ("restore", restore(directory=str(physical.server.data)), "it is not empty"),
        ("restore", restore(directory=str(physical.server.data / "base" / "x")), "it lies in the data directory"),
        ("restore", restore(directory=nothing, target_type="time", target="yesterday"), "write it in UTC like"),
        ("restore", restore(directory=nothing, target="5"), "target_type latest takes none"),
    ):
        answer = run_module(f"postgres_physical_{module}", arguments)
        assert answer["failed"], (told, answer)
        assert told in answer["msg"], answer["msg"]
        assert not answer.get("changed")
    assert (full / "precious").read_text() == "work of a week"
    assert not pathlib.Path(nothing).exists()
