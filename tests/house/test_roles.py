# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults, argument specifications and READMEs of roles say the same, by value and by type."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from jinja2.nativetypes import NativeEnvironment
from support.house import PLAYBOOKS, ROLES, ROOT, load

_TYPES = {
    "str": str,
    "path": str,
    "raw": object,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "list": list,
    "dict": dict,
}
_MOST_TASKS = 25


def _defaults(role: str) -> dict[str, t.Any]:
    return load("roles", role, "defaults", "main.yml") or {}


def _specs(role: str) -> dict[str, t.Any]:
    return load("roles", role, "meta", "argument_specs.yml")["argument_specs"]


def _as_without_inventory(value: t.Any) -> t.Any:
    """What a default that is a template comes to when nobody has set anything."""
    if isinstance(value, str) and "{{" in value:
        return NativeEnvironment().from_string(value).render()
    return value


def _tasks(content: t.Any) -> t.Iterator[dict[str, t.Any]]:
    for task in content or []:
        inner = [task[key] for key in ("block", "rescue", "always") if key in task]
        if inner:
            for part in inner:
                yield from _tasks(part)
        else:
            yield task


def test_there_are_roles_and_playbooks() -> None:
    assert "cycle" in ROLES
    assert "run_maintenance" in PLAYBOOKS


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_has_a_specification_and_every_specification_an_entry(role: str) -> None:
    entries = {path.stem for path in (ROOT / "roles" / role / "tasks").glob("*.yml")}
    specified = set(_specs(role))
    assert specified <= entries, "a specification without a task file"
    assert "main" in specified
    # What other files include is private; what is not included anywhere is an entry, and is checked when entered.
    text = "\n".join(path.read_text() for path in (ROOT / "roles" / role / "tasks").glob("*.yml"))
    included = set(re.findall(r"(?:include|import)_tasks:\s*(?:file:\s*)?([a-z_]+)\.yml", text))
    assert entries - included <= specified, "an entry without a specification"


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_specification_agree_by_value_and_type(role: str) -> None:
    defaults = _defaults(role)
    options: dict[str, list[dict[str, t.Any]]] = {}
    for entry in _specs(role).values():
        for name, option in (entry.get("options") or {}).items():
            options.setdefault(name, []).append(option)

    assert set(defaults) <= set(options), "defaults that no entry specifies"
    for name, appearances in options.items():
        kinds = {option.get("type", "str") for option in appearances}
        assert len(kinds) == 1, f"{name} has the types {kinds} in different entries"
        kind = _TYPES[kinds.pop()]
        for option in appearances:
            assert not (option.get("required") and name in defaults), f"{name} is required and has a default"
            if name not in defaults:
                assert "default" not in option, f"{name} has a default in the specification only"
                continue
            value = _as_without_inventory(defaults[name])
            assert isinstance(value, kind), f"{name}: default {value!r} is not of its type"
            assert not (isinstance(value, bool) and kind is int), f"{name}: a boolean is no number"
            assert "default" in option, f"{name}: the specification does not tell the default {value!r}"
            told = _as_without_inventory(option["default"])
            assert (told, type(told)) == (value, type(value)), f"{name}: {value!r} in defaults, {told!r} specified"


@pytest.mark.parametrize("role", ROLES)
def test_public_variables_carry_the_name_of_the_role(role: str) -> None:
    names = set(_defaults(role)) | {name for entry in _specs(role).values() for name in entry.get("options") or {}}
    strangers = {name for name in names if not name.startswith((f"{role}_", "maintenance_"))}
    assert not strangers


@pytest.mark.parametrize("role", ROLES)
def test_readme_tells_every_variable_and_every_entry(role: str) -> None:
    readme = (ROOT / "roles" / role / "README.md").read_text()
    specs = _specs(role)
    names = {name for entry in specs.values() for name in entry.get("options") or {}} | (set(specs) - {"main"})
    missing = sorted(name for name in names if f"`{name}`" not in readme)
    assert not missing


@pytest.mark.parametrize(
    "path", sorted((ROOT / "roles").glob("*/tasks/*.yml")), ids=lambda path: f"{path.parts[-3]}-{path.stem}"
)
def test_task_files_are_short_and_say_what_they_do(path: pathlib.Path) -> None:
    tasks = list(_tasks(load(str(path.relative_to(ROOT)))))
    assert 0 < len(tasks) <= _MOST_TASKS
    assert all(task.get("name") for task in tasks)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "roles").glob("*/tasks/*.yml")), ids=lambda path: f"{path.parts[-3]}-{path.stem}"
)
def test_nothing_is_told_away(path: pathlib.Path) -> None:
    """Neither an ignored error, nor a file name as entry (with which Ansible silently skips the argument check)."""
    text = path.read_text()
    assert not re.search(r"^\s*ignore_errors:", text, re.MULTILINE)
    assert not re.search(r"tasks_from:.*\.ya?ml", text)
