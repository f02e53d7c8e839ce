# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_reindex after a collation drifted: the indexes first, the version last, and over several runs if need be."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres

pytest_plugins = ("support.postgres_fixtures",)
pytestmark = pytest.mark.contrib

_OLD = "0.1"
_REBUILD, _REFRESH = "REINDEX INDEX CONCURRENTLY", "ALTER COLLATION REFRESH VERSION"


@pytest.fixture
def state(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "state")


@pytest.fixture
def german(shop: PrivatePostgres) -> PrivatePostgres:
    """Two tables with indexes that depend on a collation, and one index that does not; the collation drifted."""
    shop.run_sql(
        """
CREATE COLLATION german (provider = icu, locale = 'de-DE');
CREATE TABLE people (id int PRIMARY KEY, name text COLLATE german);
CREATE TABLE places (id int, name text COLLATE german UNIQUE);
CREATE INDEX by_name ON people (name);
CREATE INDEX by_start ON people (id) WHERE name < 'm';
INSERT INTO people SELECT g, 'name ' || g FROM generate_series(1, 1000) AS g;
INSERT INTO places SELECT g, 'name ' || g FROM generate_series(1, 1000) AS g;
""",
        SHOP,
    )
    shop.run_sql("UPDATE pg_collation SET collversion = %s WHERE collname = 'german'", SHOP, (_OLD,))
    return shop


