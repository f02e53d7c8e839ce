# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Behind a real PgBouncer: it knows a new password before anybody is given it, and forgets the old role."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest
from support.modules import run_module
from support.pgbouncer import PgBouncerService
from support.postgres import PrivatePostgres, free_port
from support.secret_load import Load
from support.secrets import ALTERNATING, DATABASE, OWNER, SINGLE, TWIN, USER, Shop, files_store, logs_in

from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import Secret

pytest_plugins = ("support.postgres_fixtures",)
pytestmark = pytest.mark.pgbouncer


def a_shop(server: PrivatePostgres, directory: pathlib.Path, strategy: str) -> Shop:
    shop = Shop(server, directory, strategy, files_store(directory))
    shop.make_roles()
    shop.fill_store()
    return shop


def arguments(shop: Shop, pools: list[dict[str, t.Any]], **more: t.Any) -> dict[str, t.Any]:
    store: t.Any = shop.store
    roles: dict[str, t.Any] = {"users": [USER]}
    if shop.strategy == ALTERNATING:
        roles = {"users": [USER, TWIN], "owner": OWNER}
    return {
        **shop.server.login_arguments,
        **roles,
        "name": "shop",
        "store": {
            "kind": "files",
            "directory": store.directory,
            "recipients": list(store.recipients),
            "identity_file": store.identity_file,
        },
        "databases": [DATABASE],
        "pools": pools,
        "force": True,
        "observe_timeout": "30s",
        "state_dir": str(shop.directory / "state"),
        **more,
    }


def through(pool: PgBouncerService, server: PrivatePostgres, secret: Secret) -> bool:
    behind = dataclasses.replace(server.login, port=pool.port)
    near: t.Any = type("Near", (), {"port": behind.port})
    return logs_in(near, secret.username, secret.password)


def verifier_of(server: PrivatePostgres, user: str) -> str:
    return str(server.run_sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'")[0][0])


def test_with_two_users_nobody_is_refused_behind_a_pool(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    shop = a_shop(postgres, tmp_path, ALTERNATING)
    lines = {USER: verifier_of(postgres, USER)}
    with PgBouncerService(postgres, DATABASE, lines) as pool:
        with Load(postgres, shop.current, DATABASE, port=pool.port) as load:
            for user in (TWIN, USER):
                before = shop.current()
                done = run_module("secret_rotate", arguments(shop, [pool.arguments()], observe_for="3s"))
                assert (done["verdict"], done["rotated"]) == ("ok", True), done
                assert done["written"] == [str(pool.userlist)]
                assert shop.current().username == user
                load.wait_for_more(2)
                # The pool has forgotten the role that is closed, and holds nothing open for it.
                assert f'"{before.username}"' not in pool.userlist.read_text()
                assert not through(pool, postgres, before)
        assert not load.logins.refused
        assert load.logins.good >= 40
        assert pool.userlist.stat().st_mode & 0o777 == 0o640


def test_with_auth_query_nothing_is_written(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    shop = a_shop(postgres, tmp_path, ALTERNATING)
    postgres.run_sql("DROP ROLE IF EXISTS asks")
    postgres.run_sql("CREATE ROLE asks LOGIN SUPERUSER PASSWORD 'asks for others'")
    try:
        with PgBouncerService(postgres, DATABASE, {"asks": "asks for others"}, auth_user="asks") as pool:
            with Load(postgres, shop.current, DATABASE, port=pool.port) as load:
                args = arguments(shop, [pool.arguments(userlist=False)], observe_for="3s")
                done = run_module("secret_rotate", args)
                assert (done["verdict"], done["rotated"], done["written"]) == ("ok", True, []), done
                load.wait_for_more(2)
            assert not load.logins.refused
    finally:
        postgres.run_sql("DROP ROLE asks")


def test_with_one_user_the_pool_follows(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    shop = a_shop(postgres, tmp_path, SINGLE)
    old = shop.current()
    with PgBouncerService(postgres, DATABASE, {USER: verifier_of(postgres, USER)}) as pool:
        done = run_module("secret_rotate", arguments(shop, [pool.arguments()], observe_for="0s"))
        assert (done["verdict"], done["rotated"]) == ("ok", True), done
        assert through(pool, postgres, shop.current())
        assert not through(pool, postgres, old)
        # An application that is not well with it gets the old one back, at the pool, too.
        current = shop.current()
        wrong = {"health_command": ["false"], "health_timeout": "1s"}
        done = run_module("secret_rotate", arguments(shop, [pool.arguments()], observe_for="0s", **wrong))
        assert done["verdict"] == "failed"
        assert "all was undone; the old secret was seen to open" in done["reason"]
        assert shop.current() == current
        assert through(pool, postgres, current)


def test_a_pool_that_is_down_is_told_and_nothing_begun(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    shop = a_shop(postgres, tmp_path, ALTERNATING)
    first = shop.current()
    userlist = tmp_path / "userlist.txt"
    userlist.write_text("")
    down = {"port": free_port(), "user": "x", "password": "y", "userlist": str(userlist)}
    done = run_module("secret_rotate", arguments(shop, [down]))
    assert (done["verdict"], done["changed"]) == ("failed", False)
    assert "does not let shop_a in now: cannot log in" in done["reason"]
    assert shop.current() == first
    assert userlist.read_text() == ""
