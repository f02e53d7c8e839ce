# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks are read as they are, what is not one version of one package is refused, and what is installed is compared."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._releases import inventory, locks, parts
from ansible_collections.steward.maintenance.plugins.module_utils._releases.inventory import Package
from ansible_collections.steward.maintenance.plugins.module_utils._releases.place import ReleaseError

HASHED = """\
--index-url https://index.example.org/simple
Flask==3.0.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via -r requirements.in
zope.interface[test] == 6.0 ; python_version < "3.9" --hash=sha256:cc  # a comment
"""


def read(tmp_path: pathlib.Path, text: str) -> locks.Requirements:
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    return locks.read_requirements(str(path), "requirements.txt", ".venv")


def test_requirements_are_read_with_their_hashes_and_markers(tmp_path: pathlib.Path) -> None:
    found = read(tmp_path, HASHED)
    assert found.hashed
    assert [(one.name, one.version, one.may_lack) for one in found.packages] == [
        ("flask", "3.0.0", False),
        ("zope-interface", "6.0", True),
    ]
    assert not read(tmp_path, "flask==3.0.0\n").hashed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("flask>=3\n", "'flask>=3', which is not one package in one version"),
        ("flask==3.*\n", "'flask==3.*', which is not one package in one version"),
        ("flask\n", "'flask', which is not"),
        ("-r base.txt\n", "'-r base.txt', which is not"),
        ("-e .\n", "'-e .', which is not"),
        ("git+https://git.example.org/flask.git\n", "which is not"),
        ("flask==3.0.0 --hash=sha256:aa\njinja2==3.1\n", "has hashes, and none for jinja2"),
    ],
)
def test_what_would_be_resolved_anew_is_refused(tmp_path: pathlib.Path, text: str, why: str) -> None:
    with pytest.raises(ReleaseError) as refused:
        read(tmp_path, text)
    assert why in str(refused.value)


def package_lock(tmp_path: pathlib.Path, packages: dict[str, t.Any]) -> list[locks.Locked]:
    path = tmp_path / "package-lock.json"
    path.write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
    return locks.read_package_lock(str(path), "package-lock.json", "frontend")


def test_package_locks_are_read_by_place(tmp_path: pathlib.Path) -> None:
    found = package_lock(
        tmp_path,
        {
            "": {"name": "shop"},
            "node_modules/qs": {"version": "6.0.0"},
            "node_modules/old": {"name": "@scope/new", "version": "1.0.0"},
            "node_modules/a/node_modules/qs": {"version": "5.0.0"},
            "node_modules/tool": {"version": "2.0.0", "dev": True},
            "node_modules/here": {"resolved": "packages/here", "link": True},
        },
    )
    assert [(one.name, one.version, one.place, one.may_lack) for one in found] == [
        ("qs", "6.0.0", "frontend/node_modules/qs", False),
        ("@scope/new", "1.0.0", "frontend/node_modules/old", False),
        ("qs", "5.0.0", "frontend/node_modules/a/node_modules/qs", False),
        ("tool", "2.0.0", "frontend/node_modules/tool", True),
    ]
    (tmp_path / "old.json").write_text('{"lockfileVersion": 1, "dependencies": {}}')
    with pytest.raises(ReleaseError, match="write it anew with npm 7"):
        locks.read_package_lock(str(tmp_path / "old.json"), "package-lock.json", ".")


def test_what_is_installed_and_what_is_locked_are_told_apart() -> None:
    locked = [locks.Locked("pypi", "flask", "3.0.0", ".venv", False), locks.Locked("pypi", "mac", "1.0", ".venv", True)]
    flask = Package("pypi", "flask", "3.0.0", ".venv", "")
    assert locks.drift(locked, [flask]) == ""
    told = locks.drift(locked, [Package("pypi", "flask", "3.0.1", ".venv", "")])
    assert told == "flask 3.0.1 is installed and not locked, flask 3.0.0 is locked and not installed"
    assert locks.drift(locked, [flask, Package("pypi", "mac", "1.1", ".venv", "")]).startswith("mac 1.1 is installed")


