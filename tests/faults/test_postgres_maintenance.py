# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the way of maintenance -> what must happen: nothing in vain, nobody stands behind us, and who it is is
named."""

from __future__ import annotations

import contextlib
import typing as t

import psycopg2
import pytest
from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres, settle

pytest_plugins = ("support.postgres_fixtures",)

_QUICK = {"lock_timeout": "1s", "lock_wait": "1s"}


def _run(module: str, server: PrivatePostgres, check: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
    return run_module(module, {**server.login_arguments, "databases": [SHOP], **_QUICK, **arguments}, check=check)


@contextlib.contextmanager
def _transaction(server: PrivatePostgres, *statements: str) -> t.Iterator[int]:
    """A transaction that stays open, as a forgotten session's; gives its pid."""
    conn = server.connect(SHOP)
    try:
        conn.autocommit = False
        cursor = conn.cursor()
        for statement in statements:
            cursor.execute(statement)
        yield conn.info.backend_pid
    finally:
        conn.close()


def _vacuums(server: PrivatePostgres) -> int:
    return server.log().count("statement: VACUUM")


def _invalid(server: PrivatePostgres) -> list[str]:
    rows = server.run_sql("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1", SHOP)
    return [row[0] for row in rows]


def _filled(server: PrivatePostgres) -> None:
    server.run_sql("CREATE TABLE busy (id int PRIMARY KEY); INSERT INTO busy SELECT generate_series(1, 5000)", SHOP)


def _broken_index(server: PrivatePostgres) -> None:
    """An invalid index that a rebuild makes valid."""
    server.run_sql("CREATE TABLE doubled (id int); INSERT INTO doubled VALUES (1), (1)", SHOP)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        server.run_sql("CREATE UNIQUE INDEX CONCURRENTLY broken ON doubled (id)", SHOP)
    server.run_sql("DELETE FROM doubled WHERE ctid = '(0,1)'", SHOP)


