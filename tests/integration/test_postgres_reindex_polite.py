# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_reindex beside other people's work: it gives way, cleans up behind itself, and does not block itself."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import typing as t

import psycopg2
import pytest
from support.modules import run_module, start_module
from support.postgres import SHOP, PrivatePostgres, wait_for

pytest_plugins = ("support.postgres_fixtures",)


def _arguments(server: PrivatePostgres, **arguments: t.Any) -> dict[str, t.Any]:
    waits = {"lock_timeout": "1s", "lock_wait": "1s", "state_dir": str(server.directory / "state")}
    return {**server.login_arguments, "databases": [SHOP], **waits, **arguments}


def _run(server: PrivatePostgres, **arguments: t.Any) -> dict[str, t.Any]:
    return run_module("postgres_reindex", _arguments(server, **arguments))


def _invalid(server: PrivatePostgres) -> list[str]:
    rows = server.run_sql("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1", SHOP)
    return [row[0] for row in rows]


def _spoil(server: PrivatePostgres, index: str) -> None:
    server.run_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", SHOP, (index,))


def _slow(server: PrivatePostgres, *names: str, seconds: float = 2) -> None:
    """Tables with an invalid index over an expression that takes so many seconds to be built."""
    server.run_sql(
        "CREATE FUNCTION slowly(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_catalog.pg_sleep({seconds / 20}); RETURN i; END $$",
        SHOP,
    )
    for name in names:
        server.run_sql(f"CREATE TABLE {name} (id int); CREATE INDEX {name}_slow ON {name} (slowly(id))", SHOP)
        _spoil(server, f"{name}_slow")
        server.run_sql(
            f"SET session_replication_role = replica; INSERT INTO {name} SELECT generate_series(1, 20)", SHOP
        )


def _building(server: PrivatePostgres) -> bool:
    return bool(server.run_sql("SELECT 1 FROM pg_stat_progress_create_index WHERE phase ~ 'building'", SHOP))


def test_a_rebuild_gives_way_to_whoever_waits_for_it_and_leaves_nothing_behind(shop: PrivatePostgres) -> None:
    _slow(shop, "one", seconds=12)
    process = start_module("postgres_reindex", _arguments(shop, yield_after="1s", attempts=1))
    try:
        wait_for(lambda: _building(shop), "the rebuild")
        began = time.monotonic()
        shop.run_sql("ALTER TABLE one ADD COLUMN more int", SHOP)
        waited = time.monotonic() - began
        stdout, _stderr = process.communicate(timeout=60)
    finally:
        process.kill()

    assert waited < 3
    assert "it gave way to pid" in stdout.decode()
    assert _invalid(shop) == ["one_slow"]


def test_rebuilds_at_the_same_time_do_not_give_each_other_up(shop: PrivatePostgres) -> None:
    """Each waits for the snapshots of the other, because their indexes are over expressions."""
    _slow(shop, "one", "two", seconds=3)

    answer = _run(shop, jobs=2)

    assert (answer["verdict"], answer["not_done"], len(answer["done"])) == ("ok", [], 2)
    assert _invalid(shop) == []


def _workers_set(server: PrivatePostgres) -> list[str]:
    return re.findall(r"SET max_parallel_maintenance_workers = '(\d+)'", server.log())


def test_rebuilds_at_the_same_time_take_one_process_each(shop: PrivatePostgres) -> None:
    before = len(_workers_set(shop))
    _slow(shop, "one", seconds=0.2)
    alone = _run(shop, jobs=2)
    after_one = _workers_set(shop)[before:]
    _spoil(shop, "one_slow")
    shop.run_sql("CREATE TABLE two (id int); CREATE INDEX two_one ON two (id)", SHOP)
    _spoil(shop, "two_one")
    together = _run(shop, jobs=2)
    after_two = _workers_set(shop)[before:]
    _spoil(shop, "two_one")
    chosen = _run(shop, jobs=2, parallel_workers=3)

    assert [len(answer["done"]) for answer in (alone, together, chosen)] == [1, 2, 1]
    assert after_one == [], "one that rebuilds alone has what the server's settings allow"
    assert after_two == ["0", "0"]
    assert _workers_set(shop)[before:] == ["0", "0", "3"]


def test_a_number_of_workers_that_no_server_takes_is_refused(shop: PrivatePostgres) -> None:
    answer = _run(shop, parallel_workers=1025)

    assert answer["failed"]
    assert answer["msg"] == "parallel_workers is 1025: it must be between 0 and 1024"


