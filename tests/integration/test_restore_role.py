# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role restore and its playbooks through ansible-playbook, alone and in the cycle."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from support.plays import Play
from support.restores import LIVE_ROWS, SAVED_ROWS, Restores

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

pytest_plugins = ("support.restores_fixtures", "support.plays_fixtures")

ROLE = "steward.maintenance.restore"


@pytest.fixture
def host(restores: Restores, play: Play) -> Play:
    server = restores.server
    application = restores.application.arguments
    play.variables.update(
        {
            "maintenance_postgres_login": {
                "host": "127.0.0.1",
                "port": server.port,
                "user": server.superuser,
                "password": server.password,
                "ssl_mode": "disable",
            },
            "maintenance_postgres_os_user": "",
            "maintenance_postgres_bin_dir": server.bin_dir,
            "maintenance_records": str(play.directory / "records.jsonl"),
            "backup_path": str(restores.backups.path),
            "cycle_report_path": "",
            "restore_state_dir": str(restores.state),
            **{f"restore_{name}": value for name, value in application.items()},
        }
    )
    return play


def playbook(play: Play, name: str, *arguments: str) -> tuple[int, str]:
    inventory = play.directory / "inventory.json"
    inventory.write_text(json.dumps({"postgres": {"hosts": {"db1": play.variables}}}), encoding="utf-8")
    done = subprocess.run(
        [
            str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory),
            f"steward.maintenance.{name}", *arguments,
        ],
        env=play.environment, cwd=play.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout


def entry(play: Play, name: str, **variables: t.Any) -> tuple[int, str]:
    role = {"ansible.builtin.import_role": {"name": ROLE, "tasks_from": name}}
    return play.run("-e", json.dumps(variables), tasks=[role])


def test_the_commands_of_the_readme(restores: Restores, host: Play) -> None:
    restores.application.start()
    status, told = entry(host, "main", restore_database="shop")
    assert status == 0, told
    assert f"{restores.backups.sets()[0].name} " in told
    assert "verified" in told

    status, told = playbook(host, "restore_database", "-e", "restore_database=shop", "--check", "--diff")
    assert status == 0, told
    assert "rename shop -> shop_old_" in told
    restores.assert_untouched()

    status, told = playbook(host, "restore_database", "-e", "restore_database=shop")
    assert status == 0, told
    assert restores.rows() == SAVED_ROWS
    assert '"stopped_seconds"' in told
    assert restores.application.runs()

    status, told = playbook(host, "rollback_restore", "-e", "restore_database=shop")
    assert status == 0, told
    assert restores.rows() == LIVE_ROWS

    status, told = entry(host, "retire", restore_keep="1d")
    assert status == 0, told
    restores.server.run_sql("CREATE TYPE mood AS ENUM ('sad', 'glad')", "shop")
    status, told = entry(host, "tables", restore_database="shop", restore_tables=["orders"])
    assert status == 0, told
    assert len(restores.server.run_sql("SELECT 1 FROM pg_namespace WHERE nspname ~ '_restore_'", "shop")) == 1


def test_a_slip_of_the_pen_restores_nothing(restores: Restores, host: Play) -> None:
    for variables, words in (
        ({"restore_database": "shop", "restore_backups": "x"}, "unknown variable restore_backups"),
        ({}, "database is empty: name the database to restore"),
        ({"restore_database": "shop", "restore_stop_timeout": "soon"}, "stop_timeout: duration 'soon'"),
    ):
        status, told = entry(host, "database", **variables)
        assert status == 2, told
        assert words in told
    restores.assert_untouched()


def test_in_the_cycle_it_needs_an_approved_change(restores: Restores, host: Play) -> None:
    restores.application.start()
    asked = {"cycle_only": ["recovery.database"], "restore_database": "shop"}
    cycle = {"roles": ["steward.maintenance.cycle"]}
    status, told = host.run("-e", json.dumps(asked), **cycle)
    assert status == 0, told
    restores.assert_untouched()
    status, told = host.run("-e", json.dumps({**asked, "cycle_change_request": "CR-17"}), **cycle)
    assert status == 0, told
    assert restores.rows() == SAVED_ROWS
    records = list(open_store(str(host.directory / "records.jsonl")).read())
    assert [(record["activity"], record["verdict"]) for record in records] == [
        ("recovery.database", "skipped"),
        ("recovery.database", "ok"),
    ]
    assert records[1]["change"] == "CR-17"
    assert records[1]["figures"]["restore_seconds"] > 0
    assert records[1]["figures"]["rpo_seconds"] > 0
    assert restores.server.password not in (host.directory / "records.jsonl").read_text()
    status, told = host.run("-e", json.dumps({"cycle_only": ["recovery.retire"]}), **cycle)
    assert status == 0, told
    assert list(open_store(str(host.directory / "records.jsonl")).read())[-1]["figures"]["kept_databases"] == 1


def test_root_stops_the_application_and_another_account_does_the_rest(restores: Restores, host: Play) -> None:
    if os.geteuid() != 0:
        assert restores.server.account is None
        return
    account = str(restores.server.account)
    for path in (restores.backups.path.parent, restores.place):
        path.chmod(0o711)
    subprocess.run(["chown", "-R", account, str(restores.backups.path)], check=True)
    restores.application.start()
    status, told = entry(host, "database", restore_database="shop", restore_os_user=account)
    assert status == 0, told
    assert restores.rows() == SAVED_ROWS
    lines = (restores.application.directory / "told").read_text().split()
    assert lines == ["start", "0", "serve", "0", "stop", "0", "start", "0", "serve", "0"]
    (journal,) = restores.state.glob("*.journal")
    assert journal.owner() == account
