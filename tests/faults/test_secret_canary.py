# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The password in use and the store's token are planted; then they, and the new password, are looked for: in all that
the module prints, in the server's log, in journals and stores, on every command line; after success, failure, kill."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support.canary import RIGHT, CommandLines, secrets_in, sweep
from support.modules import start_module
from support.postgres import PrivatePostgres
from support.secret_kv import TOKEN, KvServer
from support.secrets import DATABASE, FIRST, SINGLE, USER, Shop, files_store
from support.syslog import Syslog

from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import new_token
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_kv import Kv, KvSettings

pytest_plugins = ("support.postgres_fixtures", "support.secret_fixtures")


def _printed(module: str, arguments: t.Mapping[str, t.Any], log: Syslog, check: bool = False) -> str:
    process = start_module(module, arguments, check, prefix=log.prefix)
    stdout, stderr = process.communicate(timeout=60)
    assert b'"verdict"' in stdout or b'"failed": true' in stdout, stdout + stderr
    assert not secrets_in(stdout + stderr)
    return (stdout + stderr).decode()


@pytest.fixture
def shop(postgres: PrivatePostgres, kv: KvServer, tmp_path: pathlib.Path) -> Shop:
    shop = Shop(postgres, tmp_path, SINGLE, files_store(tmp_path))
    shop.make_roles()
    shop.store = Kv(KvSettings(kv.url, TOKEN), "shop")
    shop.store.create_first(new_token(), {"username": USER, "password": FIRST})
    return shop


def _arguments(shop: Shop, kv: KvServer, **more: t.Any) -> dict[str, t.Any]:
    file = shop.directory / "shop.env"
    consumer = {
        "name": "api",
        "files": [{"path": str(file), "kind": "env", "values": {"P": "{password}", "V": "{verifier}"}}],
        "commands": [["true"]],
        "probe": ["grep", "-q", "^P=", str(file)],
        "timeout": "1s",
    }
    return {
        **shop.server.login_arguments,
        "name": "shop",
        "store": {"kind": "vault", "url": kv.url, "token": TOKEN},
        "users": [USER],
        "databases": [DATABASE],
        "force": True,
        "observe_for": "0s",
        "old_sessions": "wait",
        "state_dir": str(shop.directory / "state"),
        "consumers": [consumer],
        **more,
    }


def test_no_secret_is_anywhere(shop: Shop, kv: KvServer) -> None:
    file = shop.directory / "shop.env"
    file.write_text("P=\nV=\n")
    assert FIRST == RIGHT
    made: set[str] = set()
    logged_before = len(shop.server.log())
    args = _arguments(shop, kv)
    # Echoes what stands in the consumer's file, so that the reason of the failure quotes the new password.
    quoting = [{**args["consumers"][0], "probe": ["sh", "-c", f"cat {file}; exit 1"]}]
    with CommandLines() as lines, Syslog() as system:
        texts = [_printed("secret_rotate", args, system, check=True)]
        texts.append(_printed("secret_rotate", {**args, "consumers": quoting}, system))
        assert "does not use the new secret" in texts[-1]
        made |= _passwords(kv)
        texts.append(_printed("secret_rotate", {**args, "test_statements": ["SELECT nothing_like_it"]}, system))
        texts.append(_printed("secret_rotate", {**args, "no_such_option": 1}, system))
        texts.append(_printed("secret_rotate", {**args, "present_user": USER, "present_password": FIRST}, system))
        made |= _passwords(kv)
        assert shop.rotate_and_be_killed("+done set")
        texts.append(_printed("secret_rotate", args, system))
        made |= _passwords(kv)
        texts.append(_printed("secret_info", {"store": args["store"], "secrets": [{"name": "shop"}]}, system))
    assert '"rotated": true' in texts[-2]
    made -= {FIRST}
    assert len(made) >= 2
    for password in made:
        assert not [text for text in texts if password in text]
    log = shop.server.log()[logged_before:]
    assert "set_config" in log
    for secret in (*made, FIRST, TOKEN):
        assert secret not in log
    # Each invocation of a module is in the system's log.
    told = system.content.decode(errors="replace")
    assert told.count("Invoked with") >= len(texts) - 1, "the system's log was not heard"
    assert not [secret for secret in (*made, FIRST, TOKEN) if secret in told]
    assert not sweep(shop.directory)
    for path in shop.directory.rglob("*"):
        if path.is_file() and path != file:
            content = path.read_text(errors="replace")
            assert not [password for password in made if password in content], path
    assert lines.rounds > 3, "the command lines were hardly looked at"
    assert not lines.caught


def _passwords(kv: KvServer) -> set[str]:
    values = [version["data"] for path in kv.paths.values() for version in path.versions.values()]
    return {str((value.get("value") or value)["password"]) for value in values}
