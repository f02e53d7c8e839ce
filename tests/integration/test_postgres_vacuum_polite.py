# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_vacuum beside users who are at work: nobody waits long, and what was cancelled is done afterwards."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

from support.modules import finish_module, run_module, start_module
from support.postgres import SHOP, PrivatePostgres, settle, wait_for
from support.postgres_faults import issued

pytest_plugins = ("support.postgres_fixtures",)

#: That nobody may wait for us longer, with the default of `yield_after`.
_MOST_SECONDS = 3.0

_SLOW = {"vacuum_cost_delay": "20ms", "vacuum_cost_limit": "1", "vacuum_cost_page_hit": "4"}


def _arguments(server: PrivatePostgres, **more: t.Any) -> dict[str, t.Any]:
    return {**server.login_arguments, "databases": [SHOP], **more}


def _neglect(server: PrivatePostgres, *tables: str) -> None:
    for table in tables:
        server.run_sql(f"CREATE TABLE {table} (id int, note text)", SHOP)
        server.run_sql(f"INSERT INTO {table} SELECT g, repeat('x', 200) FROM generate_series(1, 10000) AS g", SHOP)
        server.run_sql(f"DELETE FROM {table} WHERE id % 2 = 0", SHOP)
        settle(server, table, 15000)


@contextlib.contextmanager
def _slow_vacuum(server: PrivatePostgres) -> t.Iterator[None]:
    """VACUUM takes many seconds, by settings that running sessions notice before their next statement."""
    for name, value in _SLOW.items():
        server.run_sql(f"ALTER SYSTEM SET {name} = '{value}'")
    _reload(server, "20ms")
    try:
        yield
    finally:
        _quick_again(server)


def _quick_again(server: PrivatePostgres) -> None:
    server.run_sql("ALTER SYSTEM RESET ALL")
    _reload(server, "0")


def _reload(server: PrivatePostgres, delay: str) -> None:
    server.run_sql("SELECT pg_reload_conf()")
    wait_for(lambda: server.run_sql("SHOW vacuum_cost_delay") == [(delay,)], "the settings")


def _vacuums_at_work(server: PrivatePostgres, most: int) -> t.Any:
    sql = "SELECT relid FROM pg_stat_progress_vacuum"
    return wait_for(lambda: len(server.run_sql(sql)) >= most, f"{most} VACUUM at work")


def _seconds(server: PrivatePostgres, sql: str) -> float:
    began = time.monotonic()
    server.run_sql(sql, SHOP)
    return time.monotonic() - began


def test_ddl_and_who_is_queued_behind_it_go_first_and_the_table_is_done_afterwards(shop: PrivatePostgres) -> None:
    _neglect(shop, "busy")
    with _slow_vacuum(shop):
        before = len(issued(shop, "VACUUM"))
        process = start_module("postgres_vacuum", _arguments(shop))
        _vacuums_at_work(shop, 1)
        _quick_again(shop)
        waited: list[float] = []
        ddl = threading.Thread(target=lambda: waited.append(_seconds(shop, "ALTER TABLE busy ADD COLUMN more int")))
        ddl.start()
        queued = "SELECT 1 FROM pg_locks WHERE relation = 'busy'::regclass AND NOT granted"
        wait_for(lambda: shop.run_sql(queued, SHOP), "the DDL in the queue")
        waited.append(_seconds(shop, "SELECT count(*) FROM busy"))
        ddl.join(20)
        answer = finish_module(process)

    assert max(waited) < _MOST_SECONDS
    assert max(waited) > 1, "nobody had to wait at all"
    assert (answer["verdict"], answer["not_done"]) == ("ok", [])
    assert [entry["subject"] for entry in answer["done"]] == ["public.busy"]
    assert len(issued(shop, "VACUUM")) - before == 2


def test_several_tables_are_vacuumed_at_the_same_time_and_no_more_than_asked_for(shop: PrivatePostgres) -> None:
    _neglect(shop, "one", "two", "three", "four")
    with _slow_vacuum(shop):
        process = start_module("postgres_vacuum", _arguments(shop, jobs=3))
        _vacuums_at_work(shop, 3)
        assert len(shop.run_sql("SELECT 1 FROM pg_stat_progress_vacuum")) == 3
        _quick_again(shop)
        shop.run_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum")
        answer = finish_module(process)

    assert len(answer["done"]) == 1
    assert [entry["kind"] for entry in answer["not_done"]] == ["blocked"] * 3
    assert "canceling statement due to user request" in answer["reason"]


def test_a_locked_table_keeps_none_of_the_others_waiting(shop: PrivatePostgres) -> None:
    _neglect(shop, "held", "one", "two")
    holder = shop.connect(SHOP)
    holder.cursor().execute("BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
    try:
        process = start_module("postgres_vacuum", _arguments(shop, jobs=2, lock_timeout="2s", attempts=3))
        sql = "SELECT count(*) FROM pg_stat_user_tables WHERE relname IN ('one', 'two') AND vacuum_count > 0"
        wait_for(lambda: shop.run_sql(sql, SHOP) == [(2,)], "the other tables")
        assert process.poll() is None, "the locked table was given up before the others were done"
        answer = finish_module(process)
    finally:
        holder.close()

    assert {entry["subject"] for entry in answer["done"]} == {"public.one", "public.two"}
    assert [entry["subject"] for entry in answer["not_done"]] == ["public.held"]
    assert "tried 3 times" in answer["reason"]


def test_an_old_idle_transaction_that_keeps_the_rows_is_ended_only_when_asked_for(shop: PrivatePostgres) -> None:
    forgotten = shop.connect(SHOP)
    forgotten.cursor().execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()")
    pid = forgotten.info.backend_pid
    try:
        _neglect(shop, "busy")
        polite = run_module("postgres_vacuum", _arguments(shop))
        wait_for(lambda: shop.run_sql(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state_change < clock_timestamp() - interval '1 second'",
            parameters=(pid,),
        ), "an idle second")  # fmt: skip
        answer = run_module("postgres_vacuum", _arguments(shop, dangerously_terminate_after="1s"))
    finally:
        forgotten.close()

    assert (polite["verdict"], polite["done"]) == ("skipped", [])
    assert answer["not_done"] == []
    assert [entry["subject"] for entry in answer["done"]] == ["public.busy"]
    (finding,) = answer["findings"]
    assert finding["id"] == "postgres.vacuum.terminated"
    assert f"pid {pid}" in finding["message"]


def test_how_far_it_is_can_be_read_while_it_works(shop: PrivatePostgres) -> None:
    _neglect(shop, "one", "two")
    with _slow_vacuum(shop):
        process = start_module("postgres_vacuum", _arguments(shop))
        _vacuums_at_work(shop, 1)
        told = wait_for(lambda: run_module("postgres_progress_info", shop.login_arguments)["runs"], "a run")
        _quick_again(shop)
        shop.run_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum")
        finish_module(process)

    assert (told[0]["task"], told[0]["database"], told[0]["of"], told[0]["noun"]) == ("vacuum", SHOP, 2, "tables")
    assert told[0]["statements"][0]["statement"].startswith("VACUUM")
