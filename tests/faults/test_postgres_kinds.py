# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of tables and indexes that are not simply a table or an index."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import psycopg2
import pytest
from support.postgres import SHOP, PrivatePostgres, free_port, settle
from support.postgres_faults import (
    OLD_SNAPSHOT,
    REINDEX,
    VACUUM,
    assert_sound,
    invalid,
    issued,
    leftovers,
    maintain,
    neglect,
    spoil,
    subjects,
    transaction,
)

pytest_plugins = ("support.postgres_fixtures",)


def _vacuumed(server: PrivatePostgres) -> set[str]:
    rows = server.run_sql("SELECT relname FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL", SHOP)
    return {row[0] for row in rows}


def _counted(server: PrivatePostgres) -> None:
    """Every table has its statistics and no need; what changes afterwards is what a test is about."""
    server.run_sql("VACUUM ANALYZE", SHOP)
    server.run_sql("SELECT pg_stat_reset()", SHOP)


def _kill_rows(server: PrivatePostgres, table: str, rows: int = 5000) -> None:
    server.run_sql(f"UPDATE ONLY {table} SET id = id", SHOP)
    settle(server, table, rows)


def test_a_partitioned_table_is_vacuumed_leaf_by_leaf_and_only_where_needed(shop: PrivatePostgres) -> None:
    shop.run_sql(
        """
CREATE TABLE part (id int) PARTITION BY RANGE (id);
CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (5001) PARTITION BY RANGE (id);
CREATE TABLE part_low_leaf PARTITION OF part_low FOR VALUES FROM (0) TO (5001);
CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (5001) TO (10001);
INSERT INTO part SELECT generate_series(1, 10000);
""",
        SHOP,
    )
    _counted(shop)
    _kill_rows(shop, "part_low_leaf")
    before = len(issued(shop, "VACUUM"))

    answer = maintain(VACUUM, shop)

    assert (answer["verdict"], subjects(answer["done"])) == ("ok", {"public.part_low_leaf"})
    assert len(issued(shop, "VACUUM")) - before == 1
    assert _vacuumed(shop) == {"part_low_leaf"}


@pytest.mark.parametrize("needy", ["parent", "child"])
def test_of_tables_that_inherit_only_the_one_that_needs_it_is_vacuumed(shop: PrivatePostgres, needy: str) -> None:
    """From 18 on, the server would do the children of a table with it."""
    shop.run_sql("CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent)", SHOP)
    for table in ("parent", "child"):
        shop.run_sql(f"INSERT INTO {table} SELECT generate_series(1, 5000)", SHOP)
    _counted(shop)
    _kill_rows(shop, needy)

    answer = maintain(VACUUM, shop)

    assert (answer["verdict"], subjects(answer["done"])) == ("ok", {f"public.{needy}"})
    assert _vacuumed(shop) == {needy}


@contextlib.contextmanager
def _foreign(server: PrivatePostgres, file: pathlib.Path) -> t.Iterator[None]:
    """Two foreign tables and one foreign partition: one reads a file, two lead to a server that is not there."""
    file.write_text("1\n2\n3\n")
    server.run_sql(
        f"""
CREATE EXTENSION file_fdw; CREATE EXTENSION postgres_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE from_file (id int) SERVER files OPTIONS (filename '{file}', format 'csv');
CREATE SERVER nowhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{free_port()}');
CREATE USER MAPPING FOR PUBLIC SERVER nowhere OPTIONS (password 'x');
CREATE FOREIGN TABLE from_nowhere (id int) SERVER nowhere;
CREATE TABLE mixed (id int) PARTITION BY RANGE (id);
CREATE TABLE mixed_here PARTITION OF mixed FOR VALUES FROM (0) TO (5001);
CREATE FOREIGN TABLE mixed_nowhere PARTITION OF mixed FOR VALUES FROM (5001) TO (9001) SERVER nowhere;
INSERT INTO mixed SELECT generate_series(1, 5000);
""",
        SHOP,
    )
    yield


def test_foreign_tables_are_left_alone_and_one_that_cannot_be_reached_is_named(
    shop: PrivatePostgres, tmp_path: pathlib.Path
) -> None:
    assert shop.has_extension("postgres_fdw")
    assert shop.has_extension("file_fdw")
    neglect(shop)
    with _foreign(shop, tmp_path / "rows.csv"):
        settle(shop, "mixed_here", 5000)
        vacuum = maintain(VACUUM, shop)
        analyze = maintain(VACUUM, shop, task="analyze")
        rebuild = maintain(REINDEX, shop)

    assert vacuum["verdict"] == "ok", vacuum["reason"]
    assert {"public.busy", "public.mixed_here"} == subjects(vacuum["done"])
    assert (rebuild["verdict"], rebuild["planned"]) == ("ok", [])
    foreign = {"public.from_file", "public.from_nowhere", "public.mixed_nowhere"}
    assert not foreign & subjects(analyze["planned"])
    # To gather the statistics of the whole, the server asks all partitions, the one far away too.
    assert (analyze["verdict"], subjects(analyze["not_done"])) == ("failed", {"public.mixed"})
    assert "could not connect to server" in analyze["reason"]


