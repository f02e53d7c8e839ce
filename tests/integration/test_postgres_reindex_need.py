# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which indexes postgres_reindex picks on a real server: by what it learned, TOAST, catalogs, other kinds, or all."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres, settle, wait_for

pytest_plugins = ("support.postgres_fixtures",)


@pytest.fixture
def state(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "state")


def _run(server: PrivatePostgres, state: str, check: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
    given = {**server.login_arguments, "databases": [SHOP], "state_dir": state, "lock_timeout": "2s", **arguments}
    return run_module("postgres_reindex", given, check=check)


def _done(answer: dict[str, t.Any]) -> list[str]:
    return [entry["subject"].rpartition(".")[2] for entry in answer["done"]]


def _measured(server: PrivatePostgres) -> int:
    """How many indexes were read from end to end so far."""
    return server.log().count("avg_leaf_density")


def _pgstattuple(server: PrivatePostgres) -> None:
    server.run_sql("CREATE EXTENSION pgstattuple", SHOP)


def _count(server: PrivatePostgres, table: str, modified: int) -> None:
    """Have the rows of a table counted after `modified` changes, and the statistics know it: up to 14 they travel
    through a collector, which may hear of the changes later than of the count."""
    settle(server, table, modified)
    server.run_sql(f"VACUUM ANALYZE {table}", SHOP)
    sql = "SELECT n_mod_since_analyze FROM pg_stat_all_tables WHERE relid = %s::regclass"
    wait_for(lambda: server.run_sql(sql, SHOP, (table,))[0][0] == 0, f"count of {table}")


def _tables(server: PrivatePostgres) -> None:
    for name in ("one", "two"):
        server.run_sql(
            f"CREATE TABLE {name} (id int PRIMARY KEY); INSERT INTO {name} SELECT generate_series(1, 100000)", SHOP
        )
        _count(server, name, 100000)


@pytest.mark.contrib
def test_only_what_grew_by_its_learned_size_per_row_is_measured_again(shop: PrivatePostgres, state: str) -> None:
    _pgstattuple(shop)
    _tables(shop)
    small = {"minimum_bytes": 1000000}
    start = _measured(shop)

    first = _run(shop, state, **small)
    after_first = _measured(shop)
    second = _run(shop, state, **small)
    after_second = _measured(shop)
    shop.run_sql("DELETE FROM one WHERE id % 10 <> 0", SHOP)
    _count(shop, "one", 190000)
    third = _run(shop, state, **small)
    after_third = _measured(shop)
    fourth = _run(shop, state, **small)

    assert [answer["verdict"] for answer in (first, second, third, fourth)] == ["ok"] * 4
    assert after_first - start >= 2  # met for the first time, with one or the other catalog's index
    assert after_second == after_first
    assert _done(third) == ["one_pkey"]
    assert after_third - after_second == 1  # to confirm it; afterwards its size is the proof
    assert "by pgstatindex" in third["done"][0]["reason"]
    assert "bytes a row" in third["done"][0]["reason"]
    assert (fourth["changed"], _measured(shop)) == (False, after_third)


def test_without_the_extension_a_rebuilt_index_is_judged_by_its_size_per_row(shop: PrivatePostgres, state: str) -> None:
    """The estimate is blind where most keys are duplicates; what was learned from a rebuild is not."""
    shop.run_sql(
        "CREATE TABLE sold (id int, kind int); CREATE INDEX sold_kind ON sold (kind);"
        "INSERT INTO sold SELECT g, g % 5 FROM generate_series(1, 400000) AS g",
        SHOP,
    )
    _count(shop, "sold", 400000)
    rebuilt = _run(shop, state, every_index=True)
    shop.run_sql("DELETE FROM sold WHERE id % 20 <> 0", SHOP)
    _count(shop, "sold", 780000)

    answer = _run(shop, state)

    assert _done(rebuilt) == ["sold_kind"]
    assert _done(answer) == ["sold_kind"]
    assert "bytes a row" in answer["done"][0]["reason"]
    assert answer["done"][0]["reclaimed_bytes"] > 1000000


def test_an_index_of_another_kind_is_rebuilt_when_it_doubled(shop: PrivatePostgres, state: str) -> None:
    shop.run_sql(
        "CREATE TABLE documents (id int, tags int[]) WITH (autovacuum_enabled = off);"
        "INSERT INTO documents SELECT g, ARRAY[g, g + 1, g + 2] FROM generate_series(1, 40000) AS g;"
        "CREATE INDEX by_tags ON documents USING gin (tags)",
        SHOP,
    )
    _count(shop, "documents", 40000)
    first = _run(shop, state)
    shop.run_sql("DELETE FROM documents WHERE id > 4000", SHOP)
    _count(shop, "documents", 76000)

    second = _run(shop, state)
    third = _run(shop, state)

    assert (first["verdict"], first["changed"]) == ("ok", False)
    assert _done(second) == ["by_tags"]
    assert "times what it was" in second["done"][0]["reason"]
    assert (third["verdict"], third["changed"]) == ("ok", False)


def _toasted(server: PrivatePostgres) -> str:
    """A table of whose long values nine tenths are gone; gives the name of the TOAST table's index."""
    server.run_sql(
        "CREATE TABLE letters (id int, body text) WITH (autovacuum_enabled = off);"
        "ALTER TABLE letters ALTER body SET STORAGE EXTERNAL;"
        "INSERT INTO letters SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, 12000) AS g;"
        "DELETE FROM letters WHERE id % 10 <> 0",
        SHOP,
    )
    _count(server, "letters", 22800)
    sql = "SELECT i.indexrelid::regclass::text FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid"
    return str(server.run_sql(sql + " WHERE c.relname = 'letters'", SHOP)[0][0])


@pytest.mark.contrib
@pytest.mark.parametrize("extension", [True, False])
def test_the_index_of_a_toast_table_is_rebuilt_too(shop: PrivatePostgres, state: str, extension: bool) -> None:
    if extension:
        _pgstattuple(shop)
    name = _toasted(shop)

    first = _run(shop, state)
    second = _run(shop, state)

    assert [entry["subject"] for entry in first["done"]] == [name]
    assert "long values of public.letters" in first["done"][0]["reason"]
    assert first["done"][0]["reclaimed_bytes"] > 500000
    assert (second["verdict"], second["changed"]) == ("ok", False)


def test_a_toast_index_needs_its_schema_and_the_grant_is_named(shop: PrivatePostgres, state: str) -> None:
    _toasted(shop)
    shop.run_sql("CREATE ROLE keeper LOGIN PASSWORD 'keeper-secret'")
    shop.run_sql("ALTER TABLE letters OWNER TO keeper", SHOP)
    login = {"login_user": "keeper", "login_password": "keeper-secret"}

    refused = _run(shop, state, **login)
    grant = 'GRANT USAGE ON SCHEMA "pg_toast" TO "keeper"'
    shop.run_sql(grant, SHOP)
    allowed = _run(shop, state, **login)

    shop.run_sql('REVOKE USAGE ON SCHEMA "pg_toast" FROM "keeper"; DROP OWNED BY keeper', SHOP)
    shop.run_sql("DROP ROLE keeper")
    assert refused["failed"]
    assert grant in {finding["action"] for finding in refused["findings"]}
    assert not allowed["failed"], allowed["reason"]
    assert len(allowed["done"]) == 1


@pytest.mark.contrib
def test_a_bloated_catalog_is_told_with_the_statement_for_a_window(shop: PrivatePostgres, state: str) -> None:
    _pgstattuple(shop)
    shop.run_sql(
        "DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE 'CREATE TABLE wide (' ||"
        " (SELECT string_agg('c' || n || ' int', ', ') FROM generate_series(1, 900) AS n) || ')';"
        " DROP TABLE wide; END LOOP; END $$",
        SHOP,
    )
    shop.run_sql("VACUUM pg_attribute", SHOP)
    before = shop.run_sql("SELECT oid, relfilenode FROM pg_class WHERE relname ~ '^pg_attribute'", SHOP)

    answer = _run(shop, state)

    told = {finding["action"].partition(" in a window")[0] for finding in answer["findings"]}
    assert 'REINDEX INDEX "pg_catalog"."pg_attribute_relid_attnam_index"' in told
    assert (answer["verdict"], answer["changed"], answer["planned"]) == ("findings", False, [])
    assert shop.run_sql("SELECT oid, relfilenode FROM pg_class WHERE relname ~ '^pg_attribute'", SHOP) == before


def test_every_index_is_what_reindex_database_concurrently_rebuilds(shop: PrivatePostgres, state: str) -> None:
    shop.run_sql(
        """
CREATE SCHEMA other;
CREATE TABLE other.plain (id int PRIMARY KEY, word text UNIQUE);
CREATE INDEX by_expression ON other.plain (lower(word));
CREATE INDEX by_predicate ON other.plain (id) WHERE id > 5;
CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_one PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE MATERIALIZED VIEW view AS SELECT 1 AS id;
CREATE UNIQUE INDEX by_view ON view (id);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
""",
        SHOP,
    )
    sql = (
        "SELECT i.indexrelid::regclass::text, c.relfilenode"
        " FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid >= 16384 AND c.relkind = 'i'"
    )
    before = dict(shop.run_sql(sql, SHOP))

    ours = _run(shop, state, every_index=True, jobs=2)

    between = dict(shop.run_sql(sql, SHOP))
    shop.program("reindexdb", "--concurrently", "-h", shop.socket_dir, "-p", str(shop.port), "-U", shop.superuser, SHOP)
    after = dict(shop.run_sql(sql, SHOP))
    assert (ours["verdict"], ours["not_done"]) == ("ok", [])
    changed = {name for name in before if between[name] != before[name]}
    assert changed == {name for name in before if after[name] != between[name]} == set(before)
    assert len(ours["done"]) == len(before)


def test_what_was_learned_that_cannot_be_kept_is_told(shop: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    _tables(shop)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")

    answer = _run(shop, str(in_the_way / "state"), every_index=True)

    assert (answer["verdict"], len(answer["done"])) == ("findings", 2)
    assert str(in_the_way) in answer["findings"][0]["message"]
    assert "state_dir" in answer["findings"][0]["action"]


def test_check_mode_writes_nothing_anywhere(shop: PrivatePostgres, state: str) -> None:
    _tables(shop)

    told = _run(shop, state, check=True, every_index=True)

    assert len(told["planned"]) == 2
    assert not pathlib.Path(state).exists()


def test_a_rebuild_that_was_cut_short_leaves_the_time_to_others(shop: PrivatePostgres, state: str) -> None:
    shop.run_sql(
        """
CREATE FUNCTION slowly(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql
  AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.05); RETURN i; END $$;
CREATE TABLE slow (id int);
INSERT INTO slow SELECT generate_series(1, 100);
""",
        SHOP,
    )
    shop.run_sql("CREATE INDEX slow_one ON slow (slowly(id))", SHOP)
    shop.run_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'slow_one'::regclass", SHOP)

    first = _run(shop, state, budget="2s")
    issued = shop.log().count("statement: REINDEX")
    second = _run(shop, state, budget="2s")

    assert [entry["kind"] for entry in first["not_done"]] == ["budget"]
    assert "cut short" in second["reason"]
    assert shop.log().count("statement: REINDEX") == issued
    longer = _run(shop, state, budget="60s")
    assert _done(longer) == ["slow_one"]
