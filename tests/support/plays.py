# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks of the collection as a user runs them: an inventory of local hosts, and what was printed and recorded."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COLLECTIONS = ROOT / ".cache" / "collections"
#: Roles of the tests' own, the role `probe` among them.
ROLES = ROOT / "tests" / "integration" / "roles"
NAMES = (
    "backup.database",
    "backup.verify",
    "database.vacuum",
    "database.reindex",
    "database.analyze",
    "database.review",
    "recovery.retire",
)


def environment(directory: pathlib.Path, **more: str) -> dict[str, str]:
    """The environment of a user who has this collection installed and whose home is `directory`."""
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(directory / "tmp"),
        "ANSIBLE_ASYNC_DIR": str(directory / "async"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_NOCOLOR": "1",
        "HOME": str(directory),
        **more,
    }


class Play:
    """A local host named db1 in the group postgres, or several, and tasks or roles that are run on them as a play."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.variables: dict[str, t.Any] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
        }
        self.hosts = ["db1"]
        self.environment = environment(directory)

    def run(self, *arguments: str, **play: t.Any) -> tuple[int, str]:
        """Exit status and all that was printed; `play` has the keys of a play, such as tasks."""
        inventory = self.directory / "inventory.json"
        hosts = dict.fromkeys(self.hosts, self.variables)
        inventory.write_text(json.dumps({"postgres": {"hosts": hosts}}), encoding="utf-8")
        playbook = self.directory / "playbook.json"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, **play}]), encoding="utf-8")
        tool = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        done = subprocess.run(
            [tool, "-i", str(inventory), str(playbook), *arguments],
            env=self.environment,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        return done.returncode, done.stdout


class Fleet:
    """Local hosts in an inventory of their own, whose activities the role `probe` does."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.roles = ROLES
        self.records = directory / "records"
        self.report = directory / "report.html"
        self.activities: dict[str, dict[str, t.Any]] = {name: {"role": "probe", "entry": "good"} for name in NAMES}
        self.write_inventory({"postgres": ["db1", "db2"]})

    def write_inventory(self, groups: dict[str, list[str]], extra: t.Sequence[str] = ()) -> None:
        lines = [line for group, hosts in groups.items() for line in (f"[{group}]", *hosts)]
        lines += ["[all:vars]", "ansible_connection=local", f"ansible_python_interpreter={sys.executable}", *extra]
        lines.append(f"maintenance_records={self.records}/{{{{ inventory_hostname }}}}.jsonl")
        (self.directory / "inventory").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def command(self, *arguments: str, playbook: str = "run_maintenance", **variables: t.Any) -> list[str]:
        given = {"cycle_activities": self.activities, "cycle_report_path": str(self.report), **variables}
        tool = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        inventory = str(self.directory / "inventory")
        return [tool, "-i", inventory, f"steward.maintenance.{playbook}", "-e", json.dumps(given), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.directory, ANSIBLE_ROLES_PATH=str(self.roles))

    def run(self, *arguments: str, playbook: str = "run_maintenance", **variables: t.Any) -> tuple[int, str]:
        """Exit status and all that was printed, with the line breaks that Ansible puts into messages taken out."""
        command = self.command(*arguments, playbook=playbook, **variables)
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, re.sub(r"\s+", " ", done.stdout)

    def recorded(self, host: str = "db1") -> dict[str, str]:
        """The last verdict of each activity."""
        store = open_store(str(self.records / f"{host}.jsonl"))
        return {record["activity"]: record["verdict"] for record in store.read()}


def changed(told: str, host: str) -> int:
    """How many changes the recap of a run tells of a host."""
    match = re.search(rf"{host} : ok=\d+ changed=(\d+)", told)
    assert match, told
    return int(match.group(1))
