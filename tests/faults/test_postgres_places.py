# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where no maintenance can be done at all: standbys, and databases that let nobody in."""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

import pytest
from support.postgres import SHOP, PrivatePostgres, wait_for
from support.postgres_faults import REINDEX, REVIEW, VACUUM, broken_index, invalid, issued, maintain, neglect, subjects

pytest_plugins = ("support.postgres_fixtures",)


@contextlib.contextmanager
def _closed(server: PrivatePostgres) -> t.Iterator[None]:
    server.run_sql("CREATE DATABASE closed")
    server.run_sql("ALTER DATABASE closed ALLOW_CONNECTIONS false")
    try:
        yield
    finally:
        server.run_sql("DROP DATABASE closed")


def test_a_standby_is_skipped_by_its_name_and_can_be_reviewed(shop: PrivatePostgres) -> None:
    neglect(shop)
    broken_index(shop)
    standby = shop.make_standby()
    try:
        ready = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('broken')"
        wait_for(lambda: standby.run_sql(ready, SHOP), "the standby has it all")
        answers = [maintain(module, standby) for module in (VACUUM, REINDEX)]
        review = maintain(REVIEW, standby)
        log = standby.log()
        place = f"127.0.0.1:{standby.port}"
    finally:
        standby.close()

    for answer in answers:
        assert (answer["verdict"], answer["changed"], answer["failed"]) == ("skipped", False, False)
        assert f"the server at {place} is a standby" in answer["reason"]
    assert "statement: VACUUM" not in log
    assert "statement: REINDEX" not in log
    assert not review["failed"], review["reason"]
    assert any("public.broken" in finding["subject"] for finding in review["findings"])


@pytest.mark.parametrize("module", [VACUUM, REINDEX])
def test_a_database_that_refuses_connections_is_told_and_the_others_are_done(
    shop: PrivatePostgres, module: str
) -> None:
    neglect(shop)
    broken_index(shop)
    with _closed(shop):
        answer = maintain(module, shop, databases=[])

    assert (answer["failed"], answer["changed"]) == (False, True)
    told = [finding for finding in answer["findings"] if finding["subject"] == "closed"]
    assert [finding["severity"] for finding in told] == ["info"]
    assert {entry["database"] for entry in answer["done"]} == {SHOP}
    assert invalid(shop) == ([] if module == REINDEX else ["broken"])


@pytest.mark.parametrize("module", [VACUUM, REVIEW])
def test_a_database_that_refuses_connections_and_was_asked_for_is_no_success(
    shop: PrivatePostgres, module: str
) -> None:
    neglect(shop)
    broken_index(shop)
    with _closed(shop):
        answer = maintain(module, shop, databases=["closed", SHOP])

    assert answer["failed"] is True
    assert answer["verdict"] == ("unknown" if module == REVIEW else "failed")
    assert "closed" in answer["reason"]
    assert "not currently accepting connections" in answer["reason"]
    if module == VACUUM:
        assert "public.busy" in subjects(answer["done"])


def test_templates_are_left_alone(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE DATABASE pattern IS_TEMPLATE true")
    before = len(issued(shop, "VACUUM"))
    try:
        answer = maintain(VACUUM, shop, databases=[])
    finally:
        shop.run_sql("ALTER DATABASE pattern IS_TEMPLATE false")
        shop.run_sql("DROP DATABASE pattern")

    assert not answer["failed"], answer["reason"]
    assert not {plan["database"] for plan in answer["planned"]} & {"pattern", "template0", "template1"}
    assert len(issued(shop, "VACUUM")) - before == len(answer["done"])


def test_nothing_is_begun_while_a_standby_is_too_far_behind(shop: PrivatePostgres) -> None:
    neglect(shop)
    standby = shop.make_standby()
    receiver = 0
    try:
        heard_of = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn IS NOT NULL"
        wait_for(lambda: shop.run_sql(heard_of), "the standby says how far it is")
        receiver = standby.run_sql("SELECT pid FROM pg_stat_wal_receiver")[0][0]
        os.kill(receiver, signal.SIGSTOP)
        shop.run_sql("CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 3000)", SHOP)
        before = issued(shop, "VACUUM")
        held = maintain(VACUUM, shop, replica_lag_bytes=1_000_000, budget="3s")
        touched = issued(shop, "VACUUM") != before
        os.kill(receiver, signal.SIGCONT)
        done = maintain(VACUUM, shop, replica_lag_bytes=1_000_000)
    finally:
        standby.close()

    assert (held["verdict"], held["changed"], touched) == ("skipped", False, False)
    assert "standby" in held["reason"]
    assert "WAL behind" in held["reason"]
    assert (done["verdict"], "public.busy" in subjects(done["done"])) in (("ok", True), ("findings", True))
