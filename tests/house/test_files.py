# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no file of the repository may hold."""

from __future__ import annotations

import pathlib
import re

import pytest
from support.house import ROOT, load, tracked_files

_MOST_LINES = 400
#: Texts that are long by nature: prose, locks, licences; the catalogue and the variables of a role, which are tables.
_LONG = (".md", ".rst", ".txt", ".svg", "LICENSE", "roles/cycle/vars/activities.yml", "meta/argument_specs.yml")
_HEADER = (
    "# Copyright (c) 2026, The steward.maintenance authors",
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
)
#: Written in two halves, so that this file does not hold what it looks for.
_UNWANTED = {
    "a path of somebody's machine": r"(?<![\w.])/(?:work|root/\w|home/[a-z]|opt/pypi|opt/wheels|tmp/steward/)[\w/]*",
    "a package registry": r"\b(?:py" + r"pi\.org|python" + r"hosted|registry\.npm|npm" + r"mirror|arti" + r"factory)",
    "an image registry": r"\b(?:docker\.io|quay\.io|ghcr\.io|gcr\.io|registry\.access)",
    "something left to do": r"\b(?:TO" + r"DO|FIX" + r"ME)\b",
    "a private key": "-----BEGIN [A-Z ]*PRIVATE" + " KEY-----",
}
_PYTHON = [name for name in tracked_files() if name.endswith(".py")]


def _text(name: str) -> str:
    """The file as text; a picture has none."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize("what", _UNWANTED)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(_UNWANTED[what])
    found = [
        f"{name}:{number}: {match.group()}"
        for name in tracked_files()
        for number, line in enumerate(_text(name).splitlines(), 1)
        if (match := pattern.search(line)) and name != "LICENSE"
    ]
    assert not found


def test_python_files_name_their_licence() -> None:
    silent = []
    for name in _PYTHON:
        lines = _text(name).splitlines()
        head = lines[1:4] if lines and lines[0].startswith("#!") else lines[:3]
        if lines and tuple(head) != _HEADER:
            silent.append(name)
    assert not silent


def test_no_test_is_skipped() -> None:
    """A test that did not run proves nothing, and is easily taken for one that passed."""
    pattern = re.compile(r"pytest\.(?:skip|importorskip|xfail)|mark\.(?:skip|skipif|xfail)\b|unittest\.skip")
    found = [
        name
        for name in _PYTHON
        if name.startswith("tests/") and not name.endswith("test_files.py") and pattern.search(_text(name))
    ]
    assert not found


def test_files_have_one_reason_to_change() -> None:
    found = {
        name: lines
        for name in tracked_files()
        if not name.endswith(_LONG) and (lines := len(_text(name).splitlines())) > _MOST_LINES
    }
    assert not found


def test_module_utils_say_that_they_are_private() -> None:
    private = "Note that this module util is PRIVATE to the collection. It can have breaking changes at any time."
    silent = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "plugins" / "module_utils").rglob("*.py"))
        if path.name != "__init__.py" and private not in path.read_text()
    ]
    assert not silent


def test_what_is_built_here_is_not_tracked() -> None:
    ours = (".cache/", ".demo/", ".venv/", "tests/output/")
    assert not [
        name for name in tracked_files() if name.startswith(ours) or "__pycache__" in name or name.endswith(".tar.gz")
    ]


def test_the_build_leaves_out_what_is_for_developers() -> None:
    ignored = set(load("galaxy.yml")["build_ignore"])
    for_users = {"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "galaxy.yml"}
    directories = {"meta", "plugins", "roles", "playbooks", "docs", "changelogs"}
    tops = {name.partition("/")[0] for name in tracked_files()}
    assert {name for name in tops if not name.startswith(".")} - for_users - directories <= ignored


@pytest.mark.parametrize("name", ["bin/test", "bin/demo", ".ci/run"])
def test_programs_can_be_started(name: str) -> None:
    path = pathlib.Path(ROOT, name)
    assert path.stat().st_mode & 0o111
    assert path.read_text().startswith("#!/bin/sh\n")
