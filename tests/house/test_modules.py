# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules tell what they do in check mode, in diff mode and when run again, and their examples are true."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from support.house import MODULES, ROOT, load

_RESULT_SHAPE = {"verdict", "summary", "reason", "findings", "figures", "coverage"}
#: Modules that serve the engine. They act for it and have no verdict of their own.
_PLUMBING = {"activities_due", "cycle_settings", "metrics", "record", "records_info", "report"}


def _source(name: str) -> str:
    return (ROOT / "plugins" / "modules" / f"{name}.py").read_text()


def test_there_are_modules() -> None:
    assert {"record", "records_info", "activities_due", "postgres_vacuum", "postgres_backup"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_attributes_are_told(module_docs: dict[str, t.Any], name: str) -> None:
    attributes = module_docs[name]["doc"].get("attributes", {})
    assert {"check_mode", "diff_mode", "idempotent", "platform"} <= set(attributes)
    for attribute, told in attributes.items():
        assert told.get("support") in ("full", "partial", "none", "N/A"), f"{attribute} does not say its support"
    claims = attributes["check_mode"]["support"] in ("full", "partial")
    # A module that exists for its action plugin has no argument spec of its own.
    if "AnsibleModule(" in _source(name):
        assert claims == ("supports_check_mode=True" in _source(name))


@pytest.mark.parametrize("name", MODULES)
def test_modules_that_only_look_are_named_so(module_docs: dict[str, t.Any], name: str) -> None:
    if name.endswith("_info"):
        assert module_docs[name]["doc"]["attributes"]["check_mode"]["support"] == "full"


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_tasks_of_this_module(module_docs: dict[str, t.Any], name: str) -> None:
    doc = module_docs[name]["doc"]
    tasks = yaml.safe_load(module_docs[name]["examples"])
    assert tasks, "no examples"
    used = [task for task in _flat(tasks) if f"steward.maintenance.{name}" in task]
    assert used, "no example uses the module by its full name"
    known = set(doc["options"])
    for task in used:
        assert task.get("name"), "an example without a name"
        arguments = task[f"steward.maintenance.{name}"] or {}
        assert set(arguments) <= known, f"example {task['name']!r} uses unknown options"


def _flat(tasks: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Tasks, also those in plays and blocks."""
    for entry in tasks:
        for part in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
            yield from _flat(entry.get(part) or [])
        yield entry


@pytest.mark.parametrize("name", sorted(set(MODULES) - _PLUMBING))
def test_returns_have_the_one_result_shape(module_docs: dict[str, t.Any], name: str) -> None:
    assert set(module_docs[name]["return"] or {}) >= _RESULT_SHAPE


@pytest.mark.parametrize("name", MODULES)
def test_secrets_are_marked(name: str) -> None:
    """By value, not by ansible-core's guess from the name."""
    for line in _source(name).splitlines():
        if "password" in line and '"type"' in line:
            assert '"no_log": True' in line, line


@pytest.mark.parametrize("group", ["postgres", "s3"])
def test_an_action_group_is_the_modules_with_its_arguments(module_docs: dict[str, t.Any], group: str) -> None:
    listed = set(load("meta", "runtime.yml")["action_groups"][group])
    by_fragment = {name for name in MODULES if f"- steward.maintenance._{group}\n" in _source(name)}
    told = {name: entry["doc"].get("attributes", {}).get("action_group", {}) for name, entry in module_docs.items()}
    by_attribute = {name for name in MODULES if f"steward.maintenance.{group}" in told[name].get("membership", [])}
    assert listed == by_fragment == by_attribute
