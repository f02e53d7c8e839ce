# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database restored beside the one in use and exchanged for it, and the way back, on a real server."""

from __future__ import annotations

import contextlib
import datetime
import json
import shutil
import threading
import typing as t

import pytest
from support.backups import Backups, make_old, rewrite
from support.modules import run_module
from support.postgres import PrivatePostgres, wait_for
from support.restores import LIVE_ROWS, SAVED_ROWS, Restores, reset

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import stamp, utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_naming import old_name, side_name

pytest_plugins = ("support.restores_fixtures",)


def test_the_whole_way_and_back(restores: Restores) -> None:
    application = restores.application
    application.start()
    before = restores.properties()
    answer = restores.restore(**application.arguments)
    assert answer["verdict"] == "ok", answer
    assert answer["changed"]
    assert restores.rows() == SAVED_ROWS
    assert restores.properties() == before
    assert restores.databases() == [("shop", True), (answer["kept"], False)]
    assert application.told() == ["start", "stop", "start"]
    assert application.runs()
    figures = answer["figures"]
    assert figures["restored_tables"] == 4
    assert figures["restored_rows"] == SAVED_ROWS + 1 + 2 + 2
    assert 0 < figures["swap_seconds"] < figures["stopped_seconds"] < figures["duration_seconds"]
    assert figures["restore_seconds"] > 0
    assert figures["rpo_seconds"] > 0
    assert [one["action"] for one in answer["planned"]] == ["restore", "stop", "rename", "rename", "start", "check"]

    planned = restores.roll_back(check=True, **application.arguments)
    assert planned["changed"]
    assert planned["planned"][0]["subject"] == f"{answer['kept']} -> shop"
    assert restores.rows() == SAVED_ROWS
    back = restores.roll_back(**application.arguments)
    assert back["verdict"] == "findings", back
    assert [finding["id"] for finding in back["findings"]] == ["restore-written-since"]
    assert restores.rows() == LIVE_ROWS
    assert restores.properties() == before
    assert restores.databases() == [("shop", True), (back["kept"], False)]
    assert back["figures"]["stopped_seconds"] > 0
    assert application.runs()

    again = restores.roll_back(**application.arguments)
    assert (again["verdict"], again["changed"]) == ("ok", False), again
    assert not restores.roll_back(check=True)["changed"]
    assert restores.rows() == LIVE_ROWS
    forth = restores.roll_back(**application.arguments, kept=back["kept"])  # the restored one was kept, too
    assert not forth["failed"], forth
    assert restores.rows() == SAVED_ROWS
    assert restores.properties() == before


def test_check_mode_touches_nothing(restores: Restores) -> None:
    restores.application.start()
    answer = restores.restore(check=True, **restores.application.arguments)
    assert answer["verdict"] == "ok", answer
    assert answer["changed"]
    assert "would be restored from backup" in answer["summary"]
    assert "rename shop -> shop_old_" in answer["diff"]["after"]
    assert "stop what" in answer["diff"]["after"]
    assert answer["planned"][0]["estimate"]["rows"] == SAVED_ROWS + 5
    assert answer["planned"][0]["estimate"]["seconds"] > 0
    restores.assert_untouched()
    assert not restores.state.exists()
    assert restores.application.told() == ["start"]


def test_a_database_that_is_not_there(restores: Restores) -> None:
    restores.server.run_sql("DROP DATABASE shop")
    answer = restores.restore()
    assert answer["verdict"] == "ok", answer
    assert answer["kept"] == ""
    assert restores.databases() == [("shop", True)]
    owner, limit, comment, _grants, settings = restores.properties()
    assert (owner, limit, comment) == ("app", 7, "the saved shop")
    assert settings == ["(-,{work_mem=6MB})"]
    assert restores.rows() == SAVED_ROWS
    nothing = restores.roll_back()
    assert nothing["verdict"] == "failed"
    assert "there is nothing to go back to" in nothing["reason"]


def test_a_name_that_is_taken_is_waited_out_by_the_way_back(restores: Restores) -> None:
    """A restore and its rollback within one second would put both databases aside under the same name."""
    restored = restores.restore()
    assert restored["verdict"] == "ok", restored
    now = utc_now()
    taken = [f"shop_old_{stamp(now + datetime.timedelta(seconds=ahead))}" for ahead in range(3)]
    for name in taken:
        if name != restored["kept"]:
            restores.server.run_sql(f'CREATE DATABASE "{name}"')
    back = restores.roll_back()
    assert not back["failed"], back["reason"]
    assert back["kept"] > taken[-1]
    assert restores.rows() == LIVE_ROWS


