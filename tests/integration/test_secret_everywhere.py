# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One secret with consumers on several hosts, by the playbook: one leads, the others take it up, and whoever cannot be
asked stops that the old secret is closed."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import typing as t

import pytest
from support.canary import secrets_in
from support.modules import run_module
from support.plays import environment
from support.postgres import PrivatePostgres, wait_for
from support.secrets import ALTERNATING, DATABASE, OWNER, TWIN, USER, Shop, files_store, make_older, stages

from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_files import Files

pytest_plugins = ("support.postgres_fixtures",)

_HOSTS = ("web1", "web2", "web3")


class Fleet:
    """Three hosts on this one, each with a directory of journals and files of its own; the store is for all."""

    def __init__(self, server: PrivatePostgres, directory: pathlib.Path) -> None:
        self.directory = directory
        self.shop = Shop(server, directory, ALTERNATING, files_store(directory, "shop"))
        self.shop.make_roles()
        self.shop.fill_store()
        store = t.cast("Files", self.shop.store)
        self.store = {
            "kind": "files",
            "directory": store.directory,
            "recipients": list(store.recipients),
            "identity_file": store.identity_file,
        }
        for host in _HOSTS:
            (directory / host).mkdir()
            for name in ("shop.env", "jwt.json"):
                (directory / host / name).write_text("")
        self.dead: tuple[str, ...] = ()

    def run(self, *words: str, **variables: t.Any) -> tuple[int, str]:
        login = {name.replace("login_", ""): value for name, value in self.shop.server.login_arguments.items()}
        values = {"DB_USER": "{username}", "DB_PASSWORD": "{password}"}
        env = [self._consumer(host, {"path": f"{self._at(host)}/shop.env", "kind": "env", "values": values})
               for host in _HOSTS]  # fmt: skip
        jwt = [self._consumer(host, {"path": f"{self._at(host)}/jwt.json", "kind": "text",
                                     "content": "{secrets_by_kid}"}) for host in _HOSTS]  # fmt: skip
        common = {"hosts": list(_HOSTS)}
        secrets = [
            {**common, "name": "shop", "kind": "database", "users": [USER, TWIN], "owner": OWNER,
             "databases": [DATABASE], "observe_for": "0s", "consumers": env},
            {**common, "name": "jwt", "kind": "jwt", "algorithm": "HS256", "token_life": "1h", "cache_life": "1h",
             "consumers": jwt},
        ]  # fmt: skip
        given = {
            "ansible_python_interpreter": sys.executable,
            "maintenance_records": str(self.directory / "records.jsonl"),
            "secret_rotation_login": login,
            "secret_rotation_store": self.store,
            "secret_rotation_state_dir": str(self.directory / "{{ inventory_hostname }}"),
            "secret_rotation_secrets": secrets,
            **variables,
        }
        dead = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
        hosts = {host: dead if host in self.dead else {"ansible_connection": "local"} for host in _HOSTS}
        inventory = self.directory / "inventory.json"
        inventory.write_text(json.dumps({"application": {"hosts": hosts, "vars": given}}), encoding="utf-8")
        tool = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        done = subprocess.run(
            [tool, "-i", str(inventory), "steward.maintenance.rotate_secrets", "--limit", "web1", *words],
            env=environment(self.directory),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=200,
        )
        assert not secrets_in(done.stdout.encode())
        return done.returncode, re.sub(r"\s+", " ", done.stdout)

    def _consumer(self, host: str, file: dict[str, t.Any]) -> dict[str, t.Any]:
        return {"name": f"on {host}", "hosts": [host], "files": [file]}

    def _at(self, host: str) -> str:
        return str(self.directory / host)

    def in_files(self) -> dict[str, str]:
        """The user that each host logs in as, where what it has opens."""
        found = {}
        for host in _HOSTS:
            text = (self.directory / host / "shop.env").read_text()
            values = dict(line.split("=", 1) for line in text.splitlines())
            secret = self.shop.current()
            fits = values == {"DB_USER": secret.username, "DB_PASSWORD": secret.password}
            found[host] = values.get("DB_USER", "") if fits else ""
        return found

    def secrets(self, name: str) -> set[str]:
        store = t.cast("Files", self.shop.store)
        current = dataclasses.replace(store, name=name).read("current")
        return {key["private"] for key in current.value["keys"]} if current else set()

    def accepted(self) -> list[set[str]]:
        texts = [(self.directory / host / "jwt.json").read_text() for host in _HOSTS]
        return [set(json.loads(text)) if text else set() for text in texts]


