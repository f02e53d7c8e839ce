# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collations whose version drifted, on a real server: which indexes depend on them, and that the version is refreshed
only after each of these was rebuilt."""

from __future__ import annotations

import contextlib

import pytest
from support.postgres import SHOP, PrivatePostgres

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import collations

pytest_plugins = ("support.postgres_fixtures",)
pytestmark = pytest.mark.contrib

_OLD = "0.1"


def drift(server: PrivatePostgres, name: str) -> None:
    """What an update of the operating system does, the other way round: the recorded version is an older one."""
    server.run_sql("UPDATE pg_collation SET collversion = %s WHERE collname = %s", SHOP, (_OLD, name))


def drifts(server: PrivatePostgres, database: str = SHOP) -> dict[str, collations.Drift]:
    conn = server.connect(database)
    try:
        return {found.label: found for found in collations.drifted(conn)}
    finally:
        conn.close()


def dependents(server: PrivatePostgres, found: collations.Drift) -> set[str]:
    names = server.run_sql("SELECT relname FROM pg_class WHERE oid = ANY (%s)", SHOP, (list(found.indexes),))
    return {row[0] for row in names}


@pytest.fixture
def german(shop: PrivatePostgres) -> PrivatePostgres:
    """Indexes that depend on the collation german in every way there is, and others that do not."""
    shop.run_sql(
        """
CREATE COLLATION german (provider = icu, locale = 'de-DE');
CREATE COLLATION french (provider = icu, locale = 'fr-FR');
CREATE COLLATION unused (provider = icu, locale = 'it-IT');
CREATE DOMAIN word AS text COLLATE german;
CREATE TYPE words AS RANGE (subtype = text, collation = german);
CREATE TYPE pair AS (number int, name text COLLATE german);
CREATE TABLE people (id int PRIMARY KEY, name text COLLATE german, other text COLLATE french, plain text,
                     a_word word, some_words words, a_pair pair);
CREATE INDEX by_name ON people (name);
CREATE INDEX by_two ON people (id, name);
CREATE INDEX by_domain ON people (a_word);
CREATE INDEX by_array ON people ((ARRAY[name]));
CREATE INDEX by_range ON people (some_words);
CREATE INDEX by_gist ON people USING gist (some_words);
CREATE INDEX by_pair ON people (a_pair);
CREATE INDEX by_expression ON people ((name < 'm'));
CREATE INDEX by_predicate ON people (id) WHERE name > 'm';
CREATE INDEX by_row ON people (id) WHERE (name, other) > ('m', 'n');
CREATE INDEX by_cast ON people ((plain COLLATE german));
CREATE INDEX not_by_c ON people (name COLLATE "C");
CREATE INDEX not_by_include ON people (id) INCLUDE (name);
CREATE INDEX not_by_other ON people (other);
CREATE INDEX not_by_null ON people (id) WHERE name IS NOT NULL;
""",
        SHOP,
    )
    return shop


def test_every_way_to_depend_on_a_collation_is_found_and_nothing_else(german: PrivatePostgres) -> None:
    assert drifts(german) == {}
    drift(german, "german")
    drift(german, "unused")

    found = drifts(german)

    assert set(found) == {"collation public.german"}
    it = found["collation public.german"]
    assert (it.recorded, it.provider, it.may_refresh, list(it.partitioned)) == (_OLD, "ICU", True, [])
    assert it.actual != _OLD
    wanted = "name two domain array range gist pair expression predicate row cast"
    assert dependents(german, it) == {f"by_{way}" for way in wanted.split()}
    german.run_sql(it.refresh_sql, SHOP)
    assert drifts(german) == {}


def test_tables_partitioned_by_ranges_of_a_drifted_collation_are_named(german: PrivatePostgres) -> None:
    german.run_sql("CREATE TABLE split (name text COLLATE german) PARTITION BY RANGE (name)", SHOP)
    german.run_sql("CREATE TABLE listed (name text COLLATE german) PARTITION BY LIST (name)", SHOP)
    drift(german, "german")

    assert drifts(german)["collation public.german"].partitioned == ["public.split"]


def test_the_default_collation_is_known_from_15_on(postgres: PrivatePostgres) -> None:
    with in_german(postgres):
        if postgres.major < 15:
            assert drifts(postgres) == {}
            return
        assert drifts(postgres) == {}
        postgres.run_sql("UPDATE pg_database SET datcollversion = %s WHERE datname = %s", parameters=(_OLD, SHOP))

        found = drifts(postgres)["default collation"]

        assert dependents(postgres, found) == {"by_word", "by_json"}
        assert (found.name, found.recorded, found.default) == (SHOP, _OLD, True)
        postgres.run_sql(found.refresh_sql, SHOP)
        assert drifts(postgres) == {}


class in_german:  # noqa: N801 - reads as a statement
    """A database of which the default collation can drift where the server has such (15 and newer)."""

    def __init__(self, server: PrivatePostgres) -> None:
        self.server = server

    def __enter__(self) -> None:
        icu = "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C'" if self.server.major >= 15 else "LOCALE 'C'"
        self.server.run_sql(f"CREATE DATABASE {SHOP} TEMPLATE template0 ENCODING 'UTF8' {icu}")
        self.server.run_sql(
            """
CREATE TABLE things (id int PRIMARY KEY, word text, document jsonb);
INSERT INTO things SELECT g, 'word ' || g, to_jsonb('word ' || g) FROM generate_series(1, 100) AS g;
CREATE INDEX by_word ON things (word);
CREATE INDEX by_json ON things (document);
CREATE INDEX not_by_gin ON things USING gin (document);
""",
            SHOP,
        )

    def __exit__(self, *_exc: object) -> None:
        self.server.run_sql(f"DROP DATABASE {SHOP} WITH (FORCE)")


@pytest.mark.parametrize(
    ("locale", "recorded", "told", "feared"),
    [
        ("C", "9.9", False, False),
        ("xx_XX.utf8", None, True, False),  # no collation of the C library to judge by
        ("xx_XX.utf8", "actual", False, False),
        ("xx_XX.utf8", "9.9", True, True),
    ],
)
def test_what_cannot_be_known_of_the_default_collation_before_15(
    shop: PrivatePostgres, locale: str, recorded: str | None, told: bool, feared: bool
) -> None:
    if shop.major >= 15:  # it has a version there, so there is nothing to be in doubt about
        with contextlib.closing(shop.connect(SHOP)) as conn:
            assert collations.unknowable(conn) == ("", False)
        return
    shop.run_sql("UPDATE pg_collation SET collversion = NULL", SHOP)
    if recorded:  # as initdb would have taken it from a system with more locales
        shop.run_sql(
            "INSERT INTO pg_collation (oid, collname, collnamespace, collowner, collprovider, collisdeterministic,"
            " collencoding, collcollate, collctype, collversion)"
            " SELECT 99999, 'xx', collnamespace, collowner, 'c', true, -1, 'xx_XX', 'xx_XX', '9.9'"
            " FROM pg_collation WHERE collname = 'C'",
            SHOP,
        )
    if recorded == "actual":
        shop.run_sql("UPDATE pg_collation SET collversion = pg_collation_actual_version(oid) WHERE oid = 99999", SHOP)
    conn = shop.connect(SHOP)
    try:
        shop.run_sql("UPDATE pg_database SET datcollate = %s WHERE datname = %s", parameters=(locale, SHOP))
        text, feared_now = collations.unknowable(conn)
    finally:
        shop.run_sql("UPDATE pg_database SET datcollate = 'C' WHERE datname = %s", parameters=(SHOP,))
        conn.close()
    assert (bool(text), feared_now) == (told, feared)
