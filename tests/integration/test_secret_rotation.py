# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both strategies against a real server: what opens, what does not, and what the server's log says of it."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import typing as t

import psycopg2
import pytest
from support.postgres import PrivatePostgres, wait_for
from support.secrets import (
    ALTERNATING,
    DATABASE,
    FIRST,
    OWNER,
    SINGLE,
    TWIN,
    USER,
    Shop,
    files_store,
    logs_in,
    make_older,
    stages,
)

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation_scram import verifier

pytest_plugins = ("support.postgres_fixtures",)


@pytest.fixture(params=[SINGLE, ALTERNATING])
def shop(request: pytest.FixtureRequest, postgres: PrivatePostgres, tmp_path: pathlib.Path) -> Shop:
    return a_shop(postgres, tmp_path, request.param)


@pytest.fixture
def single(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> Shop:
    return a_shop(postgres, tmp_path, SINGLE)


@pytest.fixture
def alternating(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> Shop:
    return a_shop(postgres, tmp_path, ALTERNATING)


def a_shop(server: PrivatePostgres, directory: pathlib.Path, strategy: str) -> Shop:
    shop = Shop(server, directory, strategy, files_store(directory))
    shop.make_roles()
    shop.fill_store()
    return shop


def test_a_rotation_leaves_one_current_secret_that_opens(shop: Shop) -> None:
    old = shop.current()
    result, outcome = shop.rotate()
    assert result.verdict == "ok", result
    assert outcome.rotated
    new = shop.current()
    assert new.version == outcome.version != old.version
    assert new.password != old.password
    assert new.username == (USER if shop.strategy == SINGLE else TWIN)
    assert new.value["host"] == "127.0.0.1", "what else the secret has is kept"
    assert shop.logs_in(new)
    assert not shop.logs_in(old)
    assert stages(shop.store) == {"current": new.version}
    names = [event["step"] for event in shop.journal() if event["event"] == "done"]
    assert names == ["create", "set", "test", "finish", "reload", "observe", "retire"]


def test_no_password_and_no_verifier_is_in_the_server_s_log(shop: Shop) -> None:
    before = len(shop.server.log())
    result, _outcome = shop.rotate()
    assert result.verdict == "ok", result
    log = shop.server.log()[before:]
    assert "set_config" in log, "statements were not logged at all, so the test shows nothing"
    assert shop.current().password not in log
    assert FIRST not in log
    assert "SCRAM-SHA-256" not in log
    assert stages(shop.store)["current"] not in log


def test_an_administrator_who_lacks_a_right_is_told_so_before_anything_is_touched(shop: Shop) -> None:
    run = shop.server.run_sql
    run("DROP ROLE IF EXISTS changer")
    run("CREATE ROLE changer LOGIN PASSWORD 'x'")
    shop.login = dataclasses.replace(shop.server.login, user="changer", password="x")
    first, granted = shop.current(), []
    for _right in range(5):
        result, outcome = shop.rotate()
        if result.verdict == "ok":
            break
        assert not outcome.changed, result
        assert shop.current() == first
        assert shop.logs_in(first)
        # What it says is lacking is granted, and nothing else.
        granted += re.findall(r"(?:GRANT|ALTER ROLE) .*", result.reason.replace(" (or pg_monitor)", ""))
        run(granted[-1])
    known = [f'"{USER}", "{OWNER}"' if shop.strategy == ALTERNATING else f'"{USER}"'] * (shop.server.major >= 16)
    assert granted == [
        'GRANT pg_read_all_stats TO "changer"',
        'ALTER ROLE "changer" CREATEROLE',
        *(f'GRANT {names} TO "changer" WITH ADMIN OPTION' for names in known),
    ]
    # Back again with the same rights: whose role was made by it has it as its administrator.
    result, _outcome = shop.rotate()
    assert result.verdict == "ok", result
    run("DROP OWNED BY changer")
    if shop.strategy == ALTERNATING:
        run(f"DROP ROLE {TWIN}")
    run("DROP ROLE changer")


def test_twice_it_comes_back_to_the_first_user(alternating: Shop) -> None:
    for user in (TWIN, USER, TWIN):
        result, _outcome = alternating.rotate()
        assert result.verdict == "ok", result
        assert alternating.current().username == user
    closed = alternating.server.run_sql(f"SELECT rolpassword, rolcanlogin FROM pg_authid WHERE rolname = '{USER}'")
    assert closed == [(None, False)]


def test_what_either_user_makes_belongs_to_the_owner(alternating: Shop) -> None:
    alternating.rotate()
    secret = alternating.current()
    conn = psycopg2.connect(
        host="127.0.0.1", port=alternating.server.port, user=secret.username, password=secret.password, dbname=DATABASE
    )
    with conn, conn.cursor() as cursor:
        cursor.execute("CREATE SCHEMA made; CREATE TABLE made.by_the_twin (id int); INSERT INTO orders VALUES (1)")
    conn.close()
    owner = alternating.server.run_sql("SELECT tableowner FROM pg_tables WHERE tablename = 'by_the_twin'", DATABASE)
    assert owner == [(OWNER,)]


@pytest.mark.parametrize(
    "password",
    [
        "plain",
        "I\u00adX",
        "\u00aa\u2168",
        "caf\u00e9 \u00a0 x",
        "\u0627\u0031",
        "tab\there",
        "\u200bzero",
        "quote'\"\\",
    ],
)
def test_the_server_takes_our_verifier_for_any_password(single: Shop, password: str) -> None:
    text = verifier(password, b"0123456789abcdef").replace("'", "''")
    single.server.run_sql(f"ALTER ROLE {USER} PASSWORD '{text}'")
    assert logs_in(single.server, USER, password)
    assert not logs_in(single.server, USER, password + "x")


def test_it_is_rotated_when_it_is_due_and_not_before(single: Shop) -> None:
    old = single.current()
    result, outcome = single.rotate(force=False)
    assert (result.verdict, outcome.changed) == ("ok", False)
    assert "not due" in result.summary
    make_older(t.cast("t.Any", single.store), 71)
    assert not single.rotate(force=False)[1].changed
    make_older(t.cast("t.Any", single.store), 73)
    foretold = single.rotate(check=True, force=False)[1]
    assert foretold.changed
    assert len(foretold.planned) == 7
    assert single.current() == old
    assert single.rotate(force=False)[1].rotated
    assert not single.rotate(force=False)[1].changed


@pytest.mark.contrib
def test_pg_stat_statements_sees_neither_password_nor_verifier(tmp_path: pathlib.Path) -> None:
    settings = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all"}
    with PrivatePostgres(settings=settings) as server:
        server.run_sql("CREATE EXTENSION pg_stat_statements")
        shop = a_shop(server, tmp_path, SINGLE)
        server.run_sql(f"ALTER ROLE {USER} CONNECTION LIMIT 9")
        assert shop.rotate()[0].verdict == "ok"
        told = "\n".join(row[0] for row in server.run_sql("SELECT query FROM pg_stat_statements"))
        assert "CONNECTION LIMIT 9" in told, "statements of this kind are not seen at all, so the test shows nothing"
        assert shop.current().password not in told
        assert "SCRAM-SHA-256" not in told


def test_standbys_are_tried_out_and_watched(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    shop = a_shop(postgres, tmp_path, ALTERNATING)
    standby = postgres.make_standby()
    try:
        shop.target = {"standbys": (("127.0.0.1", standby.port),), "standby_timeout": 30}
        shop.policy = {"observe_timeout": 0}
        old = shop.current()
        # One that lags does not know the new password: nobody is given it before it does.
        standby.run_sql("SELECT pg_wal_replay_pause()")
        shop.target["standby_timeout"] = 1
        behind = shop.rotate()[0]
        assert "still refuses the new password" in behind.reason
        assert "all was undone; the old secret was seen to open" in behind.reason
        assert shop.current() == old
        standby.run_sql("SELECT pg_wal_replay_resume()")
        shop.target["standby_timeout"] = 30
        reader = psycopg2.connect(
            host="127.0.0.1", port=standby.port, user=old.username, password=old.password, dbname=DATABASE,
            application_name="reader",
        )  # fmt: skip
        result, outcome = shop.rotate()
        assert outcome.rotated
        assert result.figures["tested_logins"] == 2
        assert "by reader from 127.0.0.1" in result.findings[-1].message
        assert logs_in(standby, shop.current().username, shop.current().password)
        reader.close()
        wait_for(
            lambda: "reader" not in str(standby.run_sql("SELECT application_name FROM pg_stat_activity")), "its end"
        )
        assert shop.rotate(force=False)[0].verdict == "ok"
        wait_for(lambda: not logs_in(standby, old.username, old.password), "the standby's refusal")
    finally:
        standby.close()
