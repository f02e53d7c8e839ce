# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that break careless SQL, and search paths that lead into a trap."""

from __future__ import annotations

import typing as t

import pytest
from support.postgres import SHOP, PrivatePostgres, settle, wait_for
from support.postgres_faults import (
    REINDEX,
    REVIEW,
    VACUUM,
    broken_index,
    invalid,
    maintain,
    neglect,
    spoil,
    subjects,
)

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import quote

pytest_plugins = ("support.postgres_fixtures",)

_DATABASE = "Shop \"50 %\" 'of' $1 {x}; --"
_SCHEMA = 'Not in "the" path %s'
_TABLES = (
    "Mixed Case",
    'a "quote"',
    "an 'apostrophe'",
    "percent %s %(x)s %%",
    "back\\slash \\",
    "semicolon; DROP SCHEMA public; --",
    "comment */ SELECT 1 /*",
    "two\nlines",
    "{{ braces }}",
    "dot.ted",
    "n" * 63,
    "\u00fc" * 31,
)


@pytest.fixture(scope="module")
def odd(postgres: PrivatePostgres) -> PrivatePostgres:
    """A database of odd names, each table of them with dead rows and an invalid index of the same name."""
    postgres.run_sql(f"CREATE DATABASE {quote(_DATABASE)}")
    postgres.run_sql(f"CREATE SCHEMA {quote(_SCHEMA)}", _DATABASE)
    for name in _TABLES:
        table = quote(_SCHEMA, name)
        postgres.run_sql(
            f"CREATE TABLE {table} (id int); INSERT INTO {table} SELECT generate_series(1, 300);"
            f"DELETE FROM {table} WHERE id > 100; CREATE INDEX {quote(name[:-1] + 'i')} ON {table} (id)",
            _DATABASE,
        )
    postgres.run_sql("UPDATE pg_index SET indisvalid = false WHERE indrelid >= 16384 AND NOT indisprimary", _DATABASE)
    dead = "SELECT count(*) FROM pg_stat_user_tables WHERE n_dead_tup = 200"
    wait_for(lambda: postgres.run_sql(dead, _DATABASE)[0][0] == len(_TABLES), "statistics")
    return postgres


@pytest.mark.parametrize(("module", "check"), [(VACUUM, True), (VACUUM, False), (REINDEX, True), (REINDEX, False)])
def test_odd_names_are_maintained_like_any_other(odd: PrivatePostgres, module: str, check: bool) -> None:
    names = _TABLES if module == VACUUM else [name[:-1] + "i" for name in _TABLES]
    expected = {f"{_SCHEMA}.{name}" for name in names}

    answer = maintain(module, odd, check, databases=[_DATABASE], jobs=3)

    assert (answer["verdict"], answer["not_done"]) == ("ok", [])
    assert subjects(answer["planned" if check else "done"]) == expected
    if not check:
        again = maintain(module, odd, databases=[_DATABASE])
        assert (again["verdict"], again["changed"]) == ("ok", False)
    if module == REINDEX and not check:
        assert invalid(odd, _DATABASE) == []


def test_odd_names_are_reviewed_like_any_other(odd: PrivatePostgres) -> None:
    answer = maintain(REVIEW, odd, databases=[_DATABASE])

    assert answer["verdict"] in ("ok", "findings"), answer["reason"]


def test_odd_names_can_be_skipped(odd: PrivatePostgres) -> None:
    for name in _TABLES:
        table = quote(_SCHEMA, name)
        odd.run_sql(f"INSERT INTO {table} SELECT generate_series(1, 300); DELETE FROM {table}", _DATABASE)
    dead = "SELECT count(*) FROM pg_stat_user_tables WHERE n_dead_tup >= 300"
    wait_for(lambda: odd.run_sql(dead, _DATABASE)[0][0] == len(_TABLES), "statistics")
    skipped = [f"{_SCHEMA}.{name}" for name in _TABLES if name != "Mixed Case"]

    answer = maintain(VACUUM, odd, check=True, databases=[_DATABASE], skip_tables=skipped)

    assert not answer["failed"], answer
    assert subjects(answer["planned"]) == {f"{_SCHEMA}.Mixed Case"}


