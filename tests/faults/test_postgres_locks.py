# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks: what others hold is waited for politely and named, and nobody waits for us."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

import psycopg2
import pytest
from support.postgres import SHOP, PrivatePostgres, settle, wait_for
from support.postgres_faults import (
    OLD_SNAPSHOT,
    REINDEX,
    VACUUM,
    actions,
    assert_sound,
    at_work,
    begin,
    broken_index,
    end,
    ended_by_force,
    fill,
    invalid,
    issued,
    leftovers,
    maintain,
    naps,
    neglect,
    slow_index,
    slow_vacuum,
    subjects,
    transaction,
)

pytest_plugins = ("support.postgres_fixtures",)

_MOST_SECONDS = 3.0  # that anybody may wait for us


class Client(threading.Thread):
    """A user whose statement needs the table for itself, and how long it had to wait for that."""

    def __init__(self, server: PrivatePostgres, sql: str) -> None:
        super().__init__(daemon=True)
        self._server, self._sql = server, sql
        self.seconds: float | None = None
        self.start()

    def run(self) -> None:
        started = time.monotonic()
        self._server.run_sql(self._sql, SHOP)
        self.seconds = time.monotonic() - started

    def waited(self) -> float:
        self.join(60)
        assert self.seconds is not None, "the client waits still"
        return self.seconds


def test_a_locked_table_is_skipped_with_the_name_of_its_holder_and_the_others_are_done(shop: PrivatePostgres) -> None:
    fill(shop)
    shop.run_sql("CREATE TABLE free (id int); INSERT INTO free SELECT generate_series(1, 100)", SHOP)
    settle(shop, "free", 100)
    with transaction(shop, "LOCK TABLE busy IN ACCESS EXCLUSIVE MODE") as pid:
        answer = maintain(VACUUM, shop, attempts=1)

    assert (answer["verdict"], answer["changed"]) == ("findings", True)
    assert subjects(answer["done"]) == {"public.free"}
    assert subjects(answer["not_done"]) == {"public.busy"}
    assert f"pid {pid}" in answer["reason"]


def test_a_table_that_is_locked_later_makes_a_rebuild_give_up_without_a_trace(shop: PrivatePostgres) -> None:
    broken_index(shop)
    before = ended_by_force(shop)
    with transaction(shop, "LOCK TABLE doubled IN ACCESS EXCLUSIVE MODE") as pid:
        answer = maintain(REINDEX, shop, attempts=1)

        assert ended_by_force(shop) == before
    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert f"pid {pid}" in answer["reason"]
    assert invalid(shop) == ["broken"]
    assert leftovers(shop) == []


@pytest.mark.parametrize("module", [VACUUM, REINDEX])
def test_the_lock_of_a_prepared_transaction_is_named_by_its_gid(shop: PrivatePostgres, module: str) -> None:
    broken_index(shop)
    neglect(shop, "other")
    shop.run_sql("BEGIN; LOCK TABLE doubled, other IN SHARE MODE; PREPARE TRANSACTION 'forgotten'", SHOP)
    try:
        answer = maintain(module, shop, attempts=1)
    finally:
        shop.run_sql("ROLLBACK PREPARED 'forgotten'", SHOP)

    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert "'forgotten'" in answer["reason"]
    assert any("ROLLBACK PREPARED 'forgotten'" in action for action in actions(answer))
    assert leftovers(shop) == []


def test_a_vacuum_gives_way_to_a_waiting_user_and_is_done_later_or_named(shop: PrivatePostgres) -> None:
    neglect(shop)
    slow_vacuum(shop, delay="15ms")
    before = ended_by_force(shop)
    tried = len(issued(shop, "VACUUM"))
    process = begin(VACUUM, shop, yield_after="1s")
    at_work(shop, "VACUUM")

    waited = Client(shop, "ALTER TABLE busy ADD COLUMN more int").waited()
    answer = end(process)

    assert waited < _MOST_SECONDS
    assert not answer["failed"]
    assert subjects(answer["done"]) == {"public.busy"} or "public.busy" in answer["reason"]
    assert len(issued(shop, "VACUUM")) - tried > 1, "it was not tried again"
    assert ended_by_force(shop) == before


def test_a_vacuum_that_gave_way_each_time_names_for_whom(shop: PrivatePostgres) -> None:
    neglect(shop)
    slow_vacuum(shop)
    process = begin(VACUUM, shop, yield_after="1s", attempts=1)
    at_work(shop, "VACUUM")
    client = Client(shop, "ALTER TABLE busy ADD COLUMN more int")
    answer = end(process)

    assert client.waited() < _MOST_SECONDS
    assert (answer["verdict"], answer["changed"], answer["failed"]) == ("skipped", False, False)
    assert "steward_admin" in answer["reason"]
    assert actions(answer)[0]
    slow_vacuum(shop, slow=False)
    assert maintain(VACUUM, shop)["changed"] is True


