# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects whose files tell less than they seem to: none of them may look clean."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._packages.arguments import PACKAGES_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._packages.discover import Places, read_project
from ansible_collections.steward.maintenance.plugins.module_utils._packages.judging import differences
from ansible_collections.steward.maintenance.plugins.module_utils._packages.model import Project

PLACES = Places(tuple(PACKAGES_ARGUMENTS["requirements"]["default"]), (".venv",), ("pypi", "npm"))
HASH = f"--hash=sha256:{'0' * 64}"


def read(path: pathlib.Path, files: t.Mapping[str, str]) -> Project:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, encoding="utf-8")
    return read_project(str(path), PLACES)


# -- files of requirements -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["-rbase.txt", "-r=base.txt", "-r  base.txt", "--requirement=base.txt"])
def test_an_include_is_read_however_it_is_written(tmp_path: pathlib.Path, line: str) -> None:
    project = read(tmp_path, {"requirements.txt": f"{line}\n", "base.txt": f"flask==1.0 {HASH}\n"})
    assert [node.name for source in project.sources for node in source.nodes.values()] == ["flask"]
    assert not project.all_problems()


@pytest.mark.parametrize("line", ["--req base.txt", "--include base.txt", "-z base.txt", "--"])
def test_an_option_that_is_not_known_may_be_an_include(tmp_path: pathlib.Path, line: str) -> None:
    project = read(tmp_path, {"requirements.txt": f"flask==1.0 {HASH}\n{line}\n"})
    assert "is not known" in project.all_problems()[0]


@pytest.mark.parametrize(
    "line", ["--pre", "--only-binary :all:", "-f wheels", "--trusted-host example.org", "--require-hashes"]
)
def test_options_that_say_how_to_install_are_known(tmp_path: pathlib.Path, line: str) -> None:
    assert not read(tmp_path, {"requirements.txt": f"{line}\nflask==1.0 {HASH}\n"}).all_problems()


@pytest.mark.parametrize("name", ["dev-requirements.txt", "test_requirements.txt", "requirements/ci.txt"])
def test_files_for_development_are_looked_at_by_default(tmp_path: pathlib.Path, name: str) -> None:
    assert [source.file for source in read(tmp_path, {name: f"flask==1.0 {HASH}\n"}).sources] == [name]


def test_a_file_that_is_older_than_what_it_was_compiled_from(tmp_path: pathlib.Path) -> None:
    asked = "Flask\nnew-one>=2\nonly-elsewhere; sys_platform == 'win32'\n-r more.in\n"
    files = {"requirements.in": asked, "more.in": "other", "requirements.txt": f"flask==1.0 {HASH}\n"}
    project = read(tmp_path, files)
    assert project.sources[0].stale == ["new-one", "other"]
    assert [one.id for one in differences(project)] == ["dependency-lock-stale"]


# -- locks of npm and Yarn -------------------------------------------------------------------------------------------

MANIFEST = {
    "name": "shop",
    "dependencies": {"a": "^1"},
    "optionalDependencies": {"o": "1"},
    "peerDependencies": {"p": "1"},
}
A = {
    "version": "1.0.0",
    "dependencies": {"b": "^1"},
    "optionalDependencies": {"o": "1"},
    "peerDependencies": {"p": "1"},
}


@pytest.mark.parametrize(
    ("packages", "told"),
    [
        ({}, "it lacks a, which the project needs"),
        ({"node_modules/a": A}, "it lacks b, which a needs"),
        ({"node_modules/a": A, "node_modules/b": {"version": "1.0.0"}}, ""),
        ({"node_modules/a": {**A, "inBundle": True}}, ""),
        ({"node_modules/a": {**A, "bundleDependencies": ["b"]}}, ""),
    ],
)
def test_a_lock_of_npm_without_its_packages(tmp_path: pathlib.Path, packages: dict[str, t.Any], told: str) -> None:
    lock = {"lockfileVersion": 3, "packages": {"": MANIFEST, **packages}}
    project = read(tmp_path, {"package.json": json.dumps(MANIFEST), "package-lock.json": json.dumps(lock)})
    assert not project.sources[0].stale
    problems = project.all_problems()
    assert (told in problems[0]) if told else not problems


def test_what_npm_installed_may_leave_out_what_was_not_wanted(tmp_path: pathlib.Path) -> None:
    hidden = {"lockfileVersion": 3, "packages": {"node_modules/a": {"version": "1.0.0"}}}
    manifest = {**MANIFEST, "devDependencies": {"d": "1"}}
    files = {"package.json": json.dumps(manifest), "node_modules/.package-lock.json": json.dumps(hidden)}
    assert not read(tmp_path, files).all_problems()


YARN = '# yarn lockfile v1\n\na@^1:\n  version "1.0.0"\n  dependencies:\n    b "^1"\n'
BERRY = """__metadata:
  version: 8

"a@npm:^1":
  version: 1.0.0
  resolution: "a@npm:1.0.0"
  dependencies:
    b: "npm:^1"
"""


@pytest.mark.parametrize(
    ("text", "b"),
    [
        (YARN, 'b@2.0.0:\n  version "2.0.0"\n'),
        (BERRY, '"b@npm:2.0.0":\n  version: 2.0.0\n  resolution: "b@npm:2.0.0"\n'),
    ],
)
def test_a_lock_of_yarn_that_was_cut_off_between_two_packages(tmp_path: pathlib.Path, text: str, b: str) -> None:
    manifest = {"dependencies": {"a": "^1"}}
    project = read(tmp_path, {"package.json": json.dumps(manifest), "yarn.lock": text})
    assert "lacks b" in project.problems[0]
    # A resolution takes the place of what others ask for.
    manifest = {**manifest, "resolutions": {"a/b": "2.0.0"}}
    project = read(tmp_path, {"package.json": json.dumps(manifest), "yarn.lock": f"{text}\n{b}"})
    assert not project.all_problems()
    (a,) = project.sources[0].named("a")
    assert [project.sources[0].nodes[key].version for key in a.wants] == ["2.0.0"]


# -- what nothing tells the versions of ------------------------------------------------------------------------------

NODE = {"package.json": "{}", "package-lock.json": '{"lockfileVersion": 3, "packages": {"": {}}}'}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"setup.py": "setup()"}, "setup.py may ask for packages"),
        ({"setup.cfg": "[options]\ninstall_requires =\n  flask\n"}, "setup.cfg may ask for packages"),
        ({"setup.cfg": "no section"}, "setup.cfg may ask for packages"),
        ({"setup.cfg": "[flake8]\nmax-line-length = 120\n"}, ""),
        ({"Pipfile": ""}, "Pipfile asks for packages"),
        ({"environment.yml": ""}, "is an environment of conda, which is not read"),
        ({"deno.lock": ""}, "is a lock of deno, which is not read"),
        ({"setup.py": "setup()", "requirements.txt": f"flask==1.0 {HASH}\n"}, ""),
    ],
)
def test_a_second_half_without_a_lock_is_not_passed_over(
    tmp_path: pathlib.Path, files: dict[str, str], told: str
) -> None:
    problems = read(tmp_path, {**NODE, **files}).all_problems()
    assert (told in problems[0]) if told else not problems
