# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of postgres_vacuum on a real server: what is issued, and what is refused before anything is touched."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres, settle

pytest_plugins = ("support.postgres_fixtures",)

_LONG = "Ünïcode 100% \"quoted\" 'n' " + "x" * 35  # of 63 bytes, the most that the server keeps


def _run(server: PrivatePostgres, check: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
    return run_module("postgres_vacuum", {**server.login_arguments, "databases": [SHOP], **arguments}, check)


def _issued(server: PrivatePostgres, *words: str) -> list[str]:
    lines = [line.split("statement: ", 1)[-1] for line in server.log().splitlines() if "statement: " in line]
    return [line for line in lines if line.startswith(words or ("VACUUM", "ANALYZE"))]


def _fill(server: PrivatePostgres, table: str = "busy", wide: bool = False) -> None:
    note = "repeat(md5(g::text), 200)" if wide else "g::text"
    server.run_sql(f"CREATE TABLE {table} (id int, note text)", SHOP)
    server.run_sql(f"ALTER TABLE {table} ALTER note SET STORAGE EXTERNAL", SHOP)
    server.run_sql(f"INSERT INTO {table} SELECT g, {note} FROM generate_series(1, 2000) AS g", SHOP)
    settle(server, table, 2000)


def test_options_are_in_the_statement_and_settings_in_the_session(shop: PrivatePostgres) -> None:
    _fill(shop)
    answer = _run(
        shop, freeze=True, parallel_workers=2, index_cleanup="off", truncate=False, cost_delay=0.5, cost_limit=4000
    )

    assert answer["verdict"] == "ok", answer["reason"]
    only = "ONLY " if shop.major >= 18 else ""
    options = "FREEZE, PARALLEL 2, INDEX_CLEANUP OFF, TRUNCATE FALSE, ANALYZE"
    options += ", SKIP_DATABASE_STATS" if shop.major >= 16 else ""
    (issued,) = [statement for statement in _issued(shop) if '"busy"' in statement]
    assert issued == f'VACUUM ({options}) {only}"public"."busy"'
    assert _issued(shop, "SET vacuum_cost_delay")[-1] == "SET vacuum_cost_delay = '0.5'; SET vacuum_cost_limit = '4000'"
    assert shop.run_sql("SELECT age(relfrozenxid) < 100 FROM pg_class WHERE relname = 'busy'", SHOP) == [(True,)]


@pytest.mark.parametrize(
    ("name", "value", "major"),
    [
        ("buffer_usage_limit", "2MB", 16),
        ("process_main", True, 16),
        ("process_toast", True, 14),
        ("index_cleanup", "auto", 14),
    ],
)
def test_an_option_that_the_server_lacks_is_refused_by_name(
    shop: PrivatePostgres, name: str, value: t.Any, major: int
) -> None:
    _fill(shop)
    before = len(_issued(shop))

    answer = _run(shop, **{name: value})

    if shop.major >= major:
        assert (answer["verdict"], answer["changed"]) == ("ok", True)
        return
    assert (answer["verdict"], answer["changed"], answer["planned"]) == ("failed", False, [])
    assert answer["reason"].startswith(name)
    assert f"needs PostgreSQL {major}, the server at 127.0.0.1:{shop.port} is {shop.major}." in answer["reason"]
    assert len(_issued(shop)) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"cost_limit": 20000}, "cost_limit is 20000: 20000 is outside the valid range"),
        ({"cost_delay": -1}, "cost_delay is -1"),
        ({"skip_tables": ["public.bussy"]}, "did you mean 'public.busy'?"),
    ],
)
def test_what_the_server_would_not_take_is_refused_before_anything_is_touched(
    shop: PrivatePostgres, arguments: dict[str, t.Any], told: str
) -> None:
    _fill(shop)
    before = len(_issued(shop))

    answer = _run(shop, **arguments)

    assert (answer["verdict"], answer["changed"]) == ("failed", False)
    assert told in answer["reason"]
    assert len(_issued(shop)) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"jobs": 0}, "jobs is 0: it must be between 1 and 64"),
        ({"attempts": 0}, "attempts is 0: it must be 1 or more"),
        ({"yield_after": "soon"}, "yield_after: duration 'soon' cannot be read"),
        ({"deadline": "2026-11-23T05:00:00"}, "deadline '2026-11-23T05:00:00' cannot be read: write it with its zone"),
        ({"deadline": "tomorrow"}, "deadline 'tomorrow' cannot be read"),
        ({"replica_lag_bytes": -1}, "replica_lag_bytes is -1: it must be 0 or more"),
        ({"wal_bytes_per_second": -1}, "wal_bytes_per_second is -1: it must be 0 or more"),
        ({"dangerously_terminate_after": "0s"}, "dangerously_terminate_after: duration '0s' is zero"),
        ({"progress": "often"}, "progress: duration 'often' cannot be read"),
        ({"parallel_workers": 2000}, "parallel_workers is 2000: it must be between 0 and 1024"),
        ({"process_toast": False, "process_main": False}, "nothing would be vacuumed"),
        ({"task": "analyze", "truncate": False}, "truncate is an option of VACUUM"),
    ],
)
def test_an_argument_that_cannot_be_right_is_refused_by_name(
    postgres: PrivatePostgres, arguments: dict[str, t.Any], told: str
) -> None:
    answer = run_module("postgres_vacuum", {**postgres.login_arguments, **arguments})

    assert answer["failed"]
    assert told in answer["msg"]


