# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work shows how far it is while ansible-playbook runs, and nothing but the lines tells of it."""

from __future__ import annotations

import itertools
import re
import threading
import typing as t

import pytest
from support.plays import Play
from support.postgres import SHOP, PrivatePostgres, settle, wait_for

from ansible_collections.steward.maintenance.plugins.plugin_utils._progress import (
    crowded_pause,
    first_pause,
    growing,
    run_of,
)

pytest_plugins = ("support.postgres_fixtures", "support.plays_fixtures")

LINE = re.compile(r"^db1: (vacuum|reindex): \d+/\d+ (tables|indexes)(, \d+ %)?(, [\d a-z.]+ left)?$", re.MULTILINE)


@pytest.fixture
def slow(shop: PrivatePostgres) -> PrivatePostgres:
    """A database with an invalid index that takes some seconds to be rebuilt."""
    shop.run_sql(
        """
CREATE FUNCTION slowly(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql
  AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.03); RETURN i; END $$;
CREATE TABLE slow (id int);
INSERT INTO slow SELECT generate_series(1, 100);
CREATE INDEX slow_one ON slow (slowly(id));
""",
        SHOP,
    )
    spoil(shop)
    return shop


def spoil(server: PrivatePostgres) -> None:
    server.run_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'slow_one'::regclass", SHOP)


def invalid(server: PrivatePostgres) -> int:
    return int(server.run_sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid", SHOP)[0][0])


def task(server: PrivatePostgres, module: str = "postgres_reindex", **more: t.Any) -> dict[str, t.Any]:
    given = {**server.login_arguments, "databases": [SHOP], "progress": "1s", **more}
    return {"name": "Work", f"steward.maintenance.{module}": given}


def lines(told: str) -> list[str]:
    return [match.group() for match in LINE.finditer(told)]


def test_a_long_rebuild_shows_how_far_it_is(slow: PrivatePostgres, play: Play) -> None:
    status, told = play.run("-vv", tasks=[task(slow)])

    assert status == 0, told
    assert 1 <= len(lines(told)) <= 4, told
    assert lines(told)[0].startswith("db1: reindex: 0/1 indexes")
    assert told.index(lines(told)[-1]) < told.index("changed: [db1]")
    assert invalid(slow) == 0
    assert slow.password not in told
    left = [path for path in (play.directory / "tmp").rglob("*") if path.is_file()]
    assert left == []


def test_a_long_vacuum_shows_how_far_it_is(shop: PrivatePostgres, play: Play) -> None:
    shop.run_sql(
        "CREATE TABLE wide (id int, note text) WITH (autovacuum_enabled = off, fillfactor = 10);"
        "INSERT INTO wide SELECT i, repeat('x', 500) FROM generate_series(1, 1000) AS i;"
        "DELETE FROM wide WHERE id % 2 = 0;",
        SHOP,
    )
    settle(shop, "wide", 1500)
    shop.run_sql("CHECKPOINT")  # VACUUM pays for a page that it makes dirty, and only if it was clean
    status, told = play.run(tasks=[task(shop, "postgres_vacuum", cost_delay=20, cost_limit=120)])

    assert status == 0, told
    assert lines(told), told
    assert lines(told)[0].startswith("db1: vacuum: 0/1 tables")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"progress": "0s"}, {}),
        ({"progress": "1h"}, {}),
        ({}, {"check_mode": True}),
        ({}, {"no_log": True}),
        ({}, {"async": 60, "poll": 1}),
    ],
    ids=["off", "later", "check mode", "no_log", "async"],
)
def test_nothing_is_shown(slow: PrivatePostgres, play: Play, more: dict[str, t.Any], words: dict[str, t.Any]) -> None:
    status, told = play.run(tasks=[dict(task(slow, **more), **words)])

    assert status == 0, told
    assert "reindex:" not in told
    assert "changed: [db1]" in told
    assert invalid(slow) == (1 if words.get("check_mode") else 0)