def test_who_stops_the_rebuild_and_then_its_cleaning_up_only_delays_it(shop: PrivatePostgres) -> None:
    """A transaction that is young when the rebuild begins, and holds the table for some seconds."""
    _slow(shop, "one", seconds=0.2)
    shop.run_sql("CREATE TABLE sign (id int)", SHOP)

    with contextlib.closing(shop.connect(SHOP)) as writer:
        writer.autocommit = False
        process = start_module("postgres_reindex", _arguments(shop, attempts=4, lock_timeout="2s"))
        try:
            writer.cursor().execute("LOCK TABLE one IN ROW EXCLUSIVE MODE")
            wait_for(lambda: len(_invalid(shop)) == 2, "the rebuild's new index")
            timer = threading.Timer(5, writer.rollback)
            timer.start()
            process.communicate(timeout=60)
            timer.join()
        finally:
            process.kill()

    assert _invalid(shop) == []


def test_a_leftover_that_cannot_be_removed_is_told_and_goes_with_the_next_run(shop: PrivatePostgres) -> None:
    _slow(shop, "one", seconds=0.2)
    with contextlib.closing(shop.connect(SHOP)) as writer:
        writer.autocommit = False
        process = start_module("postgres_reindex", _arguments(shop, attempts=1, lock_timeout="3s"))
        try:
            writer.cursor().execute("LOCK TABLE one IN ROW EXCLUSIVE MODE")
            stdout, _stderr = process.communicate(timeout=60)
        finally:
            process.kill()
        assert "postgres.reindex.leftover" in stdout.decode()
        assert _invalid(shop) == ["one_slow", "one_slow_ccnew"]

    answer = _run(shop)

    assert {entry["action"] for entry in answer["done"]} == {"DROP INDEX CONCURRENTLY", "REINDEX INDEX CONCURRENTLY"}
    assert _invalid(shop) == []


def test_a_prepared_transaction_in_the_way_is_named(shop: PrivatePostgres) -> None:
    _slow(shop, "one", seconds=0.2)
    shop.run_sql(
        "BEGIN; LOCK TABLE one IN ROW EXCLUSIVE MODE; PREPARE TRANSACTION 'forgotten'; SELECT pg_sleep(1.2)", SHOP
    )
    try:
        answer = _run(shop)
    finally:
        shop.run_sql("ROLLBACK PREPARED 'forgotten'", SHOP)

    assert (answer["verdict"], answer["done"]) == ("skipped", [])
    assert "'forgotten'" in answer["reason"]
    assert "ROLLBACK PREPARED 'forgotten'" in answer["findings"][0]["action"]
    assert _invalid(shop) == ["one_slow"]


@pytest.mark.parametrize("asked_for", [True, False])
def test_a_forgotten_transaction_is_ended_only_when_that_was_asked_for(shop: PrivatePostgres, asked_for: bool) -> None:
    _slow(shop, "one", seconds=0.2)
    with contextlib.closing(shop.connect(SHOP)) as idle:
        idle.autocommit = False
        idle.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM one")
        time.sleep(1.5)  # it has to be older than lock_timeout
        answer = _run(shop, **({"dangerously_terminate_after": "1s"} if asked_for else {}))

    assert bool(answer["done"]) is asked_for
    told = [finding["message"] for finding in answer["findings"] if finding["id"] == "postgres.reindex.terminated"]
    assert len(told) == (1 if asked_for else 0)


def test_the_leftover_of_an_index_with_everything_is_known_as_its_copy(shop: PrivatePostgres) -> None:
    """Expressions and predicates are stored a little differently in a copy."""
    _slow(shop, "one", seconds=0.2)
    shop.run_sql(
        "ALTER TABLE one ADD name text; DROP INDEX one_slow;"
        ' CREATE INDEX "All" ON one (lower(name) COLLATE "C" DESC, id)'
        " INCLUDE (name) WITH (fillfactor = 70) WHERE id > 5 AND (name IS NULL OR name IN ('a', 'b'))",
        SHOP,
    )
    with contextlib.closing(shop.connect(SHOP)) as writer, contextlib.closing(shop.connect(SHOP)) as builder:
        writer.autocommit = False
        writer.cursor().execute("LOCK TABLE one IN ROW EXCLUSIVE MODE")
        builder.cursor().execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            builder.cursor().execute('REINDEX INDEX CONCURRENTLY "All"')
    assert _invalid(shop) == ['"All_ccnew"']

    answer = _run(shop)

    assert [(entry["action"], entry["subject"]) for entry in answer["done"]] == [
        ("DROP INDEX CONCURRENTLY", "public.All_ccnew")
    ]
    assert _invalid(shop) == []