def test_tables_to_be_skipped_are_neither_judged_nor_touched(shop: PrivatePostgres) -> None:
    _fill(shop)
    _fill(shop, '"Left.Alone"')

    answer = _run(shop, skip_tables=["public.Left.Alone"])

    assert [entry["subject"] for entry in answer["done"]] == ["public.busy"]
    assert not any("Left.Alone" in statement for statement in _issued(shop))


def test_half_of_a_table_can_be_left_out_and_the_other_half_is_proved(shop: PrivatePostgres) -> None:
    if shop.major < 16:
        return  # refused by name there, see above: PROCESS_MAIN came with 16
    _fill(shop, wide=True)
    sql = """SELECT m.vacuum_count, x.vacuum_count FROM pg_class AS c JOIN pg_stat_all_tables AS m ON m.relid = c.oid
             JOIN pg_stat_all_tables AS x ON x.relid = c.reltoastrelid WHERE c.relname = 'busy'"""

    toast = _run(shop, process_main=False)
    after_toast = shop.run_sql(sql, SHOP)
    main = _run(shop, process_toast=False)

    assert [(answer["verdict"], len(answer["done"])) for answer in (toast, main)] == [("ok", 1), ("ok", 1)]
    assert after_toast == [(0, 1)]
    assert shop.run_sql(sql, SHOP) == [(1, 1)]


@pytest.mark.parametrize("jobs", [1, 3])
def test_partitions_are_not_analyzed_twice(shop: PrivatePostgres, jobs: int) -> None:
    shop.run_sql("CREATE TABLE part (id int) PARTITION BY RANGE (id)", SHOP)
    for number in range(4):
        values = f"FROM ({number * 100}) TO ({number * 100 + 100})"
        shop.run_sql(f"CREATE TABLE part_{number} PARTITION OF part FOR VALUES {values}", SHOP)
    shop.run_sql("INSERT INTO part SELECT generate_series(0, 399)", SHOP)
    for number in range(4):
        settle(shop, f"part_{number}", 100)

    answer = _run(shop, task="analyze", jobs=jobs)

    assert (answer["verdict"], answer["not_done"]) == ("ok", [])
    counts = "SELECT relname, analyze_count FROM pg_stat_user_tables WHERE relname LIKE 'part_%%' ORDER BY 1"
    assert shop.run_sql(counts, SHOP, ()) == [(f"part_{number}", 1) for number in range(4)]


def test_odd_names_are_vacuumed_and_proved(shop: PrivatePostgres) -> None:
    assert len(_LONG.encode()) == 63
    name = '"' + _LONG.replace('"', '""') + '"'
    conn = shop.connect(SHOP)
    try:
        cursor = conn.cursor()
        cursor.execute(f"CREATE SCHEMA {name}")
        cursor.execute(f"CREATE TABLE {name}.{name} (id int)")
        cursor.execute(f"INSERT INTO {name}.{name} SELECT generate_series(1, 2000)")
    finally:
        conn.close()
    settle(shop, f"{name}.{name}", 2000)

    answer = _run(shop)

    assert (answer["verdict"], answer["not_done"]) == ("ok", [])
    assert [entry["subject"] for entry in answer["done"]] == [f"{_LONG}.{_LONG}"]


def test_of_a_thousand_idle_tables_none_is_touched(shop: PrivatePostgres) -> None:
    """How long that takes is for `make bench-postgres` to say: here, others use the processors as well."""
    with contextlib.closing(shop.connect(SHOP)) as conn:
        conn.cursor().execute(
            "DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i);"
            " EXECUTE format('INSERT INTO t%s VALUES (1)', i); END LOOP; END $$"
        )
        conn.cursor().execute("VACUUM ANALYZE")
    _run(shop, task="analyze")
    before = len(_issued(shop))

    answers = [_run(shop, task=task) for task in ("vacuum", "analyze")]

    for answer in answers:
        assert (answer["verdict"], answer["changed"], answer["planned"]) == ("ok", False, [])
        assert answer["coverage"]["looked"] > 1000
    assert len(_issued(shop)) == before


def test_pg_maintain_and_pg_monitor_are_enough(shop: PrivatePostgres) -> None:
    if shop.major < 17:  # only owners and superusers may maintain there
        assert not shop.run_sql("SELECT FROM pg_roles WHERE rolname = 'pg_maintain'")
        return
    _fill(shop)
    shop.run_sql("CREATE ROLE keeper LOGIN PASSWORD 'keep it well' IN ROLE pg_maintain, pg_monitor")
    try:
        answers = [
            _run(shop, login_user="keeper", login_password="keep it well", jobs=2, task=task)
            for task in ("vacuum", "analyze")
        ]
    finally:
        shop.run_sql("DROP ROLE keeper")

    assert [entry["subject"] for entry in answers[0]["done"]] == ["public.busy"]
    for answer in answers:
        assert (answer["verdict"], answer["findings"], answer["not_done"]) == ("ok", [], [])


def test_a_database_that_refuses_connections_is_told_and_the_others_are_done(shop: PrivatePostgres) -> None:
    _fill(shop)
    shop.run_sql("CREATE DATABASE closed ALLOW_CONNECTIONS false")
    try:
        answer = _run(shop, databases=[])
    finally:
        shop.run_sql("DROP DATABASE closed")

    assert not answer["failed"]
    assert "public.busy" in [entry["subject"] for entry in answer["done"]]
    (finding,) = answer["findings"]
    assert (finding["id"], finding["severity"], finding["subject"]) == ("postgres.vacuum.closed", "info", "closed")