def test_a_rebuild_gives_way_removes_its_leftover_and_the_table_is_sound(shop: PrivatePostgres) -> None:
    index = slow_index(shop)
    naps(shop, 0.1)
    process = begin(REINDEX, shop, yield_after="1s", attempts=1)
    at_work(shop, "REINDEX")

    waited = Client(shop, "ALTER TABLE slow ADD COLUMN more int").waited()
    answer = end(process)

    assert waited < _MOST_SECONDS
    assert (answer["verdict"], answer["changed"], answer["failed"]) == ("skipped", False, False)
    assert invalid(shop) == [index]
    assert leftovers(shop) == []
    naps(shop, 0)
    assert maintain(REINDEX, shop)["verdict"] == "ok"
    assert_sound(shop, index, "slow_pkey")


def test_a_forgotten_transaction_is_ended_only_when_that_is_asked_for(shop: PrivatePostgres) -> None:
    before = ended_by_force(shop)
    with transaction(shop, *OLD_SNAPSHOT) as idle:
        shop.run_sql("SELECT txid_current()", SHOP)
        neglect(shop)
        left_alone = maintain(VACUUM, shop)
        assert ended_by_force(shop) == before
        wait_for(lambda: shop.run_sql(_IDLE, parameters=(idle,)), "it is idle for long enough")

        answer = maintain(VACUUM, shop, dangerously_terminate_after="1s")

    assert left_alone["verdict"] == "skipped"
    assert subjects(answer["done"]) == {"public.busy"}
    assert f"pid {idle}" in str(answer["findings"])
    assert ended_by_force(shop) == before + 1


_IDLE = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND clock_timestamp() - state_change > interval '1.1 s'"


def test_a_transaction_that_is_at_work_is_never_ended(shop: PrivatePostgres) -> None:
    before = ended_by_force(shop)
    query = threading.Thread(target=_query_for_long, args=(shop,), daemon=True)
    query.start()
    seen = "SELECT pid FROM pg_stat_activity WHERE query = %s"
    pid = wait_for(lambda: shop.run_sql(seen, parameters=(_LONG,)), "the query is under way")
    shop.run_sql("SELECT txid_current()", SHOP)
    neglect(shop)
    answer = maintain(VACUUM, shop, dangerously_terminate_after="1s")

    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert f"pid {pid[0][0]}" in answer["reason"]
    assert ended_by_force(shop) == before
    shop.run_sql("SELECT pg_cancel_backend(%s)", parameters=(pid[0][0],))
    query.join()


_LONG = "SELECT pg_sleep(60)"


def _query_for_long(server: PrivatePostgres) -> None:
    with contextlib.suppress(psycopg2.errors.QueryCanceled):
        server.run_sql(_LONG, SHOP)


def test_an_autovacuum_against_the_wraparound_is_left_alone_and_named(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE busy (id int, filler text) WITH (autovacuum_freeze_max_age = 100000)", SHOP)
    shop.run_sql("INSERT INTO busy SELECT g, repeat('x', 500) FROM generate_series(1, 3000) AS g", SHOP)
    shop.run_sql("CREATE INDEX busy_one ON busy (id)", SHOP)
    shop.run_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'busy_one'::regclass", SHOP)
    settle(shop, "busy", 3000)
    shop.run_sql("DO $$ BEGIN FOR i IN 1..100100 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$", SHOP)
    _autovacuum(shop, naptime="1s", vacuum_cost_delay="100ms", vacuum_cost_limit="1")
    try:
        worker = wait_for(lambda: _against_wraparound(shop), "autovacuum against the wraparound", 60)
        vacuum = maintain(VACUUM, shop, lock_timeout="2s", attempts=1)
        rebuild = maintain(REINDEX, shop, lock_timeout="2s", attempts=1)

        assert _against_wraparound(shop) == worker, "autovacuum was disturbed"
    finally:
        _autovacuum(shop, naptime="1d", vacuum_cost_delay="2ms", vacuum_cost_limit="-1")
    for answer in (vacuum, rebuild):
        assert (answer["failed"], answer["done"]) == (False, [])
        assert f"pid {worker}" in answer["reason"]
    assert leftovers(shop) == []


def _autovacuum(server: PrivatePostgres, **settings: str) -> None:
    server.configure(**{f"autovacuum_{name}": value for name, value in settings.items()})
    server.run_sql("SELECT pg_reload_conf()")


def _against_wraparound(server: PrivatePostgres) -> t.Any:
    rows = server.run_sql(
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'autovacuum: VACUUM%public.busy (to prevent wraparound)'"
    )
    return rows[0][0] if rows else None


def test_of_two_runs_at_once_the_second_stands_back_and_names_the_first(shop: PrivatePostgres) -> None:
    neglect(shop)
    broken_index(shop)
    settle(shop, "doubled", 3)
    slow_vacuum(shop, delay="20ms")
    before = ended_by_force(shop)
    first = begin(VACUUM, shop)
    at_work(shop, "VACUUM")
    seconds = [maintain(VACUUM, shop), maintain(REINDEX, shop)]
    slow_vacuum(shop, slow=False)
    answer = end(first)

    assert (answer["verdict"], subjects(answer["done"])) == ("ok", {"public.busy", "public.doubled"})
    for second in seconds:
        assert (second["verdict"], second["changed"], second["failed"]) == ("skipped", False, False)
        assert "another maintenance run is at work" in second["reason"]
    assert invalid(shop) == ["broken"]
    assert ended_by_force(shop) == before
