# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rebuild goes wrong half-way: nothing invalid of ours stays, the table is sound, and the cause is named."""

from __future__ import annotations

import os
import pathlib
import threading

import psycopg2
import pytest
from support.postgres import SHOP, PrivatePostgres, wait_for
from support.postgres_faults import (
    REINDEX,
    actions,
    assert_sound,
    at_work,
    begin,
    end,
    invalid,
    issued,
    leftovers,
    maintain,
    naps,
    slow_index,
    spoil,
    subjects,
    tablespace,
    transaction,
)

pytest_plugins = ("support.postgres_fixtures",)


def test_a_rebuild_that_somebody_cancels_leaves_nothing_behind(shop: PrivatePostgres) -> None:
    index = slow_index(shop)
    naps(shop, 0.1)
    process = begin(REINDEX, shop, attempts=1)
    pid = at_work(shop, "REINDEX")[0]
    shop.run_sql("SELECT pg_cancel_backend(%s)", parameters=(pid,))
    answer = end(process)

    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert "cancel" in answer["reason"]
    assert invalid(shop) == [index]
    assert leftovers(shop) == []
    naps(shop, 0)
    assert maintain(REINDEX, shop)["verdict"] == "ok"
    assert_sound(shop, index, "slow_pkey")


def test_a_rebuild_whose_time_is_over_leaves_nothing_behind(shop: PrivatePostgres) -> None:
    index = slow_index(shop)
    naps(shop, 0.1)

    answer = maintain(REINDEX, shop, budget="2s")

    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert "budget" in answer["reason"]
    assert invalid(shop) == [index]
    assert leftovers(shop) == []


def test_a_rebuild_whose_session_is_ended_is_completed_by_the_next_run(shop: PrivatePostgres) -> None:
    index = slow_index(shop)
    naps(shop, 0.1)
    process = begin(REINDEX, shop)
    pid = at_work(shop, "REINDEX")[0]
    shop.run_sql("SELECT pg_terminate_backend(%s)", parameters=(pid,))
    answer = end(process)

    assert (answer["verdict"], answer["changed"]) == ("failed", False)
    assert "terminat" in answer["reason"]
    naps(shop, 0)
    healed = maintain(REINDEX, shop)
    assert healed["verdict"] == "ok", healed["reason"]
    assert_sound(shop, index, "slow_pkey")


def test_what_cancelled_rebuilds_left_of_a_name_of_63_bytes_is_found_and_nothing_else(shop: PrivatePostgres) -> None:
    """The name of a leftover is the first part of the index's name, cut where a character ends."""
    long = "x" + "\u00fc" * 31
    index = slow_index(shop)
    shop.run_sql(f'ALTER INDEX {index} RENAME TO "{long}"', SHOP)
    # Invalid and called so, but like no other index: it is somebody's own.
    shop.run_sql("CREATE INDEX own_ccnew ON slow (id, (id + 1))", SHOP)
    naps(shop, 0.05)
    _cancelled_rebuild(shop, long)
    _cancelled_rebuild(shop, long)
    naps(shop, 0)
    with transaction(shop, "SELECT FROM slow"):  # a reader: it is waited for after the names were swapped
        _cancelled_rebuild(shop, long)
    left = leftovers(shop)
    assert {name[-6:] for name in left} == {"_ccnew", "ccnew1", "_ccold"}, left
    spoil(shop, "own_ccnew")

    answer = maintain(REINDEX, shop)

    assert (answer["verdict"], answer["not_done"]) == ("ok", [])
    dropped = {entry["subject"] for entry in answer["done"] if entry["action"].startswith("DROP")}
    assert dropped == {f"public.{name}" for name in left} - {"public.own_ccnew"}
    assert len(dropped) == 3
    assert subjects(answer["done"]) - dropped == {"public.own_ccnew"}
    assert invalid(shop) == []
    assert leftovers(shop) == ["own_ccnew"]
    shop.run_sql("DROP INDEX own_ccnew", SHOP)
    assert_sound(shop, f'"{long}"', "slow_pkey")
    assert maintain(REINDEX, shop)["changed"] is False


def _cancelled_rebuild(server: PrivatePostgres, index: str) -> None:
    conn = server.connect(SHOP)
    try:
        cursor = conn.cursor()
        cursor.execute("SET statement_timeout = '700ms'")
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute(f'REINDEX INDEX CONCURRENTLY "{index}"')
    finally:
        conn.close()


def test_a_disk_that_is_too_small_is_seen_before_the_rebuild_is_begun(shop: PrivatePostgres) -> None:
    with tablespace(shop, "2m") as disk:
        index = slow_index(shop, more="TABLESPACE small")
        _fill_up(disk, leave=20_000)
        before = issued(shop, "REINDEX")

        answer = maintain(REINDEX, shop)
        told = maintain(REINDEX, shop, check=True)

        assert invalid(shop) == [index]
        assert issued(shop, "REINDEX") == before
        (disk / "filler").unlink()
        healed = maintain(REINDEX, shop)
        assert_sound(shop, index)
    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert str(disk) in answer["reason"]
    assert "bytes free" in answer["reason"]
    assert "room" in actions(answer)[0]
    assert str(disk) in told["reason"]
    assert healed["verdict"] == "ok"


def test_a_disk_that_fills_up_meanwhile_is_named_and_nothing_is_left(shop: PrivatePostgres) -> None:
    with tablespace(shop, "2m") as disk:
        index = slow_index(shop, more="TABLESPACE small")
        naps(shop, 0.02)
        process = begin(REINDEX, shop)
        at_work(shop, "REINDEX")
        _fill_up(disk, leave=0)
        answer = end(process)

        assert invalid(shop) == [index]
        assert leftovers(shop) == []
        (disk / "filler").unlink()
        naps(shop, 0)
        assert maintain(REINDEX, shop)["verdict"] == "ok"
        assert_sound(shop, index)
    assert (answer["verdict"], answer["changed"]) == ("failed", False)
    assert "No space left on device" in answer["reason"]


def _fill_up(disk: pathlib.Path, leave: int) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler:
        room = os.statvfs(disk)
        todo = room.f_bavail * room.f_frsize - leave
        while todo > 0:
            todo -= filler.write(bytes(min(todo, 4096)))
    wait_for(lambda: os.statvfs(disk).f_bavail * room.f_frsize <= leave, "the disk is full")


def test_an_index_that_somebody_else_builds_is_left_to_them(shop: PrivatePostgres) -> None:
    slow_index(shop)
    shop.run_sql("DROP INDEX slow_one", SHOP)
    naps(shop, 0.02)
    before = issued(shop, "REINDEX")
    sql = "CREATE INDEX CONCURRENTLY theirs ON slow (slowly(id))"
    builder = threading.Thread(target=shop.run_sql, args=(sql, SHOP), daemon=True)
    builder.start()
    wait_for(lambda: invalid(shop) == ["theirs"], "their index is begun")

    answer = maintain(REINDEX, shop)

    assert invalid(shop) == ["theirs"], "it was over too soon to be seen"
    assert (answer["changed"], answer["failed"], answer["planned"]) == (False, False, [])
    assert [finding["subject"] for finding in answer["findings"]] == [f"{SHOP}: public.theirs"]
    assert "being built" in answer["findings"][0]["message"]
    assert issued(shop, "REINDEX") == before
    builder.join(60)
    assert_sound(shop, "theirs")
