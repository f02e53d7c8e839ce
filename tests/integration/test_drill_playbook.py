# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook of the drills as a user runs it: each of the three is done, recorded with RTO and RPO, and reported."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing as t

import pytest
import yaml
from support.backups import make_old
from support.canary import secrets_in, sweep
from support.drills import ROWS, Drills
from support.plays import Play
from support.s3_server import SECRET_KEY, without_credentials

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

pytest_plugins = ("support.offsite_fixtures", "support.drills_fixtures")
pytestmark = pytest.mark.s3


class Site:
    """One local host in each of the groups that are drilled, with the variables of the README."""

    def __init__(self, drills: Drills, directory: pathlib.Path) -> None:
        self.directory = directory
        self.play = Play(directory)
        self.play.environment = {
            **without_credentials(),
            **{name: value for name, value in self.play.environment.items() if name not in os.environ},
            "ANSIBLE_CONFIG": self.play.environment["ANSIBLE_CONFIG"],
            "HOME": str(directory),
        }
        roles = directory / "roles" / "platform" / "tasks"
        roles.mkdir(parents=True)
        rebuilt = {"ansible.builtin.copy": {"content": "rebuilt", "dest": str(directory / "rebuilt"), "mode": "0600"}}
        (roles / "main.yml").write_text(yaml.safe_dump([{"name": "Rebuild", **rebuilt}]))
        self.play.environment["ANSIBLE_ROLES_PATH"] = str(directory / "roles")
        (directory / "vault.yml").write_text(yaml.safe_dump({"vault_secret": SECRET_KEY}))
        bucket = drills.offsite.bucket
        switch = {f"disaster_recovery_{name}": value for name, value in drills.switch.arguments().items()}
        self.variables: dict[str, t.Any] = {
            **self.play.variables,
            **switch,
            "maintenance_postgres_os_user": "",
            "maintenance_postgres_bin_dir": drills.server.bin_dir,
            "maintenance_records": str(directory / "records.jsonl"),
            "cycle_report_path": str(directory / "report.html"),
            "backup_path": str(drills.backups.path),
            "backup_scratch_path": str(drills.backups.scratch),
            "backup_offsite_store": {
                "bucket": bucket.name, "endpoint_url": bucket.server.url, "access_key": "AKIAEXAMPLEOFTESTS",
                "secret_key": "{{ vault_secret }}",
            },
            "disaster_recovery_rebuild_roles": ["platform"],
            "disaster_recovery_health_command": drills.asks(f"(SELECT count(*) FROM orders) = {ROWS}"),
            "disaster_recovery_state_dir": str(directory / "state"),
        }  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str]:
        groups = {"postgres": "db1", "drill_hosts": "fresh1", "disaster_recovery": "dr1"}
        hosts = {group: {"hosts": {host: None}} for group, host in groups.items()}
        inventory = self.directory / "inventory.json"
        inventory.write_text(json.dumps({"all": {"vars": self.variables, "children": hosts}}))
        tool = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        done = subprocess.run(
            [tool, "-i", str(inventory), "steward.maintenance.drill_disaster_recovery",
             f"--extra-vars=@{self.directory / 'vault.yml'}", *arguments],
            env=self.play.environment, cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, timeout=300,
        )  # fmt: skip
        return done.returncode, done.stdout

    def records(self) -> list[dict[str, t.Any]]:
        return [dict(record) for record in open_store(str(self.directory / "records.jsonl")).read()]


@pytest.fixture
def site(drills: Drills) -> t.Iterator[Site]:
    directory = pathlib.Path(tempfile.mkdtemp(prefix="steward-drill-play-"))
    directory.chmod(0o755)
    yield Site(drills, directory)
    shutil.rmtree(directory)


def test_each_drill_is_done_recorded_and_reported(drills: Drills, site: Site) -> None:
    for arguments in (
        ["-e", "drill=database", "-vvv"],
        ["-e", "drill=system", "-vvv"],
        ["-e", "drill=region", "-e", "cycle_change_request=CR-17", "-vvv"],
    ):
        status, told = site.run(*arguments)
        assert status == 0, told
        assert "RTO " in told
        assert not secrets_in(told.encode())
    records = site.records()
    assert [(record["activity"], record["host"], record["verdict"]) for record in records] == [
        ("drill.database", "db1", "ok"),
        ("drill.system", "fresh1", "ok"),
        ("drill.region", "dr1", "ok"),
    ]
    for record, rto in zip(records, (3600, 4 * 3600, 8 * 3600)):
        assert 0 < record["figures"]["rto_seconds"] < record["figures"]["rto_target_seconds"] == rto
        assert record["figures"]["rpo_target_seconds"] == 86400
        assert 0 <= record["figures"]["rpo_seconds"] < 86400
    assert all(record["figures"]["rebuild_seconds"] > 0 for record in records[1:])
    assert (site.directory / "rebuilt").read_text() == "rebuilt"
    assert drills.switch.told == ["recovery", "normal"]
    assert drills.left() == []
    report = (site.directory / "report.html").read_text()
    assert "regional outage: RTO " in report
    (site.directory / "vault.yml").unlink()
    assert not sweep(site.directory)


def test_a_late_backup_is_a_finding_in_the_record(drills: Drills, site: Site) -> None:
    late = drills.backups.path.parent / "late"
    shutil.copytree(drills.backups.path, late)
    kept, drills.backups.path = drills.backups.path, late
    make_old(drills.backups, 0, "20200101T000000Z")
    drills.backups.path = kept
    site.variables["backup_path"] = str(late)
    status, told = site.run("-e", "drill=database", "-e", "cycle_report_path=")
    shutil.rmtree(late)
    assert status == 0, told
    (record,) = site.records()
    assert record["verdict"] == "findings"
    assert [finding["id"] for finding in record["findings"]] == ["drill-rpo"]


def test_slips_of_the_pen_and_a_missing_change_request(drills: Drills, site: Site) -> None:
    for arguments, words in (
        ([], "name the disaster: -e drill=database, -e drill=system or -e drill=region"),
        (["-e", "drill=databse"], "did you mean 'drill.database'"),
        (["-e", "drill=system", "-e", "disaster_recovery_rt=1h"], "unknown variable disaster_recovery_rt"),
    ):
        status, told = site.run(*arguments)
        assert status != 0, told
        assert words in " ".join(told.split()), told
    status, told = site.run("-e", "drill=region", "-e", "cycle_report_path=")
    assert status == 0, told
    assert [record["verdict"] for record in site.records()][-1] == "skipped"
    assert drills.switch.told == []
