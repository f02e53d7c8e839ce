# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three stages of hosts with a sample application, production behind a real HAProxy, and the playbook that releases."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import re
import shutil
import subprocess
import sys
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

from .dependencies import clean_environment_of
from .haproxy import HAProxy, Load
from .plays import environment
from .registries import Registries
from .releases import PARTS, Host, Project
from .updates import catalogue

STAGES = {"development": ["dev1"], "staging": ["stage1"], "production": ["web1", "web2", "web3"]}


@dataclasses.dataclass
class Ran:
    """A run of the playbook under load: how it ended, and what the clients of production saw meanwhile."""

    status: int
    told: str
    requests: int
    failed: list[str]
    answers: dict[str, int]


class Estate:
    """Use as a context manager."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Estate:
        stack = self._stack
        registries = stack.enter_context(Registries(catalogue()))
        self.project = Project(self.directory, registries)
        names = [name for hosts in STAGES.values() for name in hosts]
        self.hosts = {name: stack.enter_context(Host(self.directory / "hosts", self.project, name)) for name in names}
        servers = {name: self.hosts[name].port for name in STAGES["production"]}
        self.proxy = stack.enter_context(HAProxy(self.directory / "haproxy", servers))
        self._write_inventory()
        self.first = self.project.commit()
        self._begin_with(self.first)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _begin_with(self, commit: str) -> None:
        """The release of before on all hosts. It is installed once: an environment works wherever it is copied to."""
        first = self.hosts["dev1"]
        assert first.install(commit)[0].verdict == "findings"
        for host in self.hosts.values():
            if host is not first:
                shutil.copytree(first.directory / "releases", host.directory / "releases", symlinks=True)
            result, _outcome = host.switch(commit)
            assert result.verdict == "ok", result
        for name in STAGES["production"]:
            self.proxy.wait_for(name, "UP")

    def _write_inventory(self) -> None:
        every = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "maintenance_records": f"{self.directory}/records/{{{{ inventory_hostname }}}}.jsonl",
            "cycle_report_path": "",
            "release_application": "shop",
            "release_repository": str(self.project.path),
            "release_parts": PARTS,
            "release_health_timeout": "10s",
            "release_restart_timeout": "10s",
            "release_settle": "",
            "release_state_dir": str(self.directory / "state"),
        }
        groups: dict[str, t.Any] = {}
        for stage, names in STAGES.items():
            hosts = {}
            for name in names:
                host = self.hosts[name]
                hosts[name] = {
                    "release_directory": str(host.directory),
                    "release_restart_commands": [host.restart_command],
                    "release_pid_files": [str(host.directory / "pid")],
                    "release_health_url": f"{host.url}/health",
                    "release_version_url": f"{host.url}/version",
                }
            groups[stage] = {"hosts": hosts}
        groups["development"]["vars"] = {"release_tests": [["python", "run_tests.py"]]}
        groups["production"]["vars"] = {
            "release_balancers": ["balancer1"],
            "release_balancer_servers": [{"pool": "shop", "server": "{{ inventory_hostname }}"}],
            "release_haproxy": [str(self.proxy.socket)],
            "release_min_ready": 2,
            "release_settle": "1s",
        }
        groups["balancers"] = {"hosts": {"balancer1": {}}}
        inventory = {"all": {"vars": every, "children": groups}}
        (self.directory / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")

    def run(self, *arguments: str, playbook: str = "promote_release", **variables: t.Any) -> Ran:
        given = {"cycle_change_request": "CR-17", **variables}
        tool = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        inventory = str(self.directory / "inventory.json")
        command = [tool, "-i", inventory, f"steward.maintenance.{playbook}", "-e", json.dumps(given), *arguments]
        with Load(self.proxy.port) as load:
            done = subprocess.run(
                command,
                env=clean_environment_of(environment(self.directory)),
                cwd=self.directory,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=300,
            )
        told = re.sub(r"\s+", " ", done.stdout)
        return Ran(done.returncode, told, load.count, load.failed, dict(load.answers))

    def records(self, host: str) -> list[dict[str, t.Any]]:
        return open_store(str(self.directory / "records" / f"{host}.jsonl")).read()

    def seen(self) -> dict[str, tuple[list[str], list[str], str]]:
        """Of each host: what is there of releases, how often what was started, and what runs."""
        return {name: (host.entries(), host.restarts(), host.asked("/version")) for name, host in self.hosts.items()}

    def standing(self) -> dict[str, str]:
        return {name: self.proxy.status(name) for name in STAGES["production"]}
