# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role dependencies as a user runs it: by its playbook, and once a week in the cycle, which records it."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
from support.dependencies import PIP_AUDIT, clean_environment, sound, write_requirements
from support.plays import environment
from support.registries import Registries, advisory

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

pytestmark = pytest.mark.packages

ACCEPTED = """
- id: CVE-2026-1
  reason: never called
  owner: Jane Doe
  until: 2199-12-31
  scope: {package: flask}
"""


class Site:
    """One local host in the group control, with one project."""

    def __init__(self, directory: pathlib.Path, registries: Registries) -> None:
        self.directory = directory
        self.records = directory / "records.jsonl"
        self.registries = registries
        registries.catalogue["advisories"] += [
            advisory("PYSEC-2026-1", "flask", ["3.0.0"], aliases=["CVE-2026-1"], severity="LOW"),
            advisory("PYSEC-2026-2", "jinja2", ["3.1.0"], aliases=["CVE-2026-2"], fixed=["3.1.1"], severity="CRITICAL"),
        ]
        versions = {"flask": "3.0.0", "jinja2": "3.1.0"}
        write_requirements(directory / "shop", registries.catalogue, versions, registries)
        (directory / "accepted.yml").write_text(ACCEPTED, encoding="utf-8")

    def run(self, playbook: str, *arguments: str, **variables: t.Any) -> tuple[int, str]:
        """Exit status and all that was printed, on one line."""
        given = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "maintenance_records": str(self.records),
            "cycle_report_path": str(self.directory / "report.html"),
            "dependencies_projects": [str(self.directory / "shop")],
            "dependencies_accept_file": str(self.directory / "accepted.yml"),
            "dependencies_osv_url": self.registries.osv_url,
            "dependencies_pip_audit": PIP_AUDIT,
            "dependencies_state_file": str(self.directory / "seen.json"),
            **variables,
        }
        inventory = self.directory / "inventory.json"
        inventory.write_text(json.dumps({"control": {"hosts": {"ops1": given}}}), encoding="utf-8")
        tool = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        done = subprocess.run(
            [tool, "-i", str(inventory), f"steward.maintenance.{playbook}", *arguments],
            env={**clean_environment(), **self._ours(), "HOME": str(self.directory)},
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=200,
        )
        return done.returncode, re.sub(r"\s+", " ", done.stdout)

    def _ours(self) -> dict[str, str]:
        return {name: value for name, value in environment(self.directory).items() if name.startswith("ANSIBLE_")}


@pytest.fixture
def site(tmp_path: pathlib.Path, catalogue: dict[str, t.Any]) -> t.Iterator[Site]:
    with Registries(catalogue) as registries:
        yield Site(tmp_path, registries)


@pytest.fixture
def catalogue() -> dict[str, t.Any]:
    return sound()


def test_the_playbook_tells_what_was_found(site: Site) -> None:
    status, told = site.run("audit_dependencies")
    assert status == 0, told
    assert '"verdict": "findings"' in told
    assert "emergency change: update to 3.1.1" in told
    assert "CVE-2026-2" in told
    # What the list accepts is no finding, and is counted.
    assert "CVE-2026-1" not in told
    assert '"accepted": 1' in told
    # What was seen has a clock now, and nothing else changed.
    assert "changed=1 " in told
    seen = json.loads((site.directory / "seen.json").read_text(encoding="utf-8"))["seen"]
    assert {one["package"] for one in seen} == {"flask", "jinja2"}


def test_a_bad_accept_list_and_a_misspelt_variable_are_refused(site: Site) -> None:
    (site.directory / "accepted.yml").write_text(ACCEPTED.replace("2199-12-31", "never"), encoding="utf-8")
    status, told = site.run("audit_dependencies")
    assert status != 0
    assert "accepted entry 1: until is 'never'" in told
    status, told = site.run("audit_dependencies", dependencies_project=["/srv/shop"])
    assert status != 0
    assert "unknown variable dependencies_project" in told


def test_without_a_project_there_is_nothing_to_do(site: Site) -> None:
    """In every inventory the activities are there; one that names no project is told so, and not called clean."""
    names = ["security.dependencies", "dependencies.security"]
    status, told = site.run("run_maintenance", dependencies_projects=[], cycle_only=names, cycle_change_request="CHG-7")
    assert status == 0, told
    records = {one["activity"]: one for one in open_store(str(site.records)).read()}
    assert {name: records[name]["verdict"] for name in names} == dict.fromkeys(names, "skipped")
    assert "dependencies_projects" in records[names[0]]["reason"]


def test_the_cycle_records_it_and_an_audit_that_could_not_look_is_red(site: Site) -> None:
    site.registries.faults["osv"] = "500"
    status, told = site.run(
        "run_maintenance",
        cycle_only=["security.dependencies"],
        cycle_force=True,
    )
    assert status != 0
    assert "pip-audit gave no report" in told
    (record,) = [
        record for record in open_store(str(site.records)).read() if record["activity"] == "security.dependencies"
    ]
    assert (record["verdict"], record["coverage"]) == ("unknown", {"looked": 0, "of": 1})


def test_an_update_is_told_by_the_playbook_and_done_by_the_cycle(site: Site) -> None:
    shop = site.directory / "shop"
    known = site.registries.catalogue["python"]
    known["jinja2"].update({"3.1.1": {}})

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=Jane Doe", "-c", "user.email=jane@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=shop, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    git("init", "--quiet", "--initial-branch", "main")
    git("add", "--all")
    git("commit", "--quiet", "--message", "begin")
    command = "python -c 'import jinja2; print(jinja2.version)'"
    more = {"dependencies_update_projects": [{"path": str(shop), "test": command, "policy": "major"}]}
    status, told = site.run("update_dependencies", "--check", "--diff", **more)
    assert status == 0, told
    assert "-requirements.txt: jinja2 3.1.0 +requirements.txt: jinja2 3.1.1" in told, told
    assert git("branch", "--format=%(refname:short)") == "main"

    # For emergencies the policy of the project is not asked: fixes only.
    status, told = site.run(
        "run_maintenance",
        cycle_only=["dependencies.security"],
        cycle_change_request="CHG-7",
        **more,
    )
    assert status == 0, told
    assert "jinja2==3.1.1" in git("show", "steward/dependencies-security:requirements.txt")
    (record,) = [one for one in open_store(str(site.records)).read() if one["activity"] == "dependencies.security"]
    assert (record["verdict"], record["changed"], record["figures"]["updated"]) == ("ok", True, 1)
