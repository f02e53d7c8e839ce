# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report through Ansible: what hosts registered becomes a page on one host."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from support import report_sample as sample
from support.modules import COLLECTIONS, run_module

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

PLAYBOOK = """
- hosts: read
  gather_facts: false
  tasks:
    - steward.maintenance.records_info:
        records: "{{ records }}"
        records_password: sesame-open
        summary: true
      register: __records
      ignore_errors: true

- hosts: localhost
  gather_facts: false
  vars:
    catalogue: "{{ lookup('ansible.builtin.file', 'catalogue.json') | from_json }}"
  tasks:
    - block:
        - steward.maintenance.report:
            path: "{{ page }}"
            title: Maintenance of the shop
            catalogue: "{{ catalogue }}"
            hosts: "{{ groups['postgres'] }}"
            fact: __records
          register: written
      always:
        - ansible.builtin.copy:
            content: "{{ (written if written is defined else {}) | to_json }}"
            dest: "{{ answer }}"
            mode: "0600"
          check_mode: false
          diff: false
"""

TEMPLATE = "{{ 6 * 7 }}{% raw %}"


class Fleet:
    """Four hosts on this machine: well, with broken records, not in the run, and one that is none of ours."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.page = directory / "report.html"
        self.store = open_store(str(directory / "well.jsonl"))
        for one in sample.healthy("well"):
            self.store.append(sample.until_today(one))
        told = sample.record("database.review", "well", 0, summary=f"told {TEMPLATE} {sample.HOSTILE}")
        self.store.append(sample.until_today(told))
        (directory / "broken").mkdir()
        (directory / "playbook.yml").write_text(PLAYBOOK)
        (directory / "catalogue.json").write_text(json.dumps(sample.catalogue()))
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        read = {"well": {"records": self.store.location}, "broken": {"records": str(directory / "broken")}}
        inventory = {
            "all": {
                "vars": local,
                "hosts": {"localhost": {}},
                "children": {"read": {"hosts": read}, "postgres": {"hosts": {**read, "absent": {}}}},
            }
        }
        (directory / "inventory.json").write_text(json.dumps(inventory))

    def run(self, *arguments: str, page: str | pathlib.Path | None = None) -> tuple[dict[str, t.Any], str]:
        answer = self.directory / "answer.json"
        argv = [
            os.path.join(os.path.dirname(sys.executable), "ansible-playbook"), "-i", "inventory.json", "playbook.yml",
            "-e", json.dumps({"page": str(page or self.page), "answer": str(answer)}), *arguments,
        ]  # fmt: skip
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCAL_TEMP": str(self.directory / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(self.directory / "remote"),
            "ANSIBLE_NOCOLOR": "1",
        }
        done = subprocess.run(
            argv, cwd=self.directory, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert answer.exists(), done.stdout + done.stderr
        return json.loads(answer.read_text()), done.stdout + done.stderr


@pytest.fixture(name="fleet", scope="module")
def _fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(name="first", scope="module")
def _first(fleet: Fleet) -> tuple[dict[str, t.Any], str]:
    """Check mode on nothing, then the first page."""
    foreseen, output = fleet.run("--check", "--diff")
    assert foreseen["changed"], output
    assert "3 hosts, 2 need attention" in output
    assert not fleet.page.exists()
    return fleet.run()


def test_page_of_what_the_hosts_registered(fleet: Fleet, first: tuple[dict[str, t.Any], str]) -> None:
    answer, output = first
    assert answer["changed"], output
    assert answer["verdict"] == "ok"
    assert answer["summary"] == ("3 hosts, 2 need attention: absent: records not read; broken: records not read")
    assert answer["figures"]["hosts_unreadable_count"] == 2
    page = fleet.page.read_text(encoding="utf-8")
    assert "not in this run" in page
    assert str(fleet.directory / "broken") in page
    for entry in sample.catalogue():
        assert f'data-activity="{entry["name"]}"' in page
    assert fleet.page.stat().st_mode & 0o777 == 0o644


def test_text_of_records_is_neither_template_nor_markup(fleet: Fleet, first: object) -> None:
    assert first
    page = fleet.page.read_text(encoding="utf-8")
    assert TEMPLATE in page
    assert "<script" not in page


def test_no_password_and_no_arguments_of_other_modules_reach_the_page(
    fleet: Fleet, first: tuple[dict[str, t.Any], str]
) -> None:
    assert "sesame-open" not in fleet.page.read_text(encoding="utf-8")
    assert "sesame-open" not in first[1]


def test_again_is_not_changed_and_a_new_record_is(fleet: Fleet, first: object) -> None:
    assert first
    again, output = fleet.run()
    assert not again["changed"], output
    fleet.store.append(
        sample.until_today(sample.record("database.vacuum", "well", -0.0001, verdict="failed", reason="disk full"))
    )
    after, output = fleet.run("--diff")
    assert after["changed"]
    assert "disk full" in output
    assert "disk full" in fleet.page.read_text(encoding="utf-8")
    assert list(fleet.directory.glob("remote/ansible-tmp-*")) == []


def test_a_page_that_cannot_be_written_fails_and_names_why(fleet: Fleet) -> None:
    answer, output = fleet.run(page=fleet.directory / "missing" / "report.html")
    assert answer["failed"], output
    assert answer["verdict"] == "failed"
    assert str(fleet.directory / "missing") in answer["reason"]


def test_a_host_that_is_not_in_the_inventory_is_refused(fleet: Fleet) -> None:
    playbook = fleet.directory / "playbook.yml"
    playbook.write_text(PLAYBOOK.replace("groups['postgres']", "['well', 'wel']"))
    try:
        answer, output = fleet.run()
    finally:
        playbook.write_text(PLAYBOOK)
    assert answer["failed"], output
    assert "not in the inventory: wel" in answer["msg"]


def test_the_module_alone_says_that_it_needs_its_data(tmp_path: pathlib.Path) -> None:
    answer = run_module("report", {"path": str(tmp_path / "report.html")})
    assert answer["failed"]
    assert "action plugin" in answer["msg"]


def test_data_without_the_shape_is_refused(tmp_path: pathlib.Path) -> None:
    data = tmp_path / "data.json"
    data.write_text('{"hosts": [], "catalogue": [{"title": "no name"}]}')
    answer = run_module("report", {"path": str(tmp_path / "report.html"), "data": str(data)})
    assert answer["failed"]
    assert "does not have the shape" in answer["reason"]
    assert not (tmp_path / "report.html").exists()
