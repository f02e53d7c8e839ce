# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock that the real poetry wrote: audited, moved where a fix needs it, installed from, and tested."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import typing as t

import pytest
from support.dependencies import audit_here, clean_environment
from support.registries import Registries
from support.updates import Shop, catalogue

pytestmark = pytest.mark.packages

PYPROJECT = """
[project]
name = "shop"
version = "1.0.0"
requires-python = ">=3.8"
dependencies = ["flask>=3", "jinja2{jinja2}"]

[tool.poetry]
package-mode = false

[tool.poetry.group.test.dependencies]
itsdangerous = "^2.0"

[[tool.poetry.source]]
name = "here"
url = "{index}/"
priority = "primary"
"""
TEST = (
    'python -c \'import importlib.metadata as m; print(*(m.version(n) for n in ("jinja2", "flask", "itsdangerous")))\''
)


class Poetry(Shop):
    """A project with a lock of poetry alone, from before there was anything newer."""

    def __init__(self, directory: pathlib.Path, registries: Registries) -> None:
        super().__init__(directory, registries, ["pypi"])
        (self.path / "requirements.txt").unlink()
        python = registries.catalogue["python"]
        kept = dict(python)
        first = {"flask": "3.0.0", "jinja2": "3.1.0", "itsdangerous": "2.0", "markupsafe": "2.0"}
        python.update({name: {version: kept[name][version]} for name, version in first.items()})
        self.write_manifest(">=3,<4")
        self.poetry("lock", place=self.path)
        self.commit("lock by poetry")
        python.update(kept)

    def write_manifest(self, jinja2: str) -> None:
        text = PYPROJECT.format(index=self.registries.index_url, jinja2=jinja2)
        (self.path / "pyproject.toml").write_text(text, encoding="utf-8")

    def poetry(self, *arguments: str, place: pathlib.Path) -> None:
        assert shutil.which("poetry"), "bin/test brings poetry"
        settings = {"POETRY_CACHE_DIR": str(self.directory / "poetry-cache"), "POETRY_VIRTUALENVS_CREATE": "false"}
        command = ["poetry", *arguments, "--no-interaction", "--no-ansi"]
        env = {**clean_environment(), **settings}
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def shop(tmp_path: pathlib.Path) -> t.Iterator[Poetry]:
    with Registries(catalogue()) as registries:
        yield Poetry(tmp_path, registries)


def refused(shop: Poetry, **more: t.Any) -> str:
    before = shop.fingerprint()
    answer = shop.update(test=TEST, **more)
    assert (answer["verdict"], answer["changed"], answer["project"]["status"]) == ("failed", False, "failed"), answer
    assert shop.fingerprint() == before
    return f"{answer['project']['step']}: {answer['project']['reason']}"


def test_a_fix_goes_into_the_lock_of_poetry_and_no_further(shop: Poetry, tmp_path: pathlib.Path) -> None:
    seen = audit_here(tmp_path, shop.path, osv_url=shop.registries.osv_url, ecosystems=["pypi"], updates=False)
    assert seen["coverage"] == {"looked": 1, "of": 1}, seen["reason"]
    assert [(one["id"], one["fix"]) for one in seen["vulnerabilities"]] == [("CVE-2026-1", "3.1.1")]

    before = shop.fingerprint()
    planned = shop.update(check=True, test=TEST)
    assert shop.fingerprint() == before
    assert planned["project"]["status"] == "planned", planned["reason"]
    assert planned["diff"][0]["before"] == "poetry.lock: jinja2 3.1.0\npoetry.lock: markupsafe 2.0\n"
    # poetry takes the newest of what has to go along, unless it may break things.
    assert planned["diff"][0]["after"] == "poetry.lock: jinja2 3.1.1\npoetry.lock: markupsafe 2.2\n"

    answer = shop.update(test=TEST)
    project = answer["project"]
    assert (answer["verdict"], project["status"]) == ("ok", "updated"), answer["reason"]
    assert shop.git("show", "--name-only", "--format=", project["commit"]) == "poetry.lock"
    # The tests ran in what poetry installed from that very lock.
    assert (pathlib.Path(project["evidence"]) / "tests.log").read_text() == "3.1.1 3.0.0 2.0\n"
    assert "Poetry" in json.loads((pathlib.Path(project["evidence"]) / "update.json").read_text())["programs"]["poetry"]
    lock = shop.file_of(project["commit"], "poetry.lock")
    assert "steward" not in lock
    before_it = shop.file_of("main", "poetry.lock")
    # What did not move is byte for byte what it was, and so is the digest of what the project asks for.
    for name in ("flask", "itsdangerous"):
        (entry,) = [part for part in before_it.split("[[package]]\n") if part.startswith(f'name = "{name}"')]
        assert entry in lock
    assert lock.rpartition("[metadata]")[2] == before_it.rpartition("[metadata]")[2]
    place = shop.check_out(project["commit"], tmp_path / "again")
    shop.poetry("check", "--lock", place=place)


def test_the_monthly_update_takes_what_the_ranges_allow(shop: Poetry) -> None:
    answer = shop.update(test=TEST, policy="minor")
    project = answer["project"]
    assert (answer["verdict"], project["status"]) == ("ok", "updated"), answer["reason"]
    moved = {one["package"]: (one["to"], one["why"]) for one in project["moves"]}
    assert moved == {"flask": ("3.0.1", "routine"), "jinja2": ("3.2.0", "fix"), "markupsafe": ("2.2", "needed")}
    assert (pathlib.Path(project["evidence"]) / "tests.log").read_text() == "3.2.0 3.0.1 2.0\n"


def test_what_the_manifest_does_not_allow_is_told_and_left(shop: Poetry) -> None:
    shop.write_manifest(">=3,<3.1.1")
    shop.poetry("lock", place=shop.path)
    shop.commit("narrower")
    answer = shop.update(test=TEST)
    assert [one["id"] for one in answer["findings"]] == ["dependency-fix-blocked"]
    assert "pyproject.toml asks for >=3,<3.1.1" in answer["findings"][0]["message"]
    assert answer["project"]["status"] == "up-to-date"


def test_a_poetry_that_is_not_there_or_too_old_is_named_with_what_to_install(shop: Poetry) -> None:
    told = refused(shop, poetry="/nonexistent/poetry")
    assert told.endswith("/nonexistent/poetry is not installed here, or not in PATH: install poetry 2.0 or newer")
    program = shop.directory / "poetry-1"
    program.write_text('#!/bin/sh\necho "Poetry (version 1.8.5)"\n', encoding="utf-8")
    program.chmod(0o755)
    assert f"and {program} is 1.8.5: install poetry 2.0 or newer" in refused(shop, poetry=str(program))


def test_a_lock_that_poetry_would_change_elsewhere_is_refused(shop: Poetry) -> None:
    path = shop.path / "poetry.lock"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('lock-version = "2.1"', 'lock-version = "2.0"'), encoding="utf-8")
    shop.commit("as poetry 1 wrote it")
    assert "poetry.lock is of lock-version 2.0, and this poetry writes 2.1 anew" in refused(shop)


def test_an_index_whose_file_is_not_what_was_locked_stops_it(shop: Poetry) -> None:
    shop.registries.catalogue["python"]["itsdangerous"]["2.0"]["hash"] = "0" * 64
    path = shop.path / "poetry.lock"
    before = path.read_text(encoding="utf-8")
    entry = before.partition('name = "itsdangerous"')[2].partition("sha256:")[2][:64]
    path.write_text(before.replace(entry, "0" * 64), encoding="utf-8")
    shop.commit("another hash")
    assert refused(shop).startswith("install: poetry cannot install poetry.lock")
