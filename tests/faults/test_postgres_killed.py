# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance that is killed, or whose server or database goes away under it: the next run converges, nothing invalid
stays, and no orphan keeps working."""

from __future__ import annotations

import time

import pytest
from support.postgres import SHOP, PrivatePostgres, settle, wait_for
from support.postgres_faults import (
    REINDEX,
    VACUUM,
    assert_sound,
    at_work,
    begin,
    end,
    invalid,
    issued,
    leftovers,
    maintain,
    naps,
    neglect,
    sessions,
    slow_index,
    slow_vacuum,
    subjects,
)

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.identity import application_suffix
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.session import LOCK_KEY

pytest_plugins = ("support.postgres_fixtures",)


@pytest.fixture
def slow(shop: PrivatePostgres) -> PrivatePostgres:
    """A database with an invalid index that takes some seconds to be rebuilt."""
    slow_index(shop)
    settle(shop, "slow", 100)
    naps(shop, 0.03)
    return shop


@pytest.mark.parametrize("delay", [0.0, 0.7, 2.5])
def test_a_killed_rebuild_is_completed_by_the_next_run(slow: PrivatePostgres, delay: float) -> None:
    process = begin(REINDEX, slow, lock_wait="5s")
    at_work(slow, "REINDEX")
    time.sleep(delay)
    process.kill()
    process.communicate()
    naps(slow, 0)

    answer = maintain(REINDEX, slow, lock_wait="5s")

    assert not answer["failed"], answer["reason"]
    assert answer["verdict"] == "ok"
    assert_sound(slow, "slow_one", "slow_pkey")
    again = maintain(REINDEX, slow)
    assert (again["verdict"], again["changed"]) == ("ok", False)


@pytest.mark.parametrize("module", [VACUUM, REINDEX])
def test_of_a_run_with_three_jobs_that_is_killed_no_orphan_keeps_working(shop: PrivatePostgres, module: str) -> None:
    tables = ("one", "two", "three")
    if module == VACUUM:
        neglect(shop, *tables)
    else:
        for table in tables:
            slow_index(shop, table)
    slow_vacuum(shop, delay="100ms")
    naps(shop, 0.2)  # both for twenty seconds, were they left alone
    process = begin(module, shop, jobs=3)
    orphans = set(at_work(shop, "VACUUM" if module == VACUUM else "REINDEX", most=3))
    process.kill()
    process.communicate()
    slow_vacuum(shop, slow=False)
    naps(shop, 0)
    if shop.major >= 14:  # the server itself finds out that its client is gone
        wait_for(lambda: not orphans.intersection(sessions(shop)), "the orphans end", 10)

    answer = maintain(module, shop, lock_wait="10s", jobs=3)

    assert answer["verdict"] == "ok", answer["reason"]
    assert answer["changed"] is True
    assert not orphans.intersection(sessions(shop))
    if module == REINDEX:
        assert_sound(shop, *(f"{table}_one" for table in tables))
    else:
        dead = "SELECT sum(n_dead_tup) FROM pg_stat_user_tables"
        wait_for(lambda: shop.run_sql(dead, SHOP)[0][0] == 0, "no dead rows")
    again = maintain(module, shop)
    assert (again["verdict"], again["changed"]) == ("ok", False)


def test_a_session_of_a_dead_process_is_ended_even_where_the_server_does_not_notice(slow: PrivatePostgres) -> None:
    """As before PostgreSQL 14, or over a proxy: the orphan sits there holding the lock, its process is gone."""
    naps(slow, 0)
    machine, pid, started = application_suffix("reindex").partition(":")[2].split(".")
    orphan = slow.connect(SHOP)
    try:
        cursor = orphan.cursor()
        cursor.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (LOCK_KEY,))
        # Process 4194304 is one more than Linux ever gives out.
        cursor.execute(f"SET application_name = 'steward.maintenance:reindex:{machine}.4194304.{started}'")

        answer = maintain(REINDEX, slow, lock_wait="2s")
    finally:
        orphan.close()

    assert pid.isdigit()
    assert (answer["verdict"], answer["changed"]) == ("ok", True)
    assert invalid(slow) == []


@pytest.mark.parametrize("module", [VACUUM, REINDEX])
def test_a_run_that_is_alive_is_left_alone_and_named(slow: PrivatePostgres, module: str) -> None:
    other = slow.connect(SHOP)
    try:
        cursor = other.cursor()
        cursor.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (LOCK_KEY,))
        cursor.execute("SET application_name = %s", ("steward.maintenance:" + application_suffix("vacuum"),))

        answer = maintain(module, slow)
        cursor.execute("SELECT 1")  # still alive
        pid = other.info.backend_pid
    finally:
        other.close()

    assert (answer["verdict"], answer["changed"], answer["failed"]) == ("skipped", False, False)
    assert f"pid {pid}" in answer["reason"]


@pytest.mark.parametrize(("module", "mode"), [(VACUUM, "fast"), (VACUUM, "immediate"), (REINDEX, "immediate")])
def test_a_server_that_is_restarted_meanwhile_is_a_failure_with_its_reason(
    slow: PrivatePostgres, module: str, mode: str
) -> None:
    neglect(slow)
    slow_vacuum(slow)
    process = begin(module, slow)
    at_work(slow, "VACUUM" if module == VACUUM else "REINDEX")
    slow.stop(mode)
    slow.start()
    answer = end(process)
    slow_vacuum(slow, slow=False)
    naps(slow, 0)

    assert (answer["failed"], answer["verdict"]) == (True, "failed")
    assert SHOP in answer["reason"]
    assert any(word in answer["reason"] for word in ("terminat", "clos", "crash", "shut")), answer["reason"]
    assert maintain(VACUUM, slow)["failed"] is False
    assert maintain(REINDEX, slow)["verdict"] == "ok"
    assert_sound(slow, "slow_one", "slow_pkey")


@pytest.mark.parametrize("module", [VACUUM, REINDEX])
def test_a_database_that_is_dropped_meanwhile_is_gone_not_failed_and_the_others_are_done(
    slow: PrivatePostgres, module: str
) -> None:
    neglect(slow)
    slow_vacuum(slow)
    slow.run_sql("CREATE DATABASE zoo")
    slow.run_sql("CREATE TABLE cages (id int); INSERT INTO cages SELECT generate_series(1, 100)", "zoo")
    settle(slow, "cages", 100, "zoo")  # up to 14, what is not known yet is not due
    slow.run_sql("CREATE INDEX cages_one ON cages (id)", "zoo")
    slow.run_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'cages_one'::regclass", "zoo")
    process = begin(module, slow, databases=[SHOP, "zoo"])
    at_work(slow, "VACUUM" if module == VACUUM else "REINDEX")
    slow.run_sql(f"DROP DATABASE {SHOP} WITH (FORCE)")
    answer = end(process)
    left = invalid(slow, "zoo")
    slow.run_sql("DROP DATABASE zoo WITH (FORCE)")

    assert not answer["failed"], answer["reason"]
    assert [finding["id"] for finding in answer["findings"]] == ["postgres.database.gone"]
    assert answer["findings"][0]["subject"] == SHOP
    assert {entry["database"] for entry in answer["done"]} == {"zoo"}
    if module == REINDEX:
        assert left == []


def test_a_table_that_is_dropped_meanwhile_is_no_failure(shop: PrivatePostgres) -> None:
    neglect(shop, "first", "second")
    slow_vacuum(shop, delay="10ms")
    process = begin(VACUUM, shop)
    at_work(shop, "VACUUM")
    working = issued(shop, "VACUUM")[-1]
    shop.run_sql(f"DROP TABLE {'second' if 'first' in working else 'first'}", SHOP)
    answer = end(process)

    assert (answer["verdict"], answer["not_done"]) == ("ok", [])
    assert len(subjects(answer["done"])) == 1


def test_a_rebuild_of_an_index_that_is_dropped_leaves_nothing(slow: PrivatePostgres) -> None:
    process = begin(REINDEX, slow)
    at_work(slow, "REINDEX")
    slow.run_sql("SET lock_timeout = 0; DROP TABLE slow", SHOP)
    answer = end(process)

    assert not answer["failed"], answer["reason"]
    assert (invalid(slow), leftovers(slow)) == ([], [])
