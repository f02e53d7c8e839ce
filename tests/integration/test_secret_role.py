# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role secret_rotation as a user runs it: its playbook with ansible-playbook, and the cycle, which records it."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
from support.canary import CommandLines, secrets_in, sweep
from support.modules import run_module
from support.plays import environment
from support.postgres import PrivatePostgres
from support.secret_api_keys import Service
from support.secrets import (
    ALTERNATING,
    DATABASE,
    FIRST,
    OWNER,
    TWIN,
    USER,
    Shop,
    files_store,
    logs_in,
    make_older,
    stages,
)

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_files import Files

pytest_plugins = ("support.postgres_fixtures",)


class Site:
    """One local host of the application, with a password, keys of tokens and an API key in encrypted files."""

    def __init__(self, server: PrivatePostgres, directory: pathlib.Path) -> None:
        self.directory = directory
        self.shop = Shop(server, directory, ALTERNATING, files_store(directory, "shop-database"))
        self.shop.make_roles()
        self.records = directory / "records.jsonl"
        #: All that was ever printed.
        self.told: list[str] = []
        (directory / "service").mkdir()
        self.service = Service(directory / "service")
        for name in ("shop.env", "jwt.json", "key.env"):
            (directory / name).write_text("")
        store: t.Any = self.shop.store
        self.store = {
            "kind": "files",
            "directory": store.directory,
            "recipients": list(store.recipients),
            "identity_file": store.identity_file,
        }
        orders = ("list", "create", "check", "enable", "disable", "delete")
        self.secrets: list[dict[str, t.Any]] = [
            {
                "name": "shop-database",
                "kind": "database",
                "users": [USER, TWIN],
                "owner": OWNER,
                "databases": [DATABASE],
                "observe_for": "0s",
                "present_user": USER,
                "present_password": "{{ planted }}",
                "failed_logins_log": str(server.log_file),
                "consumers": [
                    self.consumer("shop.env", {"DB_USER": "{username}", "DB_PASSWORD": "{password}"}),
                ],
            },
            {
                "name": "shop-jwt",
                "kind": "jwt",
                "algorithm": "HS256",
                "token_life": "1h",
                "cache_life": "1h",
                "consumers": [
                    {
                        "name": "verifier",
                        "files": [{"path": str(directory / "jwt.json"), "kind": "text", "content": "{secrets_by_kid}"}],
                    }
                ],
            },
            {
                "name": "shop-payment",
                "kind": "command",
                "provider": {order: self.service.command(order) for order in orders},
                "present_id": "key-first",
                "present_secret": "{{ planted }}",
                "consumers": [self.consumer("key.env", {"KEY_ID": "{id}", "KEY_SECRET": "{secret}"})],
            },
        ]

    def consumer(self, name: str, values: dict[str, str]) -> dict[str, t.Any]:
        file = {"path": str(self.directory / name), "kind": "env", "values": values}
        return {"name": name, "files": [file]}

    def stored(self, name: str) -> Files:
        return Files(self.store["directory"], name, tuple(self.store["recipients"]), self.store["identity_file"])

    def run(self, playbook: str, *words: str, **variables: t.Any) -> tuple[int, str]:
        """Exit status and all that was printed, on one line."""
        login = {name.replace("login_", ""): value for name, value in self.shop.server.login_arguments.items()}
        given = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "maintenance_records": str(self.records),
            "cycle_report_path": "",
            "secret_rotation_login": login,
            "secret_rotation_store": self.store,
            "secret_rotation_state_dir": str(self.directory / "state"),
            "secret_rotation_secrets": self.secrets,
            **variables,
        }
        # As a vault would have it: what is planted is in a file that only the play reads.
        place = self.directory.parent / "vault.json"
        place.write_text(json.dumps({"planted": FIRST}))
        inventory = self.directory / "inventory.json"
        inventory.write_text(json.dumps({"application": {"hosts": {"web1": given}}}), encoding="utf-8")
        tool = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        done = subprocess.run(
            [tool, "-i", str(inventory), f"steward.maintenance.{playbook}", "-e", f"@{place}", *words],
            env=environment(self.directory),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=250,
        )
        assert not secrets_in(done.stdout.encode())
        self.told.append(done.stdout)
        return done.returncode, re.sub(r"\s+", " ", done.stdout)

    def begin_the_key(self, **more: t.Any) -> None:
        """Rotate the API key until its first wait, as the role would."""
        entry = {name: value for name, value in self.secrets[2].items() if name not in ("kind", "present_secret")}
        provider = {"kind": "command", **entry.pop("provider")}
        beside = {"store": self.store, "state_dir": str(self.directory / "state"), "force": True}
        if not more:
            entry["present_id"] = ""
        told = run_module("secret_rotate_key", {**entry, "provider": provider, **beside, **more})
        assert told["verdict"] == "ok", told

    def made(self) -> set[str]:
        """Every secret that was ever made here."""
        found = set()
        for name in ("shop-database", "shop-jwt", "shop-payment"):
            store = self.stored(name)
            for version in store.versions():
                secret = store.read_version(version.id)
                value = dict(secret.value) if secret else {}
                found |= {
                    value.get("password"),
                    value.get("secret"),
                    *(key["private"] for key in value.get("keys", [])),
                }
        return {text for text in found if text}


