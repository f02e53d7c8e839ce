# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore by a role that is no superuser: what it has to be allowed, and what it is told when it is not."""

from __future__ import annotations

import collections.abc
import contextlib
import threading
import typing as t

import pytest
from support.backups import backups_of
from support.postgres import wait_for
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

AT_WORK = "SELECT pid FROM pg_stat_activity WHERE datname = 'shop' AND backend_type = 'autovacuum worker'"


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
    back = restores.roll_back(login_user="deputy")
    assert not back["failed"], back["reason"]
    assert restores.rows() == 1


@contextlib.contextmanager
def autovacuum_at_work(restores: Restores) -> collections.abc.Iterator[None]:
    """A worker of autovacuum is in the live database, and stays there for longer than any test."""
    run = restores.server.run_sql
    run(
        "CREATE TABLE slow (id int) WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,"
        " autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0);"
        "INSERT INTO slow SELECT generate_series(1, 400000); DELETE FROM slow",
        "shop",
    )
    try:
        restores.server.configure(autovacuum_naptime="1s")
        run("SELECT pg_reload_conf()")
        wait_for(lambda: run(AT_WORK), "autovacuum is at work in the live database", 60)
        yield
    finally:
        restores.server.configure(autovacuum_naptime="1d")
        run("SELECT pg_reload_conf()")


def test_autovacuum_in_the_database_stops_nothing(restores: Restores, deputy: dict[str, t.Any]) -> None:
    """Such a role is not told that it is one, and may not end it: the server does, when the name is changed."""
    answer = restores.restore(**deputy)
    assert not answer["failed"], answer["reason"]
    with autovacuum_at_work(restores):
        back = restores.roll_back(login_user="deputy")
        assert not back["failed"], back["reason"]
    assert restores.rows() == 1


def test_who_may_not_be_ended_is_waited_for_and_named(restores: Restores, deputy: dict[str, t.Any]) -> None:
    """A superuser who leaves in time is in nobody's way; one who stays is named, and all is as it was before."""
    hurried = restores.server.connect("shop")
    leaving = threading.Timer(3, hurried.close)
    leaving.start()
    answer = restores.restore(**deputy)
    leaving.join()
    assert not answer["failed"], answer["reason"]
    stays = restores.server.connect("shop")
    pid = stays.info.backend_pid
    kept = restores.databases()
    refused = restores.roll_back(login_user="deputy")
    stays.close()
    assert refused["verdict"] == "failed"
    assert f"the oldest is pid {pid} of user {restores.server.superuser}" in refused["reason"]
    assert "may not be ended by this role" in refused["reason"]
    assert "all is as it was before" in refused["summary"]
    assert restores.databases() == kept
    assert restores.rows() == 40


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
