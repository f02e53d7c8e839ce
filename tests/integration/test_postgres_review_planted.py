# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_review_info: one defect of each kind, planted in a healthy database, is found, and nothing else is."""

from __future__ import annotations

import contextlib
import threading
import typing as t

import psycopg2
import pytest
from support.planted import DEFECTS, MANY
from support.postgres import SHOP, PrivatePostgres, wait_for
from support.reviews import add_shop, healthy_server, review, settled, told

pytestmark = pytest.mark.contrib


@pytest.fixture(scope="module")
def server() -> t.Iterator[PrivatePostgres]:
    server = healthy_server()
    yield server
    server.close()


@pytest.fixture
def shop(server: PrivatePostgres) -> t.Iterator[PrivatePostgres]:
    add_shop(server)
    yield server
    for slot in server.run_sql("SELECT slot_name FROM pg_replication_slots"):
        server.run_sql("SELECT pg_drop_replication_slot(%s)", parameters=slot)
    for gid, database in server.run_sql("SELECT gid, database FROM pg_prepared_xacts"):
        server.run_sql(f"ROLLBACK PREPARED '{gid}'", database)
    server.run_sql("ALTER SYSTEM RESET ALL")
    server.run_sql("SELECT pg_reload_conf()")
    server.run_sql(f"DROP DATABASE {SHOP} WITH (FORCE)")


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found_and_nothing_else(shop: PrivatePostgres, name: str) -> None:
    defect = DEFECTS[name]
    for statement in [part for part in (defect.sql.split(";") if "DO '" not in defect.sql else [defect.sql]) if part]:
        shop.run_sql(statement, SHOP)
    for statement in defect.after:
        shop.run_sql(statement, SHOP)
    shop.run_sql("SELECT pg_reload_conf()")
    settled(shop)

    answer = review(shop, **defect.arguments)

    assert answer["verdict"] == "findings", answer
    assert answer["coverage"]["looked"] == answer["coverage"]["of"]
    (finding,) = answer["findings"]
    assert finding["id"] == f"postgres.review.{defect.kind}"
    assert finding["subject"].endswith(defect.subject)
    assert defect.action in finding["action"]
    assert defect.says in finding["message"]