def test_each_item_of_a_loop_on_a_delegate_shows_its_own_lines(slow: PrivatePostgres, play: Play) -> None:
    slow.run_sql("CREATE DATABASE idle")
    work = dict(task(slow, databases=["{{ item }}"]), loop=["idle", SHOP], delegate_to="other")
    work["vars"] = {"ansible_connection": "local", **play.variables}
    try:
        status, told = play.run(tasks=[work])
    finally:
        slow.run_sql("DROP DATABASE idle")

    assert status == 0, told
    assert lines(told)
    assert told.index("(item=idle)") < told.index(lines(told)[0]) < told.index(f"(item={SHOP})")


def test_the_login_of_the_module_defaults_is_used_for_both(slow: PrivatePostgres, play: Play) -> None:
    """So is a password that is not an argument at all, but in the environment of the task."""
    login = {name: value for name, value in slow.login_arguments.items() if name != "login_password"}
    passfile = play.directory / "pgpass"
    passfile.write_text(f"127.0.0.1:{slow.port}:*:{slow.superuser}:{slow.password}\n")
    passfile.chmod(0o600)
    status, told = play.run(
        "-vvv",
        module_defaults={"group/steward.maintenance.postgres": login},
        environment={"PGPASSFILE": str(passfile)},
        tasks=[{"steward.maintenance.postgres_reindex": {"databases": [SHOP], "progress": "1s"}}],
    )

    assert status == 0, told
    assert lines(told)
    assert slow.password not in told


def test_progress_that_cannot_be_read_at_all_does_no_harm(slow: PrivatePostgres, play: Play) -> None:
    """The side-car logs in to a database that is gone by then."""
    slow.run_sql("CREATE DATABASE lobby")
    rebuilding = "SELECT 1 FROM pg_stat_progress_create_index"

    def drop() -> None:
        wait_for(lambda: slow.run_sql(rebuilding), "REINDEX CONCURRENTLY", 60)
        slow.run_sql("DROP DATABASE lobby")

    thread = threading.Thread(target=drop)
    thread.start()
    status, told = play.run(tasks=[task(slow, login_database="lobby", progress="2s")])
    thread.join()

    assert status == 0, told
    assert lines(told) == []
    assert "lobby" not in told
    assert invalid(slow) == 0


def test_wrong_arguments_are_told_by_the_module_itself(shop: PrivatePostgres, play: Play) -> None:
    status, told = play.run(tasks=[task(shop, progress="often")])
    assert status == 2, told
    assert "duration 'often' cannot be read" in told

    status, told = play.run(tasks=[task(shop, progres="1s")])
    assert status == 2, told
    assert "Unsupported parameters for (steward.maintenance.postgres_reindex) module: progres" in told


def test_the_pauses_grow_and_stop_growing() -> None:
    assert list(itertools.islice(growing(30), 7)) == [30, 60, 120, 240, 300, 300, 300]
    assert [first_pause(text) for text in ("30s", "2m", "0s", "0", 0, "often", None)] == [30, 120, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("hosts", "more", "environment", "seconds"),
    [
        (1, {}, {}, 30),
        (5, {}, {}, 30),
        (100, {}, {}, 297),
        (1, {"awx_job_id": 7}, {}, 60),
        (1, {"tower_job_id": 7}, {}, 60),
        (1, {}, {"AWX_HOST": "https://awx.example.com"}, 60),
    ],
)
def test_many_hosts_and_awx_get_fewer_lines(
    monkeypatch: pytest.MonkeyPatch, hosts: int, more: dict[str, t.Any], environment: dict[str, str], seconds: int
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    variables = {"ansible_play_batch": [f"db{number}" for number in range(hosts)], **more}
    assert crowded_pause(30.0, variables, forks=100) == seconds


def test_the_line_is_about_the_run_of_this_task() -> None:
    run = {"task": "vacuum", "here": True, "of": 3, "database": SHOP, "since": "2026-11-23T05:00:00Z"}
    others = [
        dict(run, task="reindex"),
        dict(run, here=False, since="2026-11-23T06:00:00Z"),
        dict(run, of=None),
        dict(run, since="2026-11-23T04:00:00Z"),
        dict(run, database="other", since="2026-11-23T05:30:00Z"),
    ]
    assert run_of({"databases": [SHOP]}, "steward.maintenance.postgres_vacuum", [*others, run]) == run
    assert run_of({"task": "analyze"}, "steward.maintenance.postgres_vacuum", [*others, run]) is None
    assert run_of({}, "steward.maintenance.postgres_reindex", [*others, run]) == others[0]
