# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_progress_info against a real server: what it finds of runs that tell, that are silent, that are hidden."""

from __future__ import annotations

import contextlib
import json
import threading
import typing as t

from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres, wait_for

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.identity import application_suffix

pytest_plugins = ("support.postgres_fixtures",)

TOLD = {"task": "vacuum", "done": 12, "of": 40, "noun": "tables", "percent": 62, "seconds_left": 180, "database": SHOP}


@contextlib.contextmanager
def _session(server: PrivatePostgres, application: str, sql: str = "", user: str | None = None) -> t.Iterator[t.Any]:
    """A session of ours in the database, whose last query is the one given."""
    conn = server.connect(SHOP, user)
    try:
        cursor = conn.cursor()
        cursor.execute("SET application_name = %s", (application,))
        if sql:
            cursor.execute(sql)
        yield conn
    finally:
        conn.close()


def _start(conn: t.Any, sql: str) -> threading.Thread:
    def execute() -> None:
        with contextlib.suppress(Exception):  # it is cancelled once we have seen it
            conn.cursor().execute(sql)

    thread = threading.Thread(target=execute)
    thread.start()
    return thread


def _comment(**more: t.Any) -> str:
    return f"/* steward.maintenance {json.dumps(dict(TOLD, **more))} */ SELECT 1"


def _look(server: PrivatePostgres, **more: t.Any) -> dict[str, t.Any]:
    return run_module("postgres_progress_info", dict(server.login_arguments, **more))


def test_nothing_at_work_is_said_and_is_well(shop: PrivatePostgres) -> None:
    with _session(shop, "steward.maintenance:list"), _session(shop, "vacuum"):
        answer = _look(shop)
    assert (answer["verdict"], answer["changed"], answer["runs"]) == ("ok", False, [])
    assert answer["summary"].startswith("no maintenance is running at 127.0.0.1:")


def test_a_run_tells_how_far_it_is_while_its_worker_waits_for_a_lock(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE busy (id int); CREATE INDEX busy_one ON busy (id);", SHOP)
    name = "steward.maintenance:" + application_suffix("reindex")
    blocker = shop.connect(SHOP)
    blocker.cursor().execute("BEGIN; LOCK TABLE busy IN ROW EXCLUSIVE MODE")
    with _session(shop, name, _comment(task="reindex", noun="indexes")) as control, _session(shop, name) as worker:
        thread = _start(worker, "REINDEX INDEX CONCURRENTLY busy_one")
        sql = "SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for %%'"
        wait_for(lambda: shop.run_sql(sql, parameters=()), "REINDEX CONCURRENTLY that waits")
        answer = _look(shop)
        blocker.close()
        thread.join()
        pids = control.info.backend_pid, worker.info.backend_pid

    assert answer["verdict"] == "ok", answer
    assert answer["summary"] == "reindex: 12/40 indexes, 62 %, 3 min left"
    assert answer["coverage"] == {"looked": 1, "of": 1}
    (run,) = answer["runs"]
    assert {name: run[name] for name in TOLD} == dict(TOLD, task="reindex", noun="indexes")
    assert (run["pid"], run["here"]) == (pids[0], True)
    assert run["since"].endswith("Z")
    (statement,) = run["statements"]
    assert statement["pid"] == pids[1]
    assert statement["statement"] == "REINDEX INDEX CONCURRENTLY busy_one"
    assert statement["phase"].startswith("waiting for ")
    assert statement["phase_percent"] == 0
    assert statement["seconds"] >= 0


def test_a_vacuum_shows_its_phase(shop: PrivatePostgres) -> None:
    shop.run_sql(
        "CREATE TABLE wide (id int, text text) WITH (autovacuum_enabled = off, fillfactor = 10);"
        "INSERT INTO wide SELECT i, repeat('x', 500) FROM generate_series(1, 5000) AS i;",
        SHOP,
    )
    name = "steward.maintenance:" + application_suffix("vacuum")
    with _session(shop, name, _comment()), _session(shop, name) as worker:
        worker.cursor().execute("SET vacuum_cost_delay = '20ms'; SET vacuum_cost_limit = 100")
        thread = _start(worker, "VACUUM wide")
        sql = "SELECT 1 FROM pg_stat_progress_vacuum WHERE heap_blks_scanned > 200"
        wait_for(lambda: shop.run_sql(sql), "a VACUUM that scans")
        answer = _look(shop)
        worker.cancel()
        thread.join()

    (statement,) = answer["runs"][0]["statements"]
    assert statement["phase"] == "scanning heap"
    assert 0 < statement["phase_percent"] < 100


def test_a_run_that_does_not_tell_is_at_work_all_the_same(shop: PrivatePostgres) -> None:
    with _session(shop, "steward.maintenance:analyze", "SELECT 1"):
        answer = _look(shop)
    assert (answer["verdict"], answer["summary"]) == ("ok", "analyze: at work")
    (run,) = answer["runs"]
    assert (run["done"], run["of"], run["percent"], run["here"]) == (None, None, None, False)


def test_runs_in_two_databases_are_two_lines(shop: PrivatePostgres) -> None:
    with (
        _session(shop, "steward.maintenance:vacuum:aa.1.1", _comment()),
        _session(shop, "steward.maintenance:vacuum:bb.2.2", _comment(done=1, seconds_left=None)),
    ):
        answer = _look(shop)
    assert answer["summary"] == "vacuum: 12/40 tables, 62 %, 3 min left; vacuum: 1/40 tables, 62 %"
    assert answer["figures"] == {"runs": 2}


def test_a_run_that_this_role_may_not_see_is_unknown_and_the_grant_is_named(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE ROLE watcher LOGIN PASSWORD 'watch this now'")
    login = {"login_user": "watcher", "login_password": "watch this now"}
    try:
        with _session(shop, "steward.maintenance:vacuum", _comment()):
            hidden = _look(shop, **login)
            shop.run_sql("GRANT pg_monitor TO watcher")
            shown = _look(shop, **login)
    finally:
        shop.run_sql("DROP ROLE watcher")
    assert (hidden["verdict"], hidden["failed"]) == ("unknown", True)
    assert hidden["coverage"] == {"looked": 0, "of": 1}
    assert 'GRANT pg_monitor TO "watcher"' in hidden["reason"]
    assert (shown["verdict"], shown["summary"]) == ("ok", "vacuum: 12/40 tables, 62 %, 3 min left")


def test_a_server_that_cannot_be_reached_is_unknown_with_the_cause(shop: PrivatePostgres) -> None:
    answer = _look(shop, login_password="quite another one")
    assert (answer["verdict"], answer["failed"], answer["runs"]) == ("unknown", True, [])
    assert "password authentication failed" in answer["reason"]
    assert "quite another one" not in json.dumps(answer)
