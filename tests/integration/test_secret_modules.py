# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as Ansible runs them: check mode, diff, a second run, bad input, ages, and an application under load."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import threading
import typing as t

import pytest
from support.modules import run_module
from support.postgres import PrivatePostgres, wait_for
from support.secret_kv import TOKEN, KvServer
from support.secrets import ALTERNATING, DATABASE, OWNER, SINGLE, TWIN, USER, Shop, files_store, make_older, stages

from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import new_token
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_files import Files
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_kv import Kv, KvSettings

pytest_plugins = ("support.postgres_fixtures", "support.secret_fixtures")


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


def store_arguments(store: Files) -> dict[str, t.Any]:
    return {
        "kind": "files",
        "directory": store.directory,
        "recipients": list(store.recipients),
        "identity_file": store.identity_file,
    }


def arguments(shop: Shop, **more: t.Any) -> dict[str, t.Any]:
    roles: dict[str, t.Any] = {"users": [USER]}
    if shop.strategy == ALTERNATING:
        roles = {"users": [USER, TWIN], "owner": OWNER}
    return {
        **shop.server.login_arguments,
        **roles,
        "name": "shop",
        "store": store_arguments(t.cast("Files", shop.store)),
        "databases": [DATABASE],
        "observe_for": "0s",
        "state_dir": str(shop.directory / "state"),
        "test_statements": ["INSERT INTO orders VALUES (1)"],
        **more,
    }


def test_it_foretells_rotates_and_then_has_nothing_to_do(alternating: Shop) -> None:
    make_older(t.cast("Files", alternating.store), 80)
    first = alternating.current()
    foretold = run_module("secret_rotate", arguments(alternating), check=True)
    assert (foretold["verdict"], foretold["changed"]) == ("ok", True), foretold
    assert foretold["planned"] == ["create", "set", "test", "finish", "reload", "observe", "retire"]
    assert foretold["diff"]["before"] == f"current: {first.version} ({USER})\n"
    assert alternating.current() == first
    assert not (alternating.directory / "state").exists()

    done = run_module("secret_rotate", arguments(alternating))
    assert (done["verdict"], done["changed"], done["rotated"]) == ("ok", True, True), done
    assert done["diff"]["after"] == f"current: {done['version']} ({TWIN})\n"
    assert done["old_version"] == first.version
    assert done["figures"]["tested_logins"] == 1
    assert alternating.logs_in(alternating.current())

    again = run_module("secret_rotate", arguments(alternating))
    assert (again["verdict"], again["changed"], again["rotated"]) == ("ok", False, False), again
    assert again["summary"].startswith("not due: ")


def test_with_one_user_the_gap_is_told(single: Shop) -> None:
    path = single.directory / "password"
    path.write_text("")
    consumers = [{"name": "api", "files": [{"path": str(path), "kind": "text"}]}]
    done = run_module("secret_rotate", arguments(single, force=True, consumers=consumers))
    assert done["verdict"] == "ok", done
    assert 0 < done["figures"]["store_gap_seconds"] < done["figures"]["consumers_gap_seconds"]
    assert path.read_text() == single.current().password


def test_it_rotates_in_a_vault(single: Shop, kv: KvServer) -> None:
    store = Kv(KvSettings(kv.url, TOKEN), "shop/database")
    store.create_first(new_token(), single.current().value)
    token_file = single.directory / "token"
    token_file.write_text(TOKEN + "\n")
    vault = {"kind": "vault", "url": kv.url, "token_file": str(token_file)}
    args = arguments(single, name="shop/database", store=vault, force=True)
    done = run_module("secret_rotate", args)
    assert (done["verdict"], done["rotated"]) == ("ok", True), done
    assert stages(store) == {"current": done["version"]}
    assert single.logs_in(store.read("current"))
    kv.make_older("shop/database", 95)
    told = run_module("secret_info", {"store": vault, "secrets": [{"name": "shop/database"}]})
    assert (told["verdict"], told["failed"]) == ("failed", True)
    assert "is 95 d old" in told["reason"].replace(" 0 h", "")