def test_temporary_tables_of_others_are_left_alone(shop: PrivatePostgres) -> None:
    other = shop.connect(SHOP)
    try:
        cursor = other.cursor()
        cursor.execute("CREATE TEMPORARY TABLE scratch AS SELECT generate_series(1, 5000) AS id")
        cursor.execute("DELETE FROM pg_temp.scratch")
        cursor.execute("CREATE INDEX scratch_one ON scratch (id)")
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'scratch_one'::regclass")
        answers = [maintain(VACUUM, shop), maintain(VACUUM, shop, task="analyze"), maintain(REINDEX, shop)]
    finally:
        other.close()

    for answer in answers:
        assert (answer["verdict"], answer["planned"]) == ("ok", [])


def test_unlogged_tables_and_materialised_views_are_maintained(shop: PrivatePostgres) -> None:
    shop.run_sql(
        """
CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
INSERT INTO fleeting SELECT generate_series(1, 5000);
CREATE MATERIALIZED VIEW seen AS SELECT id, id % 7 AS kind FROM fleeting;
CREATE UNIQUE INDEX seen_one ON seen (id);
""",
        SHOP,
    )
    _counted(shop)
    _kill_rows(shop, "fleeting")
    shop.run_sql("DELETE FROM fleeting WHERE id > 1000", SHOP)
    shop.run_sql("REFRESH MATERIALIZED VIEW CONCURRENTLY seen", SHOP)
    settle(shop, "fleeting", 9000)
    settle(shop, "seen", 4000)
    spoil(shop, "seen_one", "fleeting_pkey")

    vacuum, rebuild = maintain(VACUUM, shop), maintain(REINDEX, shop)

    assert (vacuum["verdict"], subjects(vacuum["done"])) == ("ok", {"public.fleeting", "public.seen"})
    assert (rebuild["verdict"], subjects(rebuild["done"])) == ("ok", {"public.fleeting_pkey", "public.seen_one"})
    assert_sound(shop, "seen_one", "fleeting_pkey")


def test_an_invalid_index_of_one_partition_is_rebuilt_and_that_of_the_whole_left_alone(shop: PrivatePostgres) -> None:
    shop.run_sql(
        """
CREATE TABLE part (id int, kind int) PARTITION BY RANGE (id);
CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (5000);
CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (5000) TO (10000);
CREATE INDEX part_one ON part (id);
CREATE INDEX part_unfinished ON ONLY part (kind);
INSERT INTO part SELECT g, g % 7 FROM generate_series(1, 9999) AS g;
""",
        SHOP,
    )
    spoil(shop, "part_low_id_idx")

    answer = maintain(REINDEX, shop)

    assert (answer["verdict"], subjects(answer["done"])) == ("ok", {"public.part_low_id_idx"})
    assert invalid(shop) == ["part_unfinished"], "it has no rows; it becomes valid when all partitions have theirs"
    attached = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'part_one'::regclass"
    assert shop.run_sql(attached, SHOP) == [(2,)]
    assert maintain(REINDEX, shop)["changed"] is False


def test_an_exclusion_constraint_is_told_not_rebuilt(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE booked (during int4range, EXCLUDE USING gist (during WITH &&))", SHOP)
    shop.run_sql("INSERT INTO booked SELECT int4range(g, g + 1) FROM generate_series(1, 100) AS g", SHOP)
    spoil(shop, "booked_during_excl")
    before = issued(shop, "REINDEX")

    answer = maintain(REINDEX, shop)

    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert "exclusion constraint" in answer["reason"]
    assert 'REINDEX INDEX "public"."booked_during_excl"' in answer["findings"][0]["action"]
    assert issued(shop, "REINDEX") == before


def test_the_leftover_of_a_toast_tables_index_is_removed(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE letters (body text); INSERT INTO letters SELECT repeat(md5(g::text), 900) FROM "
                 "generate_series(1, 50) AS g; ALTER TABLE letters ALTER body SET STORAGE EXTERNAL", SHOP)  # fmt: skip
    shop.run_sql("INSERT INTO letters SELECT repeat(md5(g::text), 900) FROM generate_series(1, 50) AS g", SHOP)
    index = shop.run_sql(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class AS c ON c.reltoastrelid = indrelid"
        " WHERE c.relname = 'letters'",
        SHOP,
    )[0][0]
    conn = shop.connect(SHOP)
    cursor = conn.cursor()
    cursor.execute("SET statement_timeout = '500ms'")
    with transaction(shop, *OLD_SNAPSHOT), pytest.raises(psycopg2.errors.QueryCanceled):
        cursor.execute(f"REINDEX INDEX CONCURRENTLY {index}")
    conn.close()
    assert len(leftovers(shop)) == 1

    answer = maintain(REINDEX, shop)

    assert (answer["verdict"], answer["changed"]) == ("ok", True), answer["reason"]
    assert "letters" in str(answer["done"])
    assert_sound(shop)
    assert shop.run_sql("SELECT count(*), min(length(body)) FROM letters", SHOP) == [(100, 28800)]
