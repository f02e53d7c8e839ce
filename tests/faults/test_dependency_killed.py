# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audits that are killed, or meet another one: the next one is whole, nothing is left, no clock is lost."""

from __future__ import annotations

import json
import os
import pathlib
import time
import typing as t

import pytest
from support.dependencies import audit_here, clean_environment, parameters, sound, write_requirements
from support.modules import start_module
from support.registries import Registries, advisory

from ansible_collections.steward.maintenance.plugins.module_utils._core.locks import own_place
from ansible_collections.steward.maintenance.plugins.module_utils._packages import auditing

pytestmark = pytest.mark.packages

LONG_AGO = "2026-01-01T00:00:00Z"


@pytest.fixture
def registries() -> t.Iterator[Registries]:
    catalogue = sound()
    catalogue["advisories"].append(advisory("PYSEC-2026-1", "jinja2", ["3.1.0"], severity="LOW"))
    with Registries(catalogue) as registries:
        yield registries


def write(tmp_path: pathlib.Path, registries: Registries) -> tuple[pathlib.Path, dict[str, t.Any]]:
    """A project with a vulnerability that is known for long, and how to audit it."""
    write_requirements(tmp_path / "shop", registries.catalogue, {"jinja2": "3.1.0"}, registries)
    state = tmp_path / "state"
    state.mkdir()
    seen = {"ecosystem": "pypi", "project": str(tmp_path / "shop"), "package": "jinja2", "ids": ["PYSEC-2026-1"]}
    content = json.dumps({"format": 1, "seen": [{**seen, "first": LONG_AGO}]})
    (state / "dependencies.json").write_text(content, encoding="utf-8")
    return state, {"osv_url": registries.osv_url, "ecosystems": ["pypi"], "updates": False}


def test_after_a_kill_the_next_audit_is_whole(tmp_path: pathlib.Path, registries: Registries) -> None:
    state, more = write(tmp_path, registries)
    registries.faults["osv"] = "slow"
    arguments = parameters(tmp_path, tmp_path / "shop", **more)
    process = start_module("dependency_info", arguments, env=clean_environment())
    deadline = time.monotonic() + 60
    while not registries.asked["osv"]:
        assert time.monotonic() < deadline, "nobody asked"
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert os.listdir(state / "audit"), "it was not killed at work"

    registries.faults.clear()
    answer = audit_here(tmp_path, tmp_path / "shop", **more)
    assert (answer["verdict"], answer["figures"]["overdue"]) == ("findings", 1)
    assert answer["vulnerabilities"][0]["projects"][0]["first_seen"] == LONG_AGO
    assert os.listdir(state) == ["dependencies.json"]


def test_while_another_audit_is_at_work_it_is_unknown(
    tmp_path: pathlib.Path, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, more = write(tmp_path, registries)
    monkeypatch.setattr(auditing, "_PATIENCE", 0.1)
    with own_place(str(state / "audit"), 0):
        answer = audit_here(tmp_path, tmp_path / "shop", **more)
    assert (answer["verdict"], answer["coverage"]) == ("unknown", {"looked": 0, "of": 1})
    assert f"process {os.getpid()}" in answer["reason"]


def test_an_audit_that_could_not_look_forgets_no_clock(tmp_path: pathlib.Path, registries: Registries) -> None:
    state, more = write(tmp_path, registries)
    registries.faults["osv"] = "500"
    assert audit_here(tmp_path, tmp_path / "shop", **more)["verdict"] == "unknown"
    assert LONG_AGO in (state / "dependencies.json").read_text(encoding="utf-8")