def test_clients_that_connect_again_and_again(restores: Restores) -> None:
    """Whoever does not know that the application is stopped is put out, and finds the restored database afterwards."""
    over, seen, refused = threading.Event(), [], []

    def insist() -> None:
        while not over.is_set():
            try:
                seen.append(restores.rows())
            except Exception as exc:  # noqa: BLE001 - a client is told all kinds of things
                refused.append(str(exc))

    sleeper = restores.server.connect("shop")
    sleeper.cursor().execute("BEGIN; SELECT * FROM orders")
    clients = [threading.Thread(target=insist) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        wait_for(lambda: len(seen) > 3, "clients are at work")
        answer = restores.restore()
        assert answer["verdict"] == "ok", answer
        wait_for(lambda: seen[-1] == SAVED_ROWS, "clients see the restored database")
    finally:
        over.set()
        for client in clients:
            client.join()
        sleeper.close()
    assert set(seen) == {LIVE_ROWS, SAVED_ROWS}
    assert seen == sorted(seen)
    assert answer["figures"]["swap_seconds"] < 2


def test_a_name_of_63_bytes_in_two_alphabets(saved: Backups, restores: Restores) -> None:
    name = "ü" * 31 + "x"
    server = restores.server
    server.run_sql(f'CREATE DATABASE "{name}" OWNER app')
    server.run_sql("CREATE TABLE orders AS SELECT 1 AS id", name)
    made = saved.back_up(databases=[name], force=True, jobs=1)
    assert not made["failed"], made
    choice = {"database": name, "backup": made["backup"].rpartition("/")[2], "allow_unverified": True}
    answer = run_module("postgres_restore", {**restores.arguments(**restores.choice), **choice})
    assert answer["verdict"] == "ok", answer
    kept = [(other, allows) for other, allows in restores.databases() if other != "shop"]
    assert kept == sorted([(name, True), (answer["kept"], False)])
    assert len(answer["kept"].encode()) <= 63
    back = run_module("postgres_restore_rollback", {**restores.arguments(), "database": name})
    assert not back["failed"], back["reason"]


def test_indexes_are_built_with_more_memory_than_the_daily_work_has(saved: Backups, restores: Restores) -> None:
    """The restore fills a materialized view, in which the setting of its session stays."""
    server = restores.server
    server.run_sql("CREATE DATABASE views")
    server.run_sql("CREATE MATERIALIZED VIEW memory AS SELECT current_setting('maintenance_work_mem') AS had", "views")
    made = saved.back_up(databases=["views"], force=True, jobs=1)
    assert not made["failed"], made
    choice = {"database": "views", "backup": made["backup"].rpartition("/")[2], "allow_unverified": True}
    answer = run_module("postgres_restore", {**restores.arguments(**restores.choice), **choice})
    assert answer["verdict"] == "ok", answer
    ((had, own),) = server.run_sql(
        "SELECT pg_size_bytes(had), pg_size_bytes(current_setting('maintenance_work_mem')) FROM memory", "views"
    )
    assert own < had <= 512 << 20


def test_the_database_that_everybody_logs_in_to(restores: Restores) -> None:
    """With login_database=shop, the session must still be in another database while shop is renamed."""
    answer = restores.restore(login_database="shop")
    assert answer["verdict"] == "ok", answer
    assert restores.rows() == SAVED_ROWS


def _choose(restores: Restores, **more: t.Any) -> dict[str, t.Any]:
    return restores.restore(check=True, **more)


def test_which_backup_is_chosen(saved: Backups, restores: Restores) -> None:
    verified = saved.sets()[0].name
    made = saved.back_up(databases=["shop"], force=True, jobs=1)
    newest = made["backup"].rpartition("/")[2]
    listed = run_module("postgres_restore_info", {"path": str(saved.path), "database": "shop"})
    assert listed["verdict"] == "ok", listed
    assert listed["chosen"] == verified
    states = {one["name"]: one["state"] for one in listed["backups"]}
    assert (states[verified], states[newest]) == ("verified", "unverified")
    assert listed["backups"][0]["name"] == newest
    assert f"shop (4 tables, {SAVED_ROWS + 5} rows" in listed["backups"][-1]["line"]
    assert _choose(restores)["backup"] == str(saved.path / verified)
    refused = _choose(restores, backup=newest)
    assert refused["verdict"] == "failed"
    assert f"backup {newest} was never verified; allow_unverified=true" in refused["reason"]
    assert _choose(restores, backup=newest, allow_unverified=True)["backup"] == str(saved.path / newest)
    moment = json.loads((saved.path / verified / "manifest.json").read_text())["started"]
    assert _choose(restores, at=moment)["backup"] == str(saved.path / verified)
    for wrong, told in (
        ({"at": "2020-01-01T00:00:00Z"}, "is as old as 2020-01-01T00:00:00Z"),
        ({"at": "yesterday"}, "at 'yesterday' cannot be read"),
        ({"at": "2026-01-01T00:00:00"}, "without a zone"),
        ({"backup": newest[:-2] + "x"}, f"did you mean '{newest}'?"),
        ({"backup": newest, "at": moment}, "choose by name or by time"),
        ({"path": str(saved.path / "nowhere")}, "there is no backup in"),
    ):
        answer = run_module("postgres_restore", {**restores.arguments(**restores.choice), **wrong}, True)
        assert answer["verdict"] == "failed"
        assert told in answer["reason"], answer["reason"]
    for wrong, told in (
        ({"jobs": 0}, "jobs is 0: it must be between 1 and 64"),
        ({"database": ""}, "database is empty"),
        ({"stop_commands": [["true"]]}, "start_commands is empty"),
        ({"health_url": "ftp://x"}, "health_url 'ftp://x' is no URL"),
        ({"compose_services": ["api"]}, "compose_services is given without compose_directory"),
    ):
        answer = run_module("postgres_restore", {**restores.arguments(**restores.choice), **wrong})
        assert answer["failed"]
        assert told in answer["msg"]
    restores.assert_untouched()


@contextlib.contextmanager
def _made_under_a_fast_clock(saved: Backups) -> t.Iterator[str]:
    """The proved backup once more, with a date that is far away in all that says so."""
    twin = saved.path / "20990101T000000Z"
    shutil.copytree(saved.sets()[0], twin)
    name = make_old(saved, -1, "21000101T000000Z")
    try:
        yield name
    finally:
        shutil.rmtree(saved.path / name)


def test_a_backup_of_the_future_is_not_the_newest(saved: Backups, restores: Restores) -> None:
    newest = saved.sets()[0].name
    with _made_under_a_fast_clock(saved) as future:
        answer = _choose(restores)
        assert answer["backup"] == str(saved.path / newest), answer
        assert [(one["id"], one["subject"]) for one in answer["findings"]] == [("restore-future-backup", future)]
        assert _choose(restores, backup=future)["backup"] == str(saved.path / future)
        listed = run_module("postgres_restore_info", {"path": str(saved.path), "database": "shop"})
        assert listed["chosen"] == newest
        assert {one["name"]: one["state"] for one in listed["backups"]}[future] == "future"
        assert ("restore-future-backup", future) in [(one["id"], one["subject"]) for one in listed["findings"]]
    restores.assert_untouched()


def test_a_locale_that_the_host_lacks_is_refused_before_anything_is_touched(saved: Backups, restores: Restores) -> None:
    with _made_under_a_fast_clock(saved) as name:

        def elsewhere(body: dict[str, t.Any]) -> None:
            for entry in body["databases"]:
                entry.update(collate="xx_YY.UTF-8", ctype="xx_YY.UTF-8")

        rewrite(saved, elsewhere, -1)
        for check in (True, False):
            answer = restores.restore(check, backup=name, allow_unverified=True)
            assert answer["verdict"] == "failed", answer
            assert "the server's host has no locale xx_YY.UTF-8 (could not create locale" in answer["reason"]
    restores.assert_untouched()
    assert restores.journals() == ""


def test_retired_when_its_time_is_over_and_all_is_well(saved: Backups, restores: Restores) -> None:
    server = restores.server
    server.run_sql(f"CREATE DATABASE {old_name('shop', '20260101T000000Z')}")  # somebody's own: the name proves nothing
    server.run_sql(f"CREATE DATABASE {side_name('shop', '20260101T000000Z')}")
    answer = restores.restore()
    assert not answer["failed"], answer
    bystanders = [row for row in restores.databases() if row[0] not in ("shop", answer["kept"])]
    assert len(bystanders) == 2
    young = restores.retire(keep="1d")
    assert (young["verdict"], young["changed"], young["figures"]["kept_databases"]) == ("ok", False, 1)

    wait_for(lambda: _why_kept(restores) != "", "its time is over")
    assert "nobody is connected to 'shop'" in _why_kept(restores)
    assert "is not well" in _why_kept(restores, health_command=["false"], health_timeout="1s")
    client = server.connect("shop")
    assert "no verified backup in" in _why_kept(restores)
    with _made_under_a_fast_clock(saved):  # nobody knows whether it is younger than what would be dropped
        assert "no verified backup in" in _why_kept(restores)
    assert not saved.back_up(databases=["shop"], force=True, jobs=1)["failed"]
    assert "no verified backup in" in _why_kept(restores)
    assert not saved.verify(force=True)["failed"]
    foretold = restores.retire(check=True)
    assert (foretold["dropped"], foretold["changed"]) == ([answer["kept"]], True)
    assert answer["kept"] in dict(restores.databases())
    server.run_sql("ALTER DATABASE shop ALLOW_CONNECTIONS false")
    assert "lets nobody in" in _why_kept(restores)
    server.run_sql("ALTER DATABASE shop ALLOW_CONNECTIONS true")

    server.run_sql(f'ALTER DATABASE "{answer["kept"]}" ALLOW_CONNECTIONS true')
    reader = server.connect(answer["kept"])
    looked_at = restores.retire()
    assert looked_at["verdict"] == "failed"
    assert "is being accessed by other users" in looked_at["reason"]
    reader.close()
    wait_for(lambda: not restores.retire()["failed"], "it is dropped once nobody looks at it")
    client.close()
    assert restores.databases() == sorted([*bystanders, ("shop", True)])
    again = restores.retire()
    assert (again["verdict"], again["changed"]) == ("ok", False)
    assert "database" in restores.journals()


def _why_kept(restores: Restores, **more: t.Any) -> str:
    answer = restores.retire(**more)
    assert not answer["changed"]
    return " ".join(finding["message"] for finding in answer["findings"] if finding["id"] == "restore-old-kept")


def test_a_copied_mark_counts_for_nothing(restores: Restores) -> None:
    """Somebody gives their own database the comment of a kept one: it is neither dropped nor taken into use."""
    answer = restores.restore()
    server = restores.server
    comment = server.run_sql(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", parameters=(answer["kept"],)
    )[0][0]
    server.run_sql("CREATE DATABASE precious")
    server.run_sql("COMMENT ON DATABASE precious IS %s", parameters=(comment,))
    server.run_sql(f'DROP DATABASE "{answer["kept"]}"')
    assert restores.retire(path="", health_command=["true"])["coverage"] == {"looked": 0, "of": 0}
    refused = restores.roll_back(kept="precious")
    assert refused["verdict"] == "failed"
    assert "'precious' was not put aside by a restore of 'shop'" in refused["reason"]
    assert ("precious", True) in restores.databases()


@pytest.mark.parametrize("missing", ["app", "former"])
def test_roles_are_created_when_asked_for(saved: Backups, missing: str) -> None:
    """On another server that has none of them: roles, passwords, comments and memberships come from the globals."""
    with PrivatePostgres(saved.server.bin_dir, own_cluster=True) as other:
        for name in {"app", "reader", "former"} - {missing}:
            other.run_sql(f"CREATE ROLE {name}")
        arguments = {
            **other.login_arguments, "database": "shop", "path": str(saved.path), "bin_dir": other.bin_dir,
            "backup": saved.sets()[0].name, "state_dir": str(saved.path.parent / f"other-{missing}"),
        }  # fmt: skip
        refused = run_module("postgres_restore", arguments)
        assert refused["verdict"] == "failed"
        assert f"roles are missing on the server: {missing};" in refused["reason"]
        assert other.run_sql("SELECT 1 FROM pg_database WHERE datname ~ 'shop'") == []
        answer = run_module("postgres_restore", {**arguments, "create_roles": True})
        assert answer["verdict"] == "ok", answer
        assert answer["planned"][0]["action"] == "create role"
        assert other.run_sql("SELECT count(*) FROM orders", "shop") == [(SAVED_ROWS,)]
        member = other.run_sql("SELECT pg_has_role('app', 'reader', 'MEMBER')")
        assert member == [(missing == "app",)]


def test_the_live_database_is_made_anew_by_the_tests(saved: Backups) -> None:
    """Else the tests above could pass on what an earlier one left."""
    reset(saved.server)
    assert saved.server.run_sql("SELECT count(*) FROM orders", "shop") == [(LIVE_ROWS,)]
