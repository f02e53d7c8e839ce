# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore by a role that is no superuser: what it has to be allowed, and what it is told when it is not."""

from __future__ import annotations

import collections.abc
import typing as t

import pytest
from support.backups import backups_of
from support.restores import PROPERTIES, Restores

pytest_plugins = ("support.restores_fixtures",)

OWNED = """
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO orders SELECT g, 'o' || g FROM generate_series(1, 40) g;
CREATE VIEW small AS SELECT id FROM orders WHERE id < 3; CREATE SEQUENCE numbers;
GRANT SELECT ON orders TO reader"""
#: As an owner of the application's database has it; nothing in it belongs to a superuser.
MADE = (
    "CREATE DATABASE shop OWNER app",
    "GRANT CONNECT ON DATABASE shop TO reader",
    "COMMENT ON DATABASE shop IS 'ours'",
)


@pytest.fixture
def deputy(restores: Restores) -> collections.abc.Iterator[dict[str, t.Any]]:
    """A backup of a database of `app`, which has changed since, and the arguments of whoever may be app."""
    run = restores.server.run_sql
    run("CREATE ROLE deputy LOGIN CREATEDB; GRANT app TO deputy; GRANT pg_signal_backend TO deputy")
    run("ALTER ROLE deputy PASSWORD %s", parameters=(restores.server.password,))
    run("ALTER DATABASE shop RENAME TO live")
    for statement in MADE:
        run(statement)
    if restores.server.major >= 15:
        run("GRANT CREATE ON SCHEMA public TO app", "shop")
    run(f"SET ROLE app; {OWNED}", "shop")
    with backups_of(restores.server) as backups:
        made = backups.back_up(databases=["shop"])
        assert not made["failed"], made
        run("DELETE FROM orders WHERE id > 1", "shop")
        yield {"path": str(backups.path), "allow_unverified": True, "login_user": "deputy"}
    for name, _allows in restores.databases():
        run(f'DROP DATABASE "{name}" WITH (FORCE)')
    run("DROP OWNED BY deputy; DROP ROLE deputy")


def test_who_may_be_the_owner_and_create_databases_restores(restores: Restores, deputy: dict[str, t.Any]) -> None:
    """Owner, grants and comment are as before, and those who are connected are ended."""
    before = restores.properties()
    pooled = restores.server.connect("shop", "app")
    answer = restores.restore(**deputy)
    pooled.close()
    assert not answer["failed"], (answer["summary"], answer["reason"])
    assert restores.rows() == 40
    assert restores.server.run_sql(PROPERTIES)[0] == before
    owners = restores.server.run_sql(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace", "shop"
    )
    assert owners == [("app",)]
    assert not restores.roll_back(login_user="deputy")["failed"]
    assert restores.rows() == 1


@pytest.mark.parametrize(
    ("takes_away", "told"),
    [
        ("ALTER ROLE deputy NOCREATEDB", 'ALTER ROLE "deputy" CREATEDB'),
        ("REVOKE app FROM deputy", 'GRANT "app" TO "deputy"'),
        (
            "ALTER ROLE deputy NOINHERIT; REVOKE app FROM deputy; GRANT app TO deputy",
            "role deputy does not inherit what app may",
        ),
        ("REVOKE pg_signal_backend FROM deputy", 'GRANT pg_signal_backend TO "deputy"'),
    ],
)
def test_a_missing_right_is_told_before_anything_is_touched(
    restores: Restores, deputy: dict[str, t.Any], takes_away: str, told: str
) -> None:
    """And not in the middle, by whatever statement comes to need it first."""
    before = restores.databases()
    restores.server.run_sql(takes_away)
    answer = restores.restore(**deputy)
    assert answer["verdict"] == "failed"
    assert told in answer["reason"]
    assert "the database in use was not touched" in answer["summary"]
    assert restores.databases() == before
    assert restores.rows() == 1