def test_one_leads_and_all_take_part(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    fleet = Fleet(postgres, tmp_path)
    shop, old = fleet.shop, fleet.shop.current()
    # One cannot be asked, and one has no place for it.
    fleet.dead = ("web3",)
    lost = tmp_path / "web2" / "shop.env"
    lost.unlink()
    only = {"secret_rotation_only": ["shop"]}
    status, told = fleet.run(secret_rotation_force=True, **only)
    assert status != 0, told
    assert "the new secret has not been seen in use on web2, web3" in told
    assert "web2: the secret was not taken up:" in told
    lost.write_text("")
    assert fleet.in_files() == {"web1": TWIN, "web2": "", "web3": ""}
    assert shop.logs_in(old), "hosts that do not have the new one were locked out"

    # It is back, and the password is taken back: on all hosts, before the new one is closed.
    fleet.dead = ()
    status, told = fleet.run(rotate_secrets_entry="rollback", **only)
    assert status == 0, told
    assert shop.current() == old
    assert fleet.in_files() == dict.fromkeys(_HOSTS, USER)
    assert postgres.run_sql(f"SELECT rolcanlogin FROM pg_authid WHERE rolname = '{TWIN}'") == [(False,)]

    # And forwards, with nobody away: each has the new one, and only then is the old one closed. Keys of tokens, too.
    make_older(t.cast("Files", shop.store), 80)
    status, told = fleet.run("-vvvv", "--diff")
    assert status == 0, told
    assert fleet.in_files() == dict.fromkeys(_HOSTS, TWIN)
    assert not shop.logs_in(old)
    assert stages(shop.store) == {"current": shop.current().version}
    first, *others = fleet.accepted()
    assert first
    assert others == [first, first]
    # The others are told over a connection of their own: nothing of it shows what they are given.
    made = {shop.current().password, *fleet.secrets("jwt")}
    assert len(made) == 2
    assert not [secret for secret in made if secret in told]


# -- one host that follows -----------------------------------------------------------------------------------


def arguments(shop: Shop, consumer: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    store = t.cast("Files", shop.store)
    return {
        **shop.server.login_arguments,
        "name": "shop",
        "kind": "database",
        "store": {
            "kind": "files",
            "directory": store.directory,
            "recipients": list(store.recipients),
            "identity_file": store.identity_file,
        },
        "users": [USER, TWIN],
        "owner": OWNER,
        "databases": [DATABASE],
        "state_dir": str(shop.directory / "follows"),
        "consumers": [consumer],
        **more,
    }


_SERVICE = """
stop() { test ! -s {pid} || kill "$(cat {pid})" 2>/dev/null; }
case $1 in
    # As `docker compose restart`: another process, with the environment that it had.
    stale) stop; env -i DB_USER=before DB_PASSWORD=before sleep 300 & echo $! >{pid} ;;
    up) stop; env -i $(grep -v '^#' {env}) sleep 300 & echo $! >{pid} ;;
esac
"""


@pytest.fixture
def service(tmp_path: pathlib.Path) -> t.Iterator[tuple[pathlib.Path, pathlib.Path, pathlib.Path]]:
    """A program that starts a process with an env file, as systemd and compose do; the file, and that of its number."""
    program, env, pid = tmp_path / "service", tmp_path / "service.env", tmp_path / "service.pid"
    program.write_text("#!/bin/sh" + _SERVICE.replace("{pid}", str(pid)).replace("{env}", str(env)))
    program.chmod(0o755)
    env.write_text("# what it is started with\nDB_USER=\nDB_PASSWORD=\n")
    pid.write_text("")
    yield program, env, pid
    if pid.read_text().strip():
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_process_is_seen_to_have_been_started_with_it(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, service: tuple[pathlib.Path, pathlib.Path, pathlib.Path]
) -> None:
    program, env, pid = service
    shop = Shop(postgres, tmp_path, ALTERNATING, files_store(tmp_path))
    shop.make_roles()
    shop.fill_store()
    file = {"path": str(env), "kind": "env", "values": {"DB_USER": "{username}", "DB_PASSWORD": "{password}"}}
    consumer = {"name": "worker", "files": [file], "processes": ["cat", str(pid)], "timeout": "1s"}
    stale = run_module("secret_take_up", arguments(shop, {**consumer, "commands": [[str(program), "stale"]]}))
    assert (stale["verdict"], stale["version"]) == ("failed", ""), stale
    assert re.search(r"process \d+ was not started with the new DB_USER", stale["reason"])
    assert shop.current().password not in json.dumps(stale)
    pid.write_text("0\n")
    gone = run_module("secret_take_up", arguments(shop, {**consumer, "commands": [["true"]]}))
    assert "lists no process of it" in gone["reason"]
    pid.write_text("")

    args = arguments(shop, {**consumer, "commands": [[str(program), "up"]]})
    foretold = run_module("secret_take_up", args, check=True)
    assert (foretold["changed"], foretold["version"]) == (True, "")
    done = run_module("secret_take_up", args)
    assert (done["verdict"], done["version"], done["told"]) == ("ok", shop.current().version, ["worker"]), done
    running = pid.read_text()
    again = run_module("secret_take_up", args)
    assert (again["changed"], again["told"], again["version"]) == (False, [], done["version"]), again
    assert pid.read_text() == running, "it was told again"
    # The store gives out another one, and the same process is not taken for one that has it.
    assert shop.rotate()[1].rotated
    done = run_module("secret_take_up", args)
    assert (done["version"], done["changed"]) == (shop.current().version, True), done
    environ = pathlib.Path(f"/proc/{pid.read_text().strip()}/environ")
    wait_for(lambda: shop.current().password.encode() in environ.read_bytes(), "its environment")


def test_what_does_not_log_in_from_here_is_given_to_nobody(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    shop = Shop(postgres, tmp_path, ALTERNATING, files_store(tmp_path))
    shop.make_roles()
    shop.fill_store()
    env = tmp_path / "shop.env"
    env.write_text("P=before\n")
    consumer = {"name": "api", "files": [{"path": str(env), "kind": "env", "values": {"P": "{password}"}}]}
    postgres.run_sql(f"ALTER ROLE {USER} PASSWORD 'changed by hand'")
    told = run_module("secret_take_up", arguments(shop, consumer))
    assert (told["verdict"], told["changed"], told["version"]) == ("failed", False, "")
    assert f"does not log {USER} in from here" in told["reason"]
    assert env.read_text() == "P=before\n"
    proof = {**consumer, "prove_sessions": True}
    wrong = run_module("secret_take_up", arguments(shop, proof, kind="jwt"))
    assert "which is for passwords of databases" in wrong["msg"]
    without = run_module("secret_take_up", arguments(shop, {**consumer, "files": [], "processes": ["x"]}))
    assert "processes without a file of kind 'env'" in without["msg"]