@pytest.mark.s3
def test_it_rotates_in_secrets_manager(single: Shop, request: pytest.FixtureRequest) -> None:
    from support.secret_aws import StrictSecretsManager

    from ansible_collections.steward.maintenance.plugins.module_utils._secrets.aws_session import AwsSettings
    from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_aws import Aws

    manager: StrictSecretsManager = request.getfixturevalue("manager")
    store = Aws(AwsSettings("eu-central-1", manager.url, "AKIAEXAMPLE", "x"), f"shop-{new_token()}")
    store.create_first(new_token(), single.current().value)
    where = {
        "kind": "aws",
        "region": "eu-central-1",
        "endpoint_url": manager.url,
        "access_key": "AKIAEXAMPLE",
        "secret_key": "some secret key",
    }
    done = run_module("secret_rotate", arguments(single, name=store.name, store=where, force=True))
    assert (done["verdict"], done["rotated"]) == ("ok", True), done
    assert stages(store) == {"current": done["version"]}
    assert single.logs_in(store.read("current"))
    assert manager.moved_current == []
    manager.make_older(store.name, 75)
    told = run_module("secret_info", {"store": where, "secrets": [{"name": store.name}]})
    assert [finding["id"] for finding in told["findings"]] == ["secret-due-soon"]
    assert told["secrets"][0]["age_percent"] == 83


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"users": [USER, TWIN]}, "users has 2 entries and owner is ''"),
        ({"owner": OWNER}, "users has 1 entries and owner is 'shop_owner'"),
        ({"users": [""]}, "is no name of a role"),
        ({"databases": []}, "databases is empty"),
        ({"period": "quarter"}, "period: duration 'quarter' cannot be read"),
        ({"rotate_after_percent": 0}, "rotate_after_percent is 0"),
        ({"password_length": 8}, "password_length is 8: it must be between 24 and 128"),
        ({"name": "a/b"}, "without slashes"),
        ({"present_password": "x"}, "whose password is it"),
        ({"store": {"kind": "files"}}, "store.directory is empty"),
        ({"store": {"kind": "vault", "url": "vault"}}, 'write it like "https://vault'),
        ({"store": {"kind": "vault", "url": "http://x", "region": "eu"}}, "store.region is for kind 'aws'"),
        ({"consumers": [{"name": "a"}]}, "has nothing"),
        ({"consumers": [{"name": "a", "commands": [["true"]]}]}, "what shows that they had effect"),
        ({"consumers": [{"name": "a", "probe": ["x"]}, {"name": "a", "probe": ["x"]}]}, "'a' is there twice"),
        ({"consumers": [{"name": "a", "files": [{"path": "/x", "kind": "env"}]}]}, "needs values"),
        ({"health_url": "nowhere"}, "health_url"),
    ],
)
def test_bad_input_is_one_error_and_nothing_is_touched(
    tmp_path: pathlib.Path, wrong: dict[str, t.Any], words: str
) -> None:
    """No server is there, so whoever tried to reach it would tell another error."""
    nowhere = {"login_host": "127.0.0.1", "login_port": 1, "name": "shop", "state_dir": str(tmp_path / "state")}
    store = {"kind": "files", "directory": str(tmp_path), "recipients": ["age1" + "q" * 58], "identity_file": "/x"}
    told = run_module("secret_rotate", {**nowhere, "store": store, "users": [USER], "databases": [DATABASE], **wrong})
    assert told["failed"]
    assert words in told["msg"]
    assert not list(tmp_path.iterdir())


def test_two_users_are_not_kept(alternating: Shop) -> None:
    told = run_module("secret_rotate", arguments(alternating, old_sessions="keep"))
    assert "old_sessions is 'keep'" in told["msg"]


# -- ages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "verdict", "finding"),
    [(71, "ok", None), (72.1, "findings", ("secret-due-soon", "medium")), (90.1, "failed", ("secret-overdue", "high"))],
)
def test_ages_warn_at_80_and_fail_at_100_percent(
    tmp_path: pathlib.Path, days: float, verdict: str, finding: tuple[str, str] | None
) -> None:
    store = files_store(tmp_path)
    store.create_first(new_token(), {"username": "a", "password": "b"})
    make_older(store, days)
    without_key = {**store_arguments(store), "identity_file": "/nonexistent"}
    told = run_module("secret_info", {"store": without_key, "secrets": [{"name": "shop", "period": "90d"}]})
    assert told["verdict"] == verdict, told
    assert [(one["id"], one["severity"]) for one in told["findings"]] == ([finding] if finding else [])
    assert told["secrets"][0]["age_percent"] == int(days / 0.9)
    assert told["secrets"][0]["stages"] == {"current": told["secrets"][0]["version"]}