@pytest.fixture
def site(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> Site:
    place = tmp_path / "site"
    place.mkdir()
    return Site(postgres, place)


def test_from_the_first_day_to_the_last_of_a_period(site: Site) -> None:
    shop, database = site.shop, t.cast("Files", site.shop.store)
    logged_before = len(shop.server.log())
    with CommandLines(keep=True) as lines:
        # One is due, one is made, and another one has an entry that cannot be right. Everything at -vvvv, with diff.
        shop.fill_store()
        make_older(database, 80)
        site.secrets[2] = {**site.secrets[2], "quiet_for": "soon"}
        before = shop.current()
        status, told = site.run("rotate_secrets", "-vvvv", "--diff")
        assert status != 0
        assert "shop-payment: quiet_for: duration 'soon' cannot be read" in told
        assert "shop-database: shop_b has a new password" in told
        assert shop.logs_in(shop.current())
        assert not shop.logs_in(before)
        values = dict(line.split("=", 1) for line in (site.directory / "shop.env").read_text().splitlines())
        assert values == {"DB_USER": TWIN, "DB_PASSWORD": shop.current().password}
        assert stages(site.stored("shop-jwt"))["current"]
        assert "shop-jwt" in told.partition("PLAY RECAP")[0]
        assert list(site.service.keys) == ["key-first"]
        site.secrets[2].pop("quiet_for")

        # Somebody else knows the password: it is rotated at once, and the others are left alone.
        known = shop.current()
        status, told = site.run("rotate_secrets", "-vvvv", "--diff", secret_rotation_compromised=["shop-database"])
        assert status == 0, told
        assert not shop.logs_in(known)
        assert shop.logs_in(shop.current())
        assert "shop-payment" not in told.split("PLAY RECAP")[0].rpartition("Tell how it ended")[2]

        # A rotation that was left open is taken back. The first one stores the key that is in use.
        site.begin_the_key(present_secret=FIRST, force=False)
        site.begin_the_key()
        assert len(site.service.keys) == 2
        only = {"secret_rotation_only": ["shop-payment"]}
        status, told = site.run("rotate_secrets", "-vvvv", "--diff", rotate_secrets_entry="rollback", **only)
        assert status == 0, told
        assert "the rotation was taken back" in told
        assert list(site.service.keys) == ["key-first"]
    assert not lines.caught
    made = site.made() - {FIRST}
    assert len(made) >= 4
    # Only the consumers' files have the new ones, and nothing has the planted one, but for the service, whose it is.
    assert set(sweep(site.directory)) <= {"service/keys.json", "key.env"}
    for path in site.directory.rglob("*"):
        if path.is_file() and path.name not in ("shop.env", "jwt.json", "key.env", "keys.json"):
            content = path.read_text(errors="replace")
            assert not [secret for secret in made if secret in content], path
    assert not [secret for secret in made for text in site.told if secret in text]
    # Nor was any in the server's statement log, on a command line, in an environment, or in a record.
    log = shop.server.log()[logged_before:]
    assert "set_config" in log, "statements were not logged at all, so the test shows nothing"
    assert not [secret for secret in (*made, FIRST, "SCRAM-SHA-256$") if secret in log]
    assert not lines.with_any(made)
    assert not site.records.exists() or not [secret for secret in made if secret in site.records.read_text()]


def test_the_cycle_does_what_is_due_and_records_ages(site: Site) -> None:
    site.shop.fill_store()
    make_older(t.cast("Files", site.shop.store), 80)
    site.secrets[0]["period"] = "100d"
    del site.secrets[1:]
    metrics = site.directory / "steward.prom"
    only = ["security.secrets", "secrets.database", "secrets.api"]
    status, told = site.run("run_maintenance", cycle_only=only, cycle_force=True, cycle_metrics_path=str(metrics))
    assert status == 0, told
    records: dict[str, t.Any] = {record["activity"]: record for record in open_store(str(site.records)).read()}
    assert records["secrets.database"]["verdict"] == "ok"
    assert "shop-database: shop_b has a new password" in records["secrets.database"]["summary"]
    assert records["secrets.database"]["figures"]["shop-database:failed_logins"] == 0
    # Nobody keeps an API key here: that is no rotation that was done.
    assert records["secrets.api"]["verdict"] == "skipped"
    ages = records["security.secrets"]
    assert (ages["verdict"], ages["coverage"]) == ("findings", {"looked": 1, "of": 1})
    assert ages["figures"]["shop-database:age_percent"] == 80
    assert [finding["id"] for finding in ages["findings"]] == ["secret-due-soon"]
    due = ages["figures"]["shop-database:due_timestamp_seconds"]
    labels = 'activity="security.secrets",subject="shop-database",figure="due_timestamp_seconds"'
    assert f"steward_activity_figure{{{labels}}} {due}" in metrics.read_text()
    assert not secrets_in(site.records.read_bytes())


def test_what_is_misspelt_is_refused_before_anything_is_touched(site: Site) -> None:
    status, told = site.run("rotate_secrets", rotate_secrets_entry="database", secret_rotation_only=["shop-jwt"])
    assert status != 0
    assert "shop-jwt: not of the kinds database" in told
    assert not (site.directory / "state").exists()
    assert logs_in(site.shop.server, USER, FIRST)


def test_a_secret_without_a_store_is_refused() -> None:
    told = run_module("secret_info", {"secrets": [{"name": "a"}]})
    assert "'a' has no store" in told["msg"]
