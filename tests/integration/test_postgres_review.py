# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_review_info on a real server: planted defects are found, a healthy database has none."""

from __future__ import annotations

import typing as t

import psycopg2
import pytest
from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres, settle, wait_for

pytest_plugins = ("support.postgres_fixtures",)

_CHECKS = 13


def _run(server: PrivatePostgres, **arguments: t.Any) -> dict[str, t.Any]:
    return run_module("postgres_review_info", {**server.login_arguments, "databases": [SHOP], **arguments})


def _found(answer: dict[str, t.Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for finding in answer["findings"]:
        found.setdefault(finding["id"].rpartition(".")[2], set()).add(finding["subject"])
    return found


def test_planted_defects_are_found_and_each_says_what_to_do(shop: PrivatePostgres) -> None:
    shop.run_sql(
        """
CREATE TABLE sick (id int PRIMARY KEY, word text);
CREATE INDEX sick_word ON sick (word);
CREATE INDEX sick_again ON sick (word);
INSERT INTO sick SELECT g, 'word ' || (g * 7919 % 100000) FROM generate_series(1, 100000) AS g;
DELETE FROM sick WHERE id % 10 <> 0;
CREATE TABLE doubled (id int);
INSERT INTO doubled VALUES (1), (1);
""",
        SHOP,
    )
    settle(shop, "sick", 190000)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        shop.run_sql("CREATE UNIQUE INDEX CONCURRENTLY broken ON doubled (id)", SHOP)
    holder = shop.connect(SHOP)
    try:
        holder.autocommit = False
        holder.cursor().execute("SELECT txid_current()")

        up = "SELECT clock_timestamp() - pg_postmaster_start_time() > interval '1.5 s'"
        wait_for(lambda: shop.run_sql(up)[0][0], "statistics older than unused_after")
        answer = _run(shop, transaction_age="1s", unused_after="1s")
        found = _found(answer)
    finally:
        holder.close()

    assert answer["verdict"] == "findings"
    assert answer["changed"] is False
    assert found["dead_rows"] == {f"{SHOP}: public.sick"}
    assert found["invalid_index"] == {f"{SHOP}: public.broken"}
    assert found["duplicate_index"] == {f"{SHOP}: public.sick_again"}
    assert f"{SHOP}: public.sick_pkey" in found["bloat"]
    assert {f"{SHOP}: public.sick_word", f"{SHOP}: public.sick_again"} == found["unused_index"]
    assert "setting fsync" in found["setting"]
    assert all(finding["action"] for finding in answer["findings"])


def test_old_transactions_are_named(shop: PrivatePostgres) -> None:
    holder = shop.connect(SHOP)
    try:
        holder.autocommit = False
        holder.cursor().execute("SELECT txid_current(), pg_sleep(1.2)")

        pid = holder.info.backend_pid
        found = _found(_run(shop, transaction_age="1s"))
    finally:
        holder.close()

    assert found["old_transaction"] == {f"session {pid}"}


def test_a_missing_extension_is_a_finding_and_counted_as_not_looked_at(shop: PrivatePostgres) -> None:
    answer = _run(shop)

    assert not answer["failed"]
    assert answer["verdict"] == "findings"
    assert answer["coverage"] == {"looked": _CHECKS - 1, "of": _CHECKS}
    told = [finding for finding in answer["findings"] if finding["id"] == "postgres.review.cannot_look"]
    assert len(told) == 1
    assert "pg_stat_statements" in told[0]["message"]


def test_a_healthy_database_has_nothing_of_its_own(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE well (id int PRIMARY KEY); INSERT INTO well SELECT generate_series(1, 1000)", SHOP)
    shop.run_sql("VACUUM ANALYZE", SHOP)

    answer = _run(shop)

    assert set(_found(answer)) <= {"setting", "cannot_look"}
    facts = answer["facts"]["databases"][SHOP]
    assert facts["size_bytes"] > 0
    assert facts["largest_tables"][0]["table"] == "public.well"


def test_slow_queries_are_told_without_passwords() -> None:
    with PrivatePostgres() as server:
        server.run_sql(f"CREATE DATABASE {SHOP}")
        if not server.has_extension("pg_stat_statements"):
            answer = _run(server)
            assert answer["coverage"]["looked"] < answer["coverage"]["of"]
            return
        server.run_sql("CREATE EXTENSION pg_stat_statements", SHOP)
        not_loaded = _run(server)
        assert "shared_preload_libraries" in str(not_loaded["findings"])
        assert not not_loaded["failed"]

        server.configure(shared_preload_libraries="pg_stat_statements")
        server.restart()
        for _ in range(3):
            server.run_sql("SELECT pg_sleep(0.2)", SHOP)
        server.run_sql("CREATE ROLE somebody PASSWORD 'geheim42'")
        answer = _run(server, slow_mean_ms=150)

    slow = [finding for finding in answer["findings"] if finding["id"] == "postgres.review.slow_query"]
    assert len(slow) == 1
    assert "pg_sleep" in slow[0]["message"]
    assert answer["coverage"] == {"looked": _CHECKS, "of": _CHECKS}
    assert "geheim42" not in str(answer)


def test_a_check_that_takes_too_long_makes_the_review_unknown(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE held (id int PRIMARY KEY)", SHOP)
    blocker = shop.connect(SHOP)
    try:
        blocker.autocommit = False
        # The catalog itself: no check gets past it.
        blocker.cursor().execute(
            "LOCK TABLE pg_catalog.pg_statio_all_tables, pg_catalog.pg_index IN ACCESS EXCLUSIVE MODE"
        )

        answer = _run(shop, check_timeout="1s")
    finally:
        blocker.close()

    assert answer["failed"]
    assert answer["verdict"] == "unknown"
    assert "timeout" in answer["reason"]