def test_one_that_cannot_be_looked_at_leaves_the_others_told(tmp_path: pathlib.Path) -> None:
    store = files_store(tmp_path)
    token = new_token()
    store.create_first(token, {"username": "a", "password": "b"})
    pending = new_token()
    store.create_pending(pending, {"username": "a", "password": "c"})
    make_older(store, 1)
    told = run_module(
        "secret_info", {"store": store_arguments(store), "secrets": [{"name": "shop"}, {"name": "absent"}]}
    )
    assert told["verdict"] == "unknown"
    assert "absent has no current version" in told["reason"].replace(f"{store.directory}/", "")
    assert told["coverage"] == {"looked": 1, "of": 2}
    assert [one["name"] for one in told["secrets"]] == ["shop"]
    assert [one["id"] for one in told["findings"]] == ["secret-rotation-stuck"]
    assert pending in told["findings"][0]["message"]


def test_the_same_secret_twice_is_refused(tmp_path: pathlib.Path) -> None:
    args = {"store": store_arguments(files_store(tmp_path)), "secrets": [{"name": "a"}, {"name": "a"}]}
    assert "'a' is there twice" in run_module("secret_info", args)["msg"]


# -- the application -----------------------------------------------------------------------------------------

_APPLICATION = """
import os, signal, sys, time
import psycopg2

path, port, database, ready = sys.argv[1:]
again = True

def on_hangup(*_args):
    global again
    again = True

signal.signal(signal.SIGHUP, on_hangup)
session = None
for _moment in range(1200):
    if again:
        again = False
        values = dict(line.rstrip("\\n").split("=", 1) for line in open(path))
        old = session
        session = psycopg2.connect(
            host="127.0.0.1", port=port, dbname=database, user=values["DB_USER"], password=values["DB_PASSWORD"],
            application_name="shop-api",
        )
        session.autocommit = True
        if old:
            old.close()
        open(ready, "w").close()
    session.cursor().execute("INSERT INTO orders VALUES (1)")
    time.sleep(0.05)
"""


def test_an_application_takes_up_its_env_file_and_is_seen_to(alternating: Shop, tmp_path: pathlib.Path) -> None:
    env, ready = tmp_path / "api.env", tmp_path / "ready"
    current = alternating.current()
    env.write_text(f"DB_USER={current.username}\nDB_PASSWORD={current.password}\n")
    program = tmp_path / "application.py"
    program.write_text(_APPLICATION)
    words = [str(env), str(alternating.server.port), DATABASE, str(ready)]
    application = subprocess.Popen([sys.executable, str(program), *words], stderr=subprocess.PIPE)
    try:
        wait_for(ready.exists, "the application's start")
        consumer = {
            "name": "api",
            "files": [
                {"path": str(env), "kind": "env", "values": {"DB_USER": "{username}", "DB_PASSWORD": "{password}"}}
            ],
            "commands": [["kill", "-HUP", str(application.pid)]],
            "prove_sessions": True,
            "application_name": "shop-api",
            "timeout": "15s",
        }
        done = run_module("secret_rotate", arguments(alternating, force=True, consumers=[consumer]))
        assert done["verdict"] == "ok", done
        assert done["written"] == [str(env)]
        users = alternating.server.run_sql(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'shop-api'"
        )
        assert users == [(TWIN,)]
        assert application.poll() is None
    finally:
        application.kill()
        application.wait()
    assert env.stat().st_mode & 0o777 == 0o644


def test_with_two_users_nobody_who_reads_the_store_is_refused(alternating: Shop) -> None:
    """Whoever logs in anew each time, with what the store gives at that moment, gets in each time."""
    over = threading.Event()
    logins: list[bool] = []

    def log_in_again_and_again() -> None:
        while not over.is_set():
            logins.append(alternating.logs_in(alternating.store.read("current")))

    threads = [threading.Thread(target=log_in_again_and_again) for _number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _rotation in range(2):
            before = len(logins)
            # Between reading the store and logging in, a moment passes: so long both have to be good.
            done = run_module("secret_rotate", arguments(alternating, force=True, observe_for="2s"))
            assert done["verdict"] in ("ok", "findings"), json.dumps(done)
            wait_for(lambda count=before: len(logins) > count + 4, "more logins")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert logins
    assert all(logins), f"{logins.count(False)} of {len(logins)} logins were refused"


def test_a_state_directory_is_closed_to_others(single: Shop) -> None:
    assert run_module("secret_rotate", arguments(single, force=True))["rotated"]
    state = single.directory / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    journal = next(state.glob("*.journal"))
    assert journal.stat().st_mode & 0o777 == 0o600
    assert os.listdir(state)