def _run(server: PrivatePostgres, state: str, check: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
    waits = {"lock_timeout": "1s", "lock_wait": "1s"}
    given = {**server.login_arguments, "databases": [SHOP], "state_dir": state, **waits, **arguments}
    return run_module("postgres_reindex", given, check=check)


def _version(server: PrivatePostgres) -> str:
    return str(server.run_sql("SELECT collversion FROM pg_collation WHERE collname = 'german'", SHOP)[0][0])


def _files(server: PrivatePostgres) -> dict[str, int]:
    rows = server.run_sql("SELECT relname, relfilenode FROM pg_class WHERE relkind = 'i' AND oid >= 16384", SHOP)
    return {str(name): int(file) for name, file in rows if not name.startswith("pg_toast")}


def _done(answer: dict[str, t.Any]) -> list[tuple[str, str]]:
    return [(entry["action"], entry["subject"].rpartition(".")[2]) for entry in answer["done"]]


def test_dependent_indexes_are_rebuilt_and_then_the_version_is_refreshed(german: PrivatePostgres, state: str) -> None:
    before = _files(german)
    told = _run(german, state, check=True)
    assert (_version(german), _files(german)) == (_OLD, before)

    answer = _run(german, state)
    again = _run(german, state)

    wanted = {"by_name", "by_start", "places_name_key"}
    assert {plan["subject"].rpartition(".")[2] for plan in told["planned"]} == wanted | {"german"}
    assert (answer["verdict"], answer["not_done"]) == ("ok", [])
    assert set(_done(answer)[:-1]) == {(_REBUILD, name) for name in wanted}
    assert _done(answer)[-1] == (_REFRESH, "german")
    assert f"collation public.german went from version {_OLD} to" in answer["done"][0]["reason"]
    assert _version(german) != _OLD
    after = _files(german)
    assert {name for name in after if after[name] != before[name]} == wanted
    statements = [line for line in german.log().splitlines() if "statement: REINDEX" in line or "REFRESH" in line]
    assert "REFRESH" in statements[-1]
    assert (again["verdict"], again["changed"]) == ("ok", False)


def test_the_version_is_not_refreshed_while_one_index_waits_and_the_next_run_goes_on(
    german: PrivatePostgres, state: str
) -> None:
    holder = german.connect(SHOP)
    holder.autocommit = False
    holder.cursor().execute("LOCK TABLE places IN SHARE MODE; SELECT pg_sleep(1.2)")
    before = _files(german)

    first = _run(german, state)
    holder.close()
    between = _files(german)
    second = _run(german, state)

    assert {name for _action, name in _done(first)} == {"by_name", "by_start"}
    reasons = {entry["subject"].rpartition(".")[2]: entry["reason"] for entry in first["not_done"]}
    assert set(reasons) == {"places_name_key", "german"}
    assert "1 of 3 dependent indexes are not rebuilt yet: public.places_name_key" in reasons["german"]
    assert between["places_name_key"] == before["places_name_key"]
    assert _done(second) == [(_REBUILD, "places_name_key"), (_REFRESH, "german")]
    after = _files(german)
    assert {name for name in after if after[name] != between[name]} == {"places_name_key"}
    assert second["verdict"] == "ok"


def test_rebuilds_from_before_another_drift_do_not_count(german: PrivatePostgres, state: str) -> None:
    _run(german, state)
    german.run_sql("UPDATE pg_collation SET collversion = '0.2' WHERE collname = 'german'", SHOP)

    answer = _run(german, state)

    assert len(answer["done"]) == 4


def test_without_memory_everything_is_rebuilt_again_rather_than_believed(
    german: PrivatePostgres, tmp_path: pathlib.Path
) -> None:
    german.run_sql("CREATE TABLE locked (name text COLLATE german PRIMARY KEY)", SHOP)
    with_lock = german.connect(SHOP)
    with_lock.autocommit = False
    with_lock.cursor().execute("LOCK TABLE locked IN SHARE MODE; SELECT pg_sleep(1.2)")
    first = _run(german, str(tmp_path / "one"))
    with_lock.close()

    second = _run(german, str(tmp_path / "two"))

    assert len(first["done"]) == 3
    assert len(second["done"]) == 5


def test_an_exclusion_constraint_keeps_the_version_and_both_statements_are_told(
    german: PrivatePostgres, state: str
) -> None:
    german.run_sql("CREATE TABLE once (name text COLLATE german, EXCLUDE USING btree (name WITH =))", SHOP)

    answer = _run(german, state)

    assert len(answer["done"]) == 3
    assert _version(german) == _OLD
    actions = " ".join(finding["action"] for finding in answer["findings"])
    assert 'REINDEX INDEX "public"."once_name_excl" in a window' in actions
    assert 'ALTER COLLATION "public"."german" REFRESH VERSION' in actions


def test_partitions_by_ranges_keep_the_version_until_somebody_looked(german: PrivatePostgres, state: str) -> None:
    german.run_sql("CREATE TABLE split (name text COLLATE german) PARTITION BY RANGE (name)", SHOP)

    answer = _run(german, state)

    assert len(answer["done"]) == 3
    assert _version(german) == _OLD
    assert [(found["severity"], "public.split" in found["message"]) for found in answer["findings"]] == [("high", True)]


def test_who_does_not_own_the_collation_is_told_the_grant(german: PrivatePostgres, state: str) -> None:
    german.run_sql("CREATE ROLE keeper LOGIN PASSWORD 'keeper-secret'; CREATE ROLE linguist")
    german.run_sql("ALTER TABLE people OWNER TO keeper; ALTER TABLE places OWNER TO keeper", SHOP)
    german.run_sql("ALTER COLLATION german OWNER TO linguist", SHOP)

    answer = _run(german, state, login_user="keeper", login_password="keeper-secret")

    version = _version(german)
    german.run_sql("DROP OWNED BY keeper, linguist CASCADE", SHOP)
    german.run_sql("DROP ROLE keeper, linguist")
    assert len(answer["done"]) == 3
    assert answer["failed"]
    assert 'GRANT "linguist" TO "keeper"' in {finding["action"] for finding in answer["findings"]}
    assert version == _OLD


def test_collations_are_left_alone_when_not_asked_for(german: PrivatePostgres, state: str) -> None:
    answer = _run(german, state, collations=False)

    assert (answer["verdict"], answer["changed"], _version(german)) == ("ok", False, _OLD)


def test_the_default_collation_of_a_database_is_refreshed_too(postgres: PrivatePostgres, state: str) -> None:
    if postgres.major < 15:  # it has no version there: nothing to compare, nothing to refresh
        assert not postgres.run_sql("SELECT FROM pg_attribute WHERE attname = 'datcollversion'")
        return
    icu = "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C'"
    postgres.run_sql(f"CREATE DATABASE {SHOP} TEMPLATE template0 ENCODING 'UTF8' {icu}")
    try:
        postgres.run_sql("CREATE TABLE things (id int PRIMARY KEY, word text UNIQUE)", SHOP)
        sql = "UPDATE pg_database SET datcollversion = %s WHERE datname = %s"
        postgres.run_sql(sql, parameters=(_OLD, SHOP))

        answer = _run(postgres, state)
        again = _run(postgres, state)

        left = postgres.run_sql("SELECT datcollversion FROM pg_database WHERE datname = %s", parameters=(SHOP,))
    finally:
        postgres.run_sql(f"DROP DATABASE {SHOP} WITH (FORCE)")
    assert answer["not_done"] == []
    refreshed = ("ALTER DATABASE REFRESH COLLATION VERSION", "default collation")
    assert _done(answer) == [(_REBUILD, "things_word_key"), refreshed]
    assert left[0][0] != _OLD
    assert (again["verdict"], again["changed"]) == ("ok", False)