def wheel(site: pathlib.Path, name: str, version: str, code: str) -> None:
    """As pip leaves it."""
    information = site / f"{name}-{version}.dist-info"
    information.mkdir(parents=True)
    (site / f"{name}.py").write_text(code)
    (information / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n\nName: not this one\n")
    (information / "INSTALLER").write_text("pip\n")
    lines = [f"{name}.py,sha256=x,1", f"{information.name}/METADATA,,", f"{information.name}/INSTALLER,,"]
    lines += [f"__pycache__/{name}.pyc,,", "../../../bin/tool,sha256=y,1", f"{information.name}/RECORD,,"]
    (information / "RECORD").write_text("\n".join(lines) + "\n")


def test_the_content_of_packages_is_what_lies_there(tmp_path: pathlib.Path) -> None:
    site = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    wheel(site, "Zope_Interface", "6.0", "x = 1\n")
    first = inventory.read_environment(str(tmp_path), ".venv")
    assert [(one.name, one.version, one.place) for one in first] == [("zope-interface", "6.0", ".venv")]
    (site / "Zope_Interface-6.0.dist-info" / "INSTALLER").write_text("uv\n")
    assert inventory.digest_of(inventory.read_environment(str(tmp_path), ".venv")) == inventory.digest_of(first)
    (site / "Zope_Interface.py").write_text("x = 2\n")
    changed = inventory.read_environment(str(tmp_path), ".venv")
    assert inventory.digest_of(changed) != inventory.digest_of(first)
    assert inventory.digest_of(changed, "versions") == inventory.digest_of(first, "versions")
    assert inventory.difference(first, changed) == [
        {"ecosystem": "pypi", "package": "zope-interface", "before": ["6.0"], "after": ["6.0"]}
    ]
    (site / "Zope_Interface.py").unlink()
    with pytest.raises(ReleaseError, match=r"is not whole: .*Zope_Interface.py is missing"):
        inventory.read_environment(str(tmp_path), ".venv")
    with pytest.raises(ReleaseError, match="elsewhere is no virtual environment"):
        inventory.read_environment(str(tmp_path), "elsewhere")


def test_modules_are_read_with_those_of_their_own(tmp_path: pathlib.Path) -> None:
    for place, name in (("qs", "qs"), ("@scope/a", "@scope/a"), ("@scope/a/node_modules/qs", "qs")):
        directory = tmp_path / "node_modules" / place
        directory.mkdir(parents=True)
        (directory / "package.json").write_text(json.dumps({"name": name, "version": "1.0.0"}))
    (tmp_path / "node_modules" / ".bin").mkdir()
    (tmp_path / "node_modules" / ".package-lock.json").write_text("{}")
    found = inventory.read_modules(str(tmp_path), ".")
    assert sorted(one.place for one in found) == [
        "node_modules/@scope/a",
        "node_modules/@scope/a/node_modules/qs",
        "node_modules/qs",
    ]
    before = {one.place: one.content for one in found}
    (tmp_path / "node_modules" / "@scope" / "a" / "node_modules" / "qs" / "index.js").write_text("other")
    after = {one.place: one.content for one in inventory.read_modules(str(tmp_path), ".")}
    assert {place for place in after if after[place] != before[place]} == {"node_modules/@scope/a/node_modules/qs"}


def test_programs_name_the_python_that_will_be_theirs(tmp_path: pathlib.Path) -> None:
    programs = tmp_path / "r.partial" / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "tool").write_text(f"#!{programs}/python\nprint('{programs}')\n")
    (programs / "python").symlink_to("/usr/bin/python3")
    part = parts.Part("pip", ".", "requirements.txt", ".venv", False, False, ())
    part.relocate(str(tmp_path / "r.partial"), str(tmp_path / "r"))
    assert (programs / "tool").read_text().startswith(f"#!{tmp_path}/r/.venv/bin/python\n")
    assert (programs / "python").is_symlink()
