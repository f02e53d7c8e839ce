# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something old keeps deleted rows, or would make a rebuild wait -> nothing is done in vain, and it is named with what
to do about it."""

from __future__ import annotations

import contextlib
import time
import typing as t

import pytest
from support.postgres import SHOP, PrivatePostgres, settle, wait_for
from support.postgres_faults import (
    OLD_SNAPSHOT,
    REINDEX,
    REVIEW,
    VACUUM,
    actions,
    broken_index,
    fill,
    invalid,
    issued,
    maintain,
    neglect,
    subjects,
    transaction,
)

pytest_plugins = ("support.postgres_fixtures",)


@pytest.fixture(scope="module")
def postgres() -> t.Iterator[PrivatePostgres]:
    """The least freeze age that can be set, so that a thousand transactions are one percent of it."""
    with PrivatePostgres(settings={"autovacuum_freeze_max_age": "100000"}) as server:
        yield server


def _pass_transactions(server: PrivatePostgres, count: int) -> None:
    server.run_sql(f"DO $$ BEGIN FOR i IN 1..{count} LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$", SHOP)


@contextlib.contextmanager
def _standby(server: PrivatePostgres, **settings: str) -> t.Iterator[PrivatePostgres]:
    feedback = {"hot_standby_feedback": "on", "wal_receiver_status_interval": "1s", **settings}
    standby = server.make_standby(**feedback)
    try:
        yield standby
    finally:
        standby.close()


@contextlib.contextmanager
def _slot(server: PrivatePostgres, sql: str) -> t.Iterator[None]:
    server.run_sql(sql, SHOP)
    try:
        yield
    finally:
        server.run_sql("SELECT pg_drop_replication_slot('left_behind')")


def test_rows_that_an_old_transaction_keeps_are_not_vacuumed_and_it_is_named(shop: PrivatePostgres) -> None:
    with transaction(shop, *OLD_SNAPSHOT) as pid:
        shop.run_sql("SELECT txid_current()", SHOP)
        neglect(shop)
        before = issued(shop, "VACUUM")

        answer = maintain(VACUUM, shop)

        assert issued(shop, "VACUUM") == before
    assert (answer["verdict"], answer["changed"], answer["done"]) == ("skipped", False, [])
    assert f"pid {pid}" in answer["reason"]
    assert "idle in transaction" in answer["reason"]
    assert f"pg_terminate_backend({pid})" in answer["findings"][0]["action"]


def test_vacuum_is_tried_once_when_it_cannot_be_known_and_what_stays_is_told(shop: PrivatePostgres) -> None:
    fill(shop)
    with transaction(shop, *OLD_SNAPSHOT) as pid:
        shop.run_sql("DELETE FROM busy WHERE id > 1000", SHOP)
        settle(shop, "busy", 9000)

        first = maintain(VACUUM, shop)
        after_first = issued(shop, "VACUUM")
        second = maintain(VACUUM, shop)

        assert issued(shop, "VACUUM") == after_first
    for answer in (first, second):
        assert (answer["verdict"], answer["changed"]) == ("skipped", False)
        assert f"pid {pid}" in answer["reason"]
    assert "4000 of 4000 dead rows are still there" in first["reason"]
    third = maintain(VACUUM, shop)
    assert (third["verdict"], third["changed"]) == ("ok", True)


def test_rows_below_the_threshold_that_stay_are_not_called_done(shop: PrivatePostgres) -> None:
    """Due by age alone: that VACUUM ran is not that it did anything."""
    fill(shop)
    shop.run_sql("VACUUM ANALYZE busy", SHOP)
    with transaction(shop, *OLD_SNAPSHOT) as pid:
        shop.run_sql("DELETE FROM busy WHERE id <= 10", SHOP)
        settle(shop, "busy", 5010)
        time.sleep(1.1)

        answer = maintain(VACUUM, shop, max_age="1s")

    assert (answer["verdict"], answer["done"]) == ("skipped", [])
    assert "10 of 10 dead rows are still there" in answer["reason"]
    assert f"pid {pid}" in answer["reason"]
    time.sleep(1.1)
    again = maintain(VACUUM, shop, max_age="1s")
    assert (again["verdict"], subjects(again["done"])) == ("ok", {"public.busy"})


def test_a_prepared_transaction_is_named_by_its_gid(shop: PrivatePostgres) -> None:
    shop.run_sql("BEGIN; CREATE TABLE prepared_one (id int); PREPARE TRANSACTION 'forgotten'", SHOP)
    try:
        neglect(shop)
        answer = maintain(VACUUM, shop)
    finally:
        shop.run_sql("ROLLBACK PREPARED 'forgotten'", SHOP)

    assert (answer["verdict"], answer["done"]) == ("skipped", [])
    assert "'forgotten'" in answer["reason"]
    assert "ROLLBACK PREPARED 'forgotten'" in answer["findings"][0]["action"]


def test_a_query_on_a_standby_with_feedback_is_named_as_such(shop: PrivatePostgres) -> None:
    with _standby(shop) as standby:
        wait_for(lambda: standby.run_sql("SELECT 1 FROM pg_database WHERE datname = %s", parameters=(SHOP,)), "replay")
        with transaction(standby, *OLD_SNAPSHOT):
            told = "SELECT 1 FROM pg_stat_replication WHERE backend_xmin IS NOT NULL"
            wait_for(lambda: shop.run_sql(told), "feedback")
            shop.run_sql("SELECT txid_current()", SHOP)
            neglect(shop)
            before = issued(shop, "VACUUM")

            answer = maintain(VACUUM, shop)

            assert issued(shop, "VACUUM") == before
    assert (answer["verdict"], answer["done"]) == ("skipped", [])
    assert "standby" in answer["reason"]
    assert "hot_standby_feedback" in actions(answer)[0]


def test_the_slot_of_a_standby_that_is_gone_is_named_with_how_to_drop_it(shop: PrivatePostgres) -> None:
    with _slot(shop, "SELECT pg_create_physical_replication_slot('left_behind')"):
        with _standby(shop, primary_slot_name="left_behind"):
            wait_for(lambda: shop.run_sql("SELECT 1 FROM pg_replication_slots WHERE xmin IS NOT NULL"), "feedback")
        wait_for(lambda: shop.run_sql("SELECT 1 FROM pg_replication_slots WHERE NOT active"), "the slot is left")
        shop.run_sql("SELECT txid_current()", SHOP)
        neglect(shop)
        before = issued(shop, "VACUUM")

        answer = maintain(VACUUM, shop)
        review = maintain(REVIEW, shop)

        assert issued(shop, "VACUUM") == before
    assert (answer["verdict"], answer["done"]) == ("skipped", [])
    assert "replication slot 'left_behind'" in answer["reason"]
    assert "inactive" in answer["reason"]
    assert "pg_drop_replication_slot" in actions(answer)[0]
    assert "left_behind" in str(review["findings"]), "the review does not name the slot"
    healed = maintain(VACUUM, shop)
    assert (healed["verdict"], healed["changed"]) == ("ok", True)


def test_a_stale_logical_slot_keeps_catalogs_only_and_is_named_for_them(shop: PrivatePostgres) -> None:
    with _slot(shop, "SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')"):
        neglect(shop)
        plain = maintain(VACUUM, shop)
        _pass_transactions(shop, 1100)
        frozen = maintain(VACUUM, shop, freeze_percent=1)

    assert (plain["verdict"], plain["changed"]) == ("ok", True), plain["reason"]
    assert "public.busy" in subjects(frozen["done"])
    kept = subjects(frozen["not_done"])
    assert kept
    assert all(name.startswith("pg_catalog.") for name in kept)
    assert "replication slot 'left_behind'" in frozen["reason"]
    assert {finding["severity"] for finding in frozen["findings"]} == {"critical"}
    assert all("pg_drop_replication_slot" in action for action in actions(frozen))


def test_a_rebuild_is_not_begun_behind_an_old_snapshot(shop: PrivatePostgres) -> None:
    fill(shop)
    broken_index(shop)
    before = issued(shop, "REINDEX")
    # Of whatever table: CONCURRENTLY waits for every older snapshot in the database.
    statements = (OLD_SNAPSHOT[0], "SELECT count(*), pg_sleep(1.2) FROM busy")
    with transaction(shop, *statements) as pid:
        answer = maintain(REINDEX, shop)
        told = maintain(REINDEX, shop, check=True)

        assert invalid(shop) == ["broken"]
    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert f"pid {pid}" in answer["reason"]
    assert f"pid {pid}" in told["reason"]
    assert issued(shop, "REINDEX") == before

    healed = maintain(REINDEX, shop)

    assert (healed["verdict"], healed["changed"]) == ("ok", True)
    assert invalid(shop) == []


def test_a_rebuild_is_not_begun_behind_a_writer_that_stays(shop: PrivatePostgres) -> None:
    fill(shop)
    broken_index(shop)
    before = issued(shop, "REINDEX")
    with transaction(shop, "INSERT INTO doubled VALUES (7)", "SELECT pg_sleep(1.2)") as pid:
        answer = maintain(REINDEX, shop)

        assert invalid(shop) == ["broken"]
    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert f"pid {pid}" in answer["reason"]
    assert issued(shop, "REINDEX") == before


def test_a_rebuild_is_not_begun_behind_a_prepared_transaction_that_wrote_to_the_table(shop: PrivatePostgres) -> None:
    """Its lock has no process, and not even the leftover of a cancelled rebuild could be removed behind it."""
    broken_index(shop)
    before = issued(shop, "REINDEX")
    shop.run_sql("BEGIN; INSERT INTO doubled VALUES (7); PREPARE TRANSACTION 'forgotten'", SHOP)
    try:
        wait_for(lambda: shop.run_sql(_AGED), "the transaction is older than the lock timeout")
        answer = maintain(REINDEX, shop)
        left = invalid(shop)
    finally:
        shop.run_sql("ROLLBACK PREPARED 'forgotten'", SHOP)

    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert "'forgotten'" in answer["reason"]
    assert "ROLLBACK PREPARED 'forgotten'" in actions(answer)[0]
    assert issued(shop, "REINDEX") == before
    assert left == ["broken"]


_AGED = "SELECT 1 FROM pg_prepared_xacts WHERE clock_timestamp() - prepared > interval '1.1 s'"