def test_an_invalid_index_is_told_with_what_makes_it_good(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE doubled (id int); INSERT INTO doubled VALUES (1), (1)", SHOP)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        shop.run_sql("CREATE UNIQUE INDEX CONCURRENTLY broken ON doubled (id)", SHOP)

    answer = review(shop)

    assert told(answer) == [("invalid_index", f"{SHOP}: public.broken")]
    assert answer["findings"][0]["action"].startswith('REINDEX INDEX CONCURRENTLY "public"."broken"')


def test_the_leftover_of_an_interrupted_reindex_is_told_to_be_dropped(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE doubled (id int); CREATE INDEX mine ON doubled (id)", SHOP)
    shop.run_sql("CREATE INDEX mine_ccnew ON doubled (id)", SHOP)
    shop.run_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'mine_ccnew'::regclass", SHOP)

    answer = review(shop)

    assert told(answer) == [("invalid_index", f"{SHOP}: public.mine_ccnew")]
    assert answer["findings"][0]["action"] == 'DROP INDEX CONCURRENTLY "public"."mine_ccnew"'


def test_an_incomplete_index_of_a_partitioned_table_is_told(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE parted (id int) PARTITION BY RANGE (id)", SHOP)
    shop.run_sql("CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (9)", SHOP)
    shop.run_sql("CREATE INDEX incomplete ON ONLY parted (id)", SHOP)

    answer = review(shop)

    assert told(answer) == [("invalid_index", f"{SHOP}: public.incomplete")]
    assert "ATTACH PARTITION" in answer["findings"][0]["action"]


def test_a_table_near_its_wraparound_is_told(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE sick (id int) WITH (autovacuum_freeze_max_age = 100000)", SHOP)
    shop.run_sql("INSERT INTO sick VALUES (1)", SHOP)
    _use_up_transactions(shop, 130_000)

    answer = review(shop)

    assert told(answer) == [("table_wraparound", f"{SHOP}: public.sick")]
    assert 'VACUUM (FREEZE) "public"."sick"' in answer["findings"][0]["action"]


def _use_up_transactions(server: PrivatePostgres, count: int) -> None:
    """Each subtransaction that writes takes a number."""
    server.run_sql("CREATE TABLE spent (id int)", SHOP)
    for _round in range(count // 10_000):
        server.run_sql(
            "DO 'BEGIN FOR i IN 1..10000 LOOP"
            " BEGIN INSERT INTO spent VALUES (1); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN END;"
            " END LOOP; END'",
            SHOP,
        )
    server.run_sql("DROP TABLE spent", SHOP)


def test_databases_near_the_wraparound_are_told_with_their_oldest_tables() -> None:
    server = healthy_server(autovacuum_freeze_max_age="100000")
    try:
        add_shop(server)
        server.run_sql("VACUUM (FREEZE)", "template1")
        _use_up_transactions(server, 130_000)
        answer = review(server)
    finally:
        server.close()

    found = told(answer)
    whole = [subject for kind, subject in found if kind == "wraparound"]
    assert {f"database {name}" for name in ("postgres", SHOP, "template0")} <= set(whole)
    tables = [subject for kind, subject in found if kind == "table_wraparound"]
    assert len(tables) == 5
    assert len(found) == len(whole) + len(tables)
    (hidden,) = [finding for finding in answer["findings"] if finding["subject"] == "database template0"]
    assert "nobody else can connect" in hidden["action"]


def test_an_old_transaction_is_told_with_how_to_end_it(shop: PrivatePostgres) -> None:
    holder = shop.connect(SHOP)
    try:
        holder.autocommit = False
        holder.cursor().execute("SELECT txid_current()")
        pid = holder.info.backend_pid
        age = "SELECT clock_timestamp() - xact_start > interval '1.2 s' FROM pg_stat_activity WHERE pid = %s"
        wait_for(lambda: shop.run_sql(age, parameters=(pid,))[0][0], "an old transaction")

        answer = review(shop, transaction_age="1s")
    finally:
        holder.close()

    assert told(answer) == [("old_transaction", f"session {pid}")]
    assert f"pg_terminate_backend({pid})" in answer["findings"][0]["action"]


def test_an_old_prepared_transaction_is_told_with_how_to_end_it(shop: PrivatePostgres) -> None:
    holder = shop.connect(SHOP)
    holder.autocommit = False
    holder.cursor().execute("CREATE TABLE later (id int)")
    holder.cursor().execute("PREPARE TRANSACTION 'forgotten'")
    holder.close()
    age = "SELECT clock_timestamp() - prepared > interval '1.2 s' FROM pg_prepared_xacts"
    wait_for(lambda: shop.run_sql(age)[0][0], "an old prepared transaction")

    answer = review(shop, transaction_age="1s")

    assert told(answer) == [("prepared_transaction", "prepared forgotten")]
    assert "ROLLBACK PREPARED 'forgotten'" in answer["findings"][0]["action"]


def test_a_queue_of_blocked_sessions_is_told_once_at_its_root(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE wanted (id int)", SHOP)
    sessions = [shop.connect(SHOP) for _number in range(3)]
    first, second, third = sessions
    pids = [session.info.backend_pid for session in sessions]
    try:
        first.autocommit = False
        first.cursor().execute("LOCK TABLE wanted IN ACCESS SHARE MODE")
        _start(second, "LOCK TABLE wanted IN ACCESS EXCLUSIVE MODE")
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        wait_for(lambda: shop.run_sql(waiting)[0][0] == 1, "a session that waits")
        _start(third, "SELECT * FROM wanted")
        wait_for(lambda: shop.run_sql(waiting)[0][0] == 2, "two sessions that wait")
        long = (
            "SELECT min(clock_timestamp() - query_start) > interval '1.2 s' FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock'"
        )
        wait_for(lambda: shop.run_sql(long)[0][0], "a long wait")

        answer = review(shop, blocked_after="1s")
    finally:
        first.close()
        for session in (second, third):
            session.cancel()
            session.close()

    assert told(answer) == [("blocked", f"session {pids[0]}")]
    finding = answer["findings"][0]
    assert "2 sessions wait for" in finding["message"]
    assert all(f"pid {pid} (" in finding["message"] for pid in pids)
    assert f"pg_terminate_backend({pids[0]})" in finding["action"]


def _start(conn: t.Any, statement: str) -> None:
    """Send a statement and do not wait for it."""

    def run() -> None:
        with contextlib.suppress(psycopg2.Error):  # it is cancelled at the end of the test
            conn.autocommit = False
            conn.cursor().execute(statement)

    threading.Thread(target=run, daemon=True).start()


def test_an_index_that_nobody_uses_is_told_and_those_in_use_are_not(shop: PrivatePostgres) -> None:
    shop.run_sql(f"CREATE TABLE things (id int PRIMARY KEY, word text); INSERT INTO things {MANY}", SHOP)
    shop.run_sql("CREATE INDEX things_word ON things (word)", SHOP)
    shop.run_sql("CREATE INDEX things_used ON things ((id + 1))", SHOP)
    shop.run_sql("CREATE TABLE parts (id int, thing int REFERENCES things)", SHOP)
    shop.run_sql("INSERT INTO parts SELECT g, g FROM generate_series(1, 60000) AS g", SHOP)
    shop.run_sql("CREATE INDEX parts_thing ON parts (thing)", SHOP)
    shop.run_sql("ANALYZE", SHOP)
    reset = "SELECT pg_stat_reset()"
    shop.run_sql(reset, SHOP)
    old = (
        "SELECT clock_timestamp() - stats_reset > interval '2.2 s' FROM pg_stat_database"
        f" WHERE datname = '{SHOP}' AND stats_reset IS NOT NULL"
    )
    wait_for(lambda: shop.run_sql(old, SHOP) and shop.run_sql(old, SHOP)[0][0], "statistics older than unused_after")
    shop.run_sql("SET enable_seqscan = off; SELECT * FROM things WHERE id + 1 = 7", SHOP)
    settled(shop)

    answer = review(shop, unused_after="2s")
    young = review(shop)

    assert told(answer) == [("unused_index", f"{SHOP}: public.things_word")]
    assert answer["findings"][0]["action"] == 'DROP INDEX CONCURRENTLY "public"."things_word"'
    assert told(young) == [], "statistics this young say nothing"


def test_the_drift_of_default_collations_is_told_for_templates_too(server: PrivatePostgres) -> None:
    if server.major < 15:
        return  # nothing keeps the version there; C, which the tests have, cannot drift
    german = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de'"
    server.run_sql(f"CREATE DATABASE {SHOP} {german}")
    server.run_sql(f"CREATE DATABASE pattern {german} IS_TEMPLATE true")
    try:
        for extension in ("pgstattuple", "pg_stat_statements"):
            server.run_sql(f"CREATE EXTENSION {extension}", SHOP)
        server.run_sql("CREATE TABLE sick (word text PRIMARY KEY)", SHOP)
        well = review(server)
        server.run_sql(f"UPDATE pg_database SET datcollversion = '1.2.3' WHERE datname IN ('{SHOP}', 'pattern')")
        answer = review(server)
    finally:
        server.run_sql("ALTER DATABASE pattern IS_TEMPLATE false")
        for name in (SHOP, "pattern"):
            server.run_sql(f"DROP DATABASE {name} WITH (FORCE)")

    assert told(well) == []
    assert told(answer) == [("collation", "database pattern"), ("collation", f"{SHOP}: default collation")]
    actions = [finding["action"] for finding in answer["findings"]]
    assert any('first REINDEX INDEX CONCURRENTLY "public"."sick_pkey", then ALTER DATABASE' in text for text in actions)
    assert any('ALTER DATABASE "pattern" REFRESH COLLATION VERSION' in text for text in actions)