#: In front of all that PostgreSQL has: functions, operators and tables of the same names, each of them a trap.
_TRAPS = r"""
CREATE SCHEMA evil;
CREATE FUNCTION evil.caught(what text) RETURNS bool LANGUAGE plpgsql AS
  $f$ BEGIN RAISE EXCEPTION 'TRAPPED by %', what; END $f$;
DO $do$
DECLARE it record;
BEGIN
  FOR it IN SELECT proname, pg_get_function_identity_arguments(p.oid) AS given, pg_get_function_result(p.oid) AS result
            FROM pg_proc AS p WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' LOOP
    BEGIN
      EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', it.proname, it.given, it.result,
                     format('BEGIN RAISE EXCEPTION ''TRAPPED by %s''; END', it.proname));
    EXCEPTION WHEN OTHERS THEN NULL;  -- pseudo types
    END;
  END LOOP;
  FOR it IN SELECT oprname, oprleft::regtype AS l, oprright::regtype AS r, proname
            FROM pg_operator JOIN pg_proc AS p ON p.oid = oprcode WHERE oprkind = 'b' LOOP
    BEGIN
      EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.%I, LEFTARG = %s, RIGHTARG = %s)',
                     it.oprname, it.proname, it.l, it.r);
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  FOR it IN SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') LOOP
    BEGIN
      EXECUTE format('CREATE VIEW evil.%I AS SELECT * FROM pg_catalog.%I WHERE evil.caught(%L)', it.relname, it.relname,
                     it.relname);
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END $do$;
CREATE FUNCTION evil.pgstatindex(regclass) RETURNS bool LANGUAGE sql AS $$ SELECT evil.caught('pgstatindex') $$;
CREATE FUNCTION evil.pgstattuple_approx(regclass) RETURNS bool LANGUAGE sql AS $$ SELECT evil.caught('approx') $$;
GRANT ALL ON SCHEMA evil TO PUBLIC;
"""


@pytest.fixture
def trapped(shop: PrivatePostgres) -> t.Iterator[PrivatePostgres]:
    """A superuser whose search path leads into the trap, as any user with a schema could arrange it."""
    shop.run_sql(_TRAPS, SHOP)
    shop.run_sql("CREATE ROLE careful SUPERUSER LOGIN PASSWORD 'careful-secret'")
    shop.run_sql("ALTER ROLE careful SET search_path = evil, pg_catalog, public")
    yield shop
    shop.run_sql("DROP ROLE careful")


def test_a_trap_in_the_search_path_catches_nobody(trapped: PrivatePostgres) -> None:
    login = {"login_user": "careful", "login_password": "careful-secret"}
    neglect(trapped, "busy", "evil.hidden")
    broken_index(trapped)
    caught = "SELECT count(*) FROM pg_class"
    with pytest.raises(Exception, match="TRAPPED"):
        trapped.run_sql(caught, SHOP, user="careful")
    before = trapped.log().count("TRAPPED")

    vacuum, rebuild, review = (maintain(module, trapped, **login, **more) for module, more in _RUNS)

    assert {"public.busy", "evil.hidden"} <= subjects(vacuum["done"])
    assert vacuum["verdict"] == "ok", vacuum["reason"]
    assert (rebuild["verdict"], invalid(trapped)) == ("ok", []), rebuild["reason"]
    assert review["verdict"] in ("ok", "findings"), review["reason"]
    assert trapped.log().count("TRAPPED") == before


_RUNS: tuple[tuple[str, dict[str, int]], ...] = ((VACUUM, {"jobs": 2}), (REINDEX, {"jobs": 2}), (REVIEW, {}))


@pytest.mark.parametrize("module", [VACUUM, REINDEX])
def test_what_needs_the_search_path_is_named_and_the_others_are_done(shop: PrivatePostgres, module: str) -> None:
    """The path is empty for us, as it is for vacuumdb and reindexdb, and for everybody from PostgreSQL 17 on.

    The server says that a table does not exist; that must not be taken for a table that was dropped meanwhile.
    """
    shop.run_sql(
        """
CREATE TABLE rates (factor int); INSERT INTO rates VALUES (2);
CREATE FUNCTION rated(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql SET search_path = public AS
  $$ BEGIN RETURN i * (SELECT max(factor) FROM rates); END $$;
CREATE TABLE priced (id int);
CREATE INDEX priced_one ON priced (rated(id));
INSERT INTO priced VALUES (1);
ALTER FUNCTION rated RESET search_path;
""",
        SHOP,
    )
    spoil(shop, "priced_one")
    broken_index(shop)
    settle(shop, "priced", 1)
    settle(shop, "doubled", 3)

    answer = maintain(module, shop)

    assert answer["verdict"] == "failed"
    assert '"rates" does not exist' in answer["reason"]
    if module == REINDEX:
        assert (subjects(answer["done"]), subjects(answer["not_done"])) == ({"public.broken"}, {"public.priced_one"})
        assert invalid(shop) == ["priced_one"]
    else:
        assert (subjects(answer["not_done"]), "public.doubled" in subjects(answer["done"])) == ({"public.priced"}, True)