def test_rows_that_an_old_transaction_keeps_are_not_vacuumed_and_it_is_named(shop: PrivatePostgres) -> None:
    with _transaction(shop, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT txid_current_snapshot()") as pid:
        shop.run_sql("SELECT txid_current()", SHOP)
        _filled(shop)
        shop.run_sql("DELETE FROM busy WHERE id > 1000", SHOP)
        settle(shop, "busy", 9000)
        before = _vacuums(shop)

        answer = _run("postgres_vacuum", shop)

        assert _vacuums(shop) == before
    assert (answer["verdict"], answer["changed"], answer["done"]) == ("skipped", False, [])
    assert f"pid {pid}" in answer["reason"]
    assert "idle in transaction" in answer["reason"]
    assert f"pg_terminate_backend({pid})" in answer["findings"][0]["action"]


def test_vacuum_is_tried_once_when_it_cannot_be_known_and_what_stays_is_told(shop: PrivatePostgres) -> None:
    _filled(shop)
    with _transaction(shop, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT txid_current_snapshot()") as pid:
        shop.run_sql("DELETE FROM busy WHERE id > 1000", SHOP)
        settle(shop, "busy", 9000)

        first = _run("postgres_vacuum", shop)
        after_first = _vacuums(shop)
        second = _run("postgres_vacuum", shop)

        assert _vacuums(shop) == after_first
    for answer in (first, second):
        assert (answer["verdict"], answer["changed"]) == ("skipped", False)
        assert f"pid {pid}" in answer["reason"]
    assert "4000 of 4000 dead rows are still there" in first["reason"]
    third = _run("postgres_vacuum", shop)
    assert (third["verdict"], third["changed"]) == ("ok", True)


def test_a_prepared_transaction_is_named_by_its_gid(shop: PrivatePostgres) -> None:
    shop.run_sql("BEGIN; CREATE TABLE prepared_one (id int); PREPARE TRANSACTION 'forgotten'", SHOP)
    try:
        _filled(shop)
        shop.run_sql("DELETE FROM busy WHERE id > 1000", SHOP)
        settle(shop, "busy", 9000)
        answer = _run("postgres_vacuum", shop)
    finally:
        shop.run_sql("ROLLBACK PREPARED 'forgotten'", SHOP)

    assert (answer["verdict"], answer["done"]) == ("skipped", [])
    assert "'forgotten'" in answer["reason"]
    assert "ROLLBACK PREPARED 'forgotten'" in answer["findings"][0]["action"]


def test_a_locked_table_is_skipped_with_the_name_of_its_holder_and_the_others_are_done(shop: PrivatePostgres) -> None:
    _filled(shop)
    shop.run_sql("CREATE TABLE free (id int); INSERT INTO free SELECT generate_series(1, 100)", SHOP)
    settle(shop, "free", 100)
    with _transaction(shop, "LOCK TABLE busy IN ACCESS EXCLUSIVE MODE") as pid:
        answer = _run("postgres_vacuum", shop)

    assert (answer["verdict"], answer["changed"]) == ("findings", True)
    assert [entry["subject"] for entry in answer["done"]] == ["public.free"]
    assert [entry["subject"] for entry in answer["not_done"]] == ["public.busy"]
    assert f"pid {pid}" in answer["reason"]


@pytest.mark.parametrize("module", ["postgres_vacuum", "postgres_reindex"])
def test_a_missing_privilege_fails_and_names_the_grant(shop: PrivatePostgres, module: str) -> None:
    _filled(shop)
    settle(shop, "busy", 5000)
    _broken_index(shop)
    shop.run_sql("CREATE ROLE keeper; CREATE ROLE weak LOGIN PASSWORD 'weak-secret'")
    shop.run_sql("ALTER TABLE busy OWNER TO keeper; ALTER TABLE doubled OWNER TO keeper", SHOP)
    login = {"login_user": "weak", "login_password": "weak-secret"}
    before = _vacuums(shop)

    answer = _run(module, shop, **login)

    assert answer["failed"]
    assert (answer["verdict"], answer["changed"]) == ("failed", False)
    assert "role weak may not" in answer["reason"]
    grants = {finding["action"] for finding in answer["findings"]}
    wanted = "pg_maintain" if shop.major >= 17 else '"keeper"'
    assert f'GRANT {wanted} TO "weak"' in grants
    assert _vacuums(shop) == before
    assert "weak-secret" not in str(answer)

    shop.run_sql(f"GRANT {wanted} TO weak")
    allowed = _run(module, shop, **login)

    shop.run_sql("DROP OWNED BY keeper", SHOP)
    shop.run_sql("DROP ROLE keeper, weak")

    assert not allowed["failed"], allowed["reason"]
    assert allowed["changed"] is True


def test_a_rebuild_is_not_begun_behind_an_old_snapshot(shop: PrivatePostgres) -> None:
    _filled(shop)
    _broken_index(shop)
    before = shop.log().count("statement: REINDEX")
    # Of whatever table: CONCURRENTLY waits for every older snapshot in the database.
    statements = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT count(*), pg_sleep(1.2) FROM busy")
    with _transaction(shop, *statements) as pid:
        answer = _run("postgres_reindex", shop)
        told = _run("postgres_reindex", shop, check=True)

        assert _invalid(shop) == ["broken"]
    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert f"pid {pid}" in answer["reason"]
    assert f"pid {pid}" in told["reason"]
    assert shop.log().count("statement: REINDEX") == before

    healed = _run("postgres_reindex", shop)

    assert (healed["verdict"], healed["changed"]) == ("ok", True)
    assert _invalid(shop) == []


def test_a_rebuild_is_not_begun_behind_a_writer_that_stays(shop: PrivatePostgres) -> None:
    _filled(shop)
    _broken_index(shop)
    with _transaction(shop, "INSERT INTO doubled VALUES (7)", "SELECT pg_sleep(1.2)") as pid:
        answer = _run("postgres_reindex", shop)

        assert _invalid(shop) == ["broken"]
    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert f"pid {pid}" in answer["reason"]


def test_a_cancelled_rebuild_leaves_nothing_behind(shop: PrivatePostgres) -> None:
    _slow_index(shop)

    answer = _run("postgres_reindex", shop, budget="2s")

    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert "budget" in answer["reason"]
    assert _invalid(shop) == ["slow_one"]


def _slow_index(server: PrivatePostgres) -> None:
    """An invalid index that takes some ten seconds to be rebuilt."""
    server.run_sql(
        """
CREATE FUNCTION slowly(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql
  AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.05); RETURN i; END $$;
CREATE TABLE slow (id int);
INSERT INTO slow SELECT generate_series(1, 100);
""",
        SHOP,
    )
    server.run_sql("CREATE INDEX slow_one ON slow (slowly(id))", SHOP)
    server.run_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'slow_one'::regclass", SHOP)
