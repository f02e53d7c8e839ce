# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the way of a rotation: found before anything is touched, or taken back as if nothing had been begun."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import typing as t

import pytest
from support.postgres import PrivatePostgres, free_port
from support.secrets import ALTERNATING, DATABASE, OWNER, SINGLE, TWIN, USER, Shop, files_store, stages

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import Health
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import Login
from ansible_collections.steward.maintenance.plugins.module_utils._secrets import consumers
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.consumers import Consumer
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.placing import TEXT, Placed
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import Secret, new_token

pytest_plugins = ("support.postgres_fixtures",)


@pytest.fixture(params=[SINGLE, ALTERNATING])
def shop(request: pytest.FixtureRequest, postgres: PrivatePostgres, tmp_path: pathlib.Path) -> Shop:
    return a_shop(postgres, tmp_path, request.param)


@pytest.fixture
def alternating(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> Shop:
    return a_shop(postgres, tmp_path, ALTERNATING)


@pytest.fixture
def single(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> Shop:
    return a_shop(postgres, tmp_path, SINGLE)


def a_shop(server: PrivatePostgres, directory: pathlib.Path, strategy: str) -> Shop:
    shop = Shop(server, directory, strategy, files_store(directory))
    shop.make_roles()
    shop.fill_store()
    return shop


def nothing_happened(shop: Shop, result: Result, first: Secret, begun: bool = False) -> str:
    """The old secret is the current one and opens; the reason is returned."""
    assert result.verdict == "failed", result
    assert shop.current() == first
    assert stages(shop.store) == {"current": first.version}
    assert shop.logs_in(first)
    assert bool([event for event in shop.journal() if event["event"] == "begun"]) == begun
    if begun:
        assert "all was undone; the old secret was seen to open" in result.reason
        twin = shop.server.run_sql(f"SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = '{TWIN}'")
        assert twin in ([], [(False, None)])
    return result.reason


# -- down ----------------------------------------------------------------------------------------------------


def test_a_store_that_is_down_is_told_and_nothing_begun(shop: Shop) -> None:
    first = shop.current()
    place = pathlib.Path(shop.store.directory)  # type: ignore[attr-defined]
    place.rename(place.with_name("unmounted"))
    result, outcome = shop.rotate()
    place.with_name("unmounted").rename(place)
    assert not outcome.changed
    assert str(place) in nothing_happened(shop, result, first)


def test_a_database_that_is_down_is_told_and_nothing_begun(shop: Shop) -> None:
    first = shop.current()
    shop.login = dataclasses.replace(shop.server.login, port=free_port())
    result, outcome = shop.rotate()
    assert not outcome.changed
    assert "cannot connect to database" in nothing_happened(shop, result, first)


def test_a_database_that_stops_while_it_is_watched_leaves_the_rotation_open(
    alternating: Shop, tmp_path: pathlib.Path
) -> None:
    """It is not clean that nobody can be seen, and no reason to take back what is right."""
    server = alternating.server
    old = alternating.current()
    stopping = tmp_path / "stop"
    stopping.write_text(f"#!/bin/sh\nkill -QUIT $(head -1 {server.data}/postmaster.pid)\nsleep 0.5\n")
    stopping.chmod(0o755)
    alternating.health = Health(command=(str(stopping),), timeout=5)
    alternating.policy = {"observe_timeout": 0}
    try:
        result, outcome = alternating.rotate()
    finally:
        server._running = False
        server.start()
    assert result.verdict in ("unknown", "failed"), result
    assert outcome.changed
    assert alternating.logs_in(alternating.current())
    alternating.health = Health()
    assert alternating.rotate(force=result.verdict == "failed")[1].rotated
    assert not alternating.logs_in(old)


def test_a_standby_that_refuses_the_new_password_stops_it(shop: Shop) -> None:
    first = shop.current()
    shop.target = {"standbys": (("127.0.0.1", free_port()),), "standby_timeout": 0}
    result, _outcome = shop.rotate()
    # With two users, it is looked first whether the twin is in use there.
    reason = nothing_happened(shop, result, first, begun=shop.strategy == SINGLE)
    assert "cannot connect" in reason
    assert ("step 'test' failed" in reason) == (shop.strategy == SINGLE)


# -- not this secret, not these roles ------------------------------------------------------------------------


def test_a_secret_that_opens_nothing_is_not_this_database_s(shop: Shop) -> None:
    shop.server.run_sql(f"ALTER ROLE {USER} PASSWORD 'changed by hand'")
    first = shop.current()
    result, outcome = shop.rotate()
    assert result.verdict == "failed"
    assert "the role was changed by hand" in result.reason
    assert not outcome.changed
    assert shop.current() == first


def test_a_secret_of_another_user_is_refused(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    shop = Shop(postgres, tmp_path, SINGLE, files_store(tmp_path))
    shop.make_roles()
    shop.store.create_first(new_token(), {"username": postgres.superuser, "password": postgres.password})
    result, _outcome = shop.rotate()
    assert result.verdict == "failed"
    assert "another's secret" in result.reason
    assert len(shop.store.versions()) == 1


def test_where_the_server_asks_for_no_password_a_login_proves_nothing(shop: Shop) -> None:
    first = shop.current()
    shop.target = {"app_host": shop.server.socket_dir}
    result, outcome = shop.rotate()
    assert not outcome.changed
    assert "with any password" in nothing_happened(shop, result, first)


def test_a_login_that_cannot_see_sessions_is_refused(shop: Shop) -> None:
    run = shop.server.run_sql
    run("DROP ROLE IF EXISTS changer")
    run("CREATE ROLE changer LOGIN PASSWORD 'x' CREATEROLE")
    first = shop.current()
    shop.login = dataclasses.replace(shop.server.login, user="changer", password="x")
    result, _outcome = shop.rotate()
    assert "GRANT pg_read_all_stats" in nothing_happened(shop, result, first)


def test_a_role_without_superuser_can_rotate_what_it_may_alter(single: Shop) -> None:
    run = single.server.run_sql
    run("DROP ROLE IF EXISTS changer")
    run("CREATE ROLE changer LOGIN PASSWORD 'x' CREATEROLE")
    run("GRANT pg_monitor TO changer")
    if single.server.major >= 16:
        run(f"GRANT {USER} TO changer WITH ADMIN OPTION")
    before = len(single.server.log())
    single.login = dataclasses.replace(single.server.login, user="changer", password="x")
    result, _outcome = single.rotate()
    assert result.verdict == "ok", result
    log = single.server.log()[before:]
    assert single.current().password not in log
    # It may not switch the logging off, so what was sent is there: a verifier.
    assert "PASSWORD 'SCRAM-SHA-256$" in log
    run(f"REVOKE {USER} FROM changer")
    run("DROP ROLE changer")


def test_a_user_that_does_not_act_as_the_owner_is_told_what_to_do(alternating: Shop) -> None:
    alternating.server.run_sql(f"ALTER ROLE {USER} RESET role")
    first = alternating.current()
    result, _outcome = alternating.rotate()
    reason = nothing_happened(alternating, result, first)
    assert f'ALTER ROLE "{USER}" SET role TO "{OWNER}"' in reason
    assert "REASSIGN OWNED" in reason


def test_a_twin_with_other_rights_is_found_and_all_is_taken_back(alternating: Shop) -> None:
    run = alternating.server.run_sql
    run(f"CREATE ROLE {TWIN} LOGIN PASSWORD 'old' CREATEDB")
    first = alternating.current()
    result, _outcome = alternating.rotate()
    reason = nothing_happened(alternating, result, first, begun=True)
    assert "are not alike" in reason
    assert "createdb is False for shop_a and True for shop_b" in reason
    assert f"{USER} is a member of {OWNER}, {TWIN} is not" in reason
    assert f"{USER} has role={OWNER}, {TWIN} has not" in reason


def test_a_twin_is_made_with_the_settings_of_the_other(alternating: Shop) -> None:
    run = alternating.server.run_sql
    run(f'ALTER ROLE {USER} SET search_path TO shop, "$user", public')
    run(f"ALTER ROLE {USER} SET statement_timeout TO '90s'")
    run(f"ALTER ROLE {USER} IN DATABASE {DATABASE} SET work_mem TO '8MB'")
    run(f"ALTER ROLE {USER} CONNECTION LIMIT 7")
    result, _outcome = alternating.rotate()
    assert result.verdict == "ok", result
    shown = "current_setting('search_path'), current_setting('statement_timeout'), current_setting('work_mem')"
    told = rows_as(alternating, alternating.current(), f"SELECT current_user::text, {shown}")
    assert told == [(OWNER, 'shop, "$user", public', "90s", "8MB")]


def rows_as(shop: Shop, secret: Secret, sql: str) -> list[t.Any]:
    import psycopg2

    conn = psycopg2.connect(
        host="127.0.0.1", port=shop.server.port, user=secret.username, password=secret.password, dbname=DATABASE
    )
    with contextlib.closing(conn), conn.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def test_a_twin_that_is_in_use_is_left_alone(alternating: Shop) -> None:
    import psycopg2

    run = alternating.server.run_sql
    run(f"CREATE ROLE {TWIN} LOGIN PASSWORD 'used' IN ROLE {OWNER}")
    run(f"ALTER ROLE {TWIN} SET role TO {OWNER}")
    first = alternating.current()
    session = psycopg2.connect(
        host="127.0.0.1", port=alternating.server.port, user=TWIN, password="used", dbname=DATABASE,
        application_name="batch",
    )  # fmt: skip
    result, _outcome = alternating.rotate()
    reason = nothing_happened(alternating, result, first)
    assert f"{TWIN} is to get a new password, but is in use: 1 session(s) of {TWIN} by batch" in reason
    session.cursor().execute("SELECT 1")
    session.close()


def test_objects_of_a_login_role_are_told(alternating: Shop) -> None:
    alternating.server.run_sql(f"CREATE TABLE legacy (id int); ALTER TABLE legacy OWNER TO {USER}", DATABASE)
    result, outcome = alternating.rotate()
    assert outcome.rotated
    assert [finding.id for finding in result.findings] == ["secret-owned-by-login"]


# -- the application -----------------------------------------------------------------------------------------


def test_a_right_that_the_application_needs_and_has_not_stops_it(shop: Shop) -> None:
    shop.server.run_sql("CREATE TABLE stock (id int)", DATABASE)
    first = shop.current()
    shop.target = {"statements": ("INSERT INTO orders VALUES (1)", "SELECT 1 FROM stock")}
    result, _outcome = shop.rotate()
    reason = nothing_happened(shop, result, first, begun=True)
    assert "test_statements entry 2 does: permission denied for table stock" in reason
    assert shop.server.run_sql("SELECT count(*) FROM orders", DATABASE) == [(0,)]
    shop.server.run_sql("GRANT SELECT ON stock TO PUBLIC", DATABASE)
    assert shop.rotate()[1].rotated
    assert shop.server.run_sql("SELECT count(*) FROM orders", DATABASE) == [(0,)], "the probe was taken back"


def test_an_application_that_is_not_well_gets_the_old_one_back(shop: Shop, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "password"
    path.write_text(shop.current().password)
    first = shop.current()
    shop.consumers = (Consumer("api", (Placed(str(path), TEXT, "{password}"),)),)
    # It is well with the old password only.
    shop.health = Health(command=("grep", "-q", first.password[:8], str(path)), timeout=1)
    result, _outcome = shop.rotate()
    reason = nothing_happened(shop, result, first, begun=True)
    assert "the application is not well with the new secret" in reason
    assert path.read_text() == first.password


def test_a_consumer_that_does_not_take_it_up_gets_the_old_one_back(shop: Shop, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "password"
    path.write_text(shop.current().password)
    first = shop.current()
    shop.consumers = (
        Consumer("deaf", (Placed(str(path), TEXT, "{password}"),), (("true",),), sessions=True, timeout=0.5),
    )
    result, _outcome = shop.rotate()
    reason = nothing_happened(shop, result, first, begun=True)
    assert "consumer deaf does not use the new secret" in reason
    assert path.read_text() == first.password
    assert [finding.id for finding in result.findings] == ["secret-consumer-unproved"]


def test_a_consumer_that_is_kept_down_for_a_while_gets_the_old_one_back(
    shop: Shop, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd does with a unit that has failed to start too often, with whatever secret."""
    monkeypatch.setattr(consumers, "_PAUSE_REFUSED", 0.01)
    path, told, program = tmp_path / "password", tmp_path / "told", tmp_path / "restart"
    path.write_text(shop.current().password)
    program.write_text(f'#!/bin/sh\necho "$1" >>{told}; [ "$(grep -c down {told})" -gt 4 ] || [ "$1" = other ]\n')
    program.chmod(0o700)
    first = shop.current()
    file = Placed(str(path), TEXT, "{password}")
    shop.consumers = tuple(Consumer(name, (file,), ((str(program), name),)) for name in ("down", "other"))
    result, _outcome = shop.rotate()
    assert "consumer down" in nothing_happened(shop, result, first, begun=True)
    assert result.findings == (), "it was brought back"
    # Nobody waits for it who is not kept down himself.
    assert told.read_text().split() == ["down", "down", "other", "down", "down", "down"]
    assert path.read_text() == first.password


def test_a_file_that_is_missing_is_told_before_anything_is_touched(shop: Shop, tmp_path: pathlib.Path) -> None:
    first = shop.current()
    shop.consumers = (Consumer("api", (Placed(str(tmp_path / "missing"), TEXT, "{password}"),)),)
    assert "missing is not there" in nothing_happened(shop, shop.rotate()[0], first)
    assert shop.rotate(check=True)[0].verdict == "failed"


def test_a_field_that_the_secret_has_not_is_refused(shop: Shop, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    shop.consumers = (Consumer("api", (Placed(str(path), TEXT, "{pasword}"),)),)
    with pytest.raises(InputError, match=r"\{pasword\} is unknown; did you mean 'password'"):
        shop.rotate()


def test_an_unfinished_rotation_is_not_taken_up_by_other_settings(
    postgres: PrivatePostgres, tmp_path: pathlib.Path
) -> None:
    """The subject names owner or user, so another strategy has another journal and finds the pending version."""
    shop = a_shop(postgres, tmp_path, ALTERNATING)
    assert shop.rotate_and_be_killed("+done set")
    before = stages(shop.store)
    shop.strategy = SINGLE
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert f"is pending, and one of '{TWIN}'" in result.reason
    assert stages(shop.store) == before
    shop.strategy = ALTERNATING
    assert shop.rotate(force=False)[0].verdict == "ok"


# -- the first time ------------------------------------------------------------------------------------------


def test_the_password_in_use_is_stored_once_a_login_has_proved_it(
    postgres: PrivatePostgres, tmp_path: pathlib.Path
) -> None:
    shop = Shop(postgres, tmp_path, SINGLE, files_store(tmp_path))
    shop.make_roles()
    assert "present_password" in shop.rotate()[0].reason
    assert "does not log shop_a in" in shop.rotate(present=(USER, "wrong"))[0].reason
    with pytest.raises(InputError, match="present_user is 'somebody'"):
        shop.rotate(present=("somebody", "x"))
    assert shop.store.versions() == []
    from support.secrets import FIRST

    foretold = shop.rotate(check=True, present=(USER, FIRST))[1]
    assert (foretold.changed, foretold.planned) == (True, ["store"])
    assert shop.store.versions() == []
    result, outcome = shop.rotate(present=(USER, FIRST))
    assert (result.verdict, outcome.changed, outcome.rotated) == ("ok", True, False)
    assert shop.logs_in(shop.current())
    assert not shop.rotate(force=False)[1].changed
    assert shop.rotate()[1].rotated


def test_a_login_over_a_socket_can_rotate_while_the_application_uses_tcp(single: Shop) -> None:
    single.login = Login(
        unix_socket=single.server.socket_dir, port=single.server.port, user=single.server.superuser, ssl_mode="disable"
    )
    single.target = {"app_host": "127.0.0.1"}
    assert single.rotate()[0].verdict == "ok"
