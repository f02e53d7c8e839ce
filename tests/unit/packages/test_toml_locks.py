# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of uv and poetry. They are TOML, which Python reads since 3.11; an older one needs tomli, which pip brings."""

from __future__ import annotations

import importlib
import pathlib

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._packages.discover import Places, read_project
from ansible_collections.steward.maintenance.plugins.module_utils._packages.judging import differences
from ansible_collections.steward.maintenance.plugins.module_utils._packages.model import Project, Source

PLACES = Places(("requirements*.txt",), (".venv",), ("pypi", "npm"))


def read(path: pathlib.Path, **files: str) -> Project:
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    return read_project(str(path), PLACES)


def only(project: Project) -> Source:
    assert not project.problems
    assert len(project.sources) == 1
    return project.sources[0]


PYPROJECT = """
[project]
name = "shop"
dependencies = ["flask>=2,<3", "shop-core"]
[dependency-groups]
dev = ["pytest>=7"]
"""
UV = """
version = 1
requires-python = ">=3.9"

[[package]]
name = "flask"
version = "2.0.1"
source = { registry = "https://index.example.org/simple" }
dependencies = [{ name = "jinja2", version = "3.0", source = { registry = "x" } }]

[[package]]
name = "jinja2"
version = "2.0"
source = { registry = "https://index.example.org/simple" }

[[package]]
name = "jinja2"
version = "3.0"
source = { registry = "https://index.example.org/simple" }

[[package]]
name = "pytest"
version = "7.0"
source = { git = "https://git.example.org/pytest" }

[[package]]
name = "shop-core"
version = "0.1.0"
source = { editable = "core" }

[[package]]
name = "shop"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "flask" }, { name = "shop-core" }]

[package.dev-dependencies]
dev = [{ name = "pytest" }]
"""


def test_a_lock_of_uv(tmp_path: pathlib.Path) -> None:
    source = only(read(tmp_path, **{"pyproject.toml": PYPROJECT, "uv.lock": UV}))
    assert source.language == "3.9"
    assert source.indexes == ("https://index.example.org/simple",)
    assert source.direct["flask==2.0.1"] == ">=2,<3"
    assert source.paths({"jinja2==3.0"}, 3) == [["flask 2.0.1", "jinja2 3.0"]]
    assert source.paths({"jinja2==2.0"}, 3) == []
    assert [node.name for node in source.nodes.values() if node.own] == ["shop-core", "shop"]
    assert [node.problem for node in source.nodes.values() if node.problem] == [
        "pytest comes from an address, so its version is not known to any index"
    ]
    assert not source.stale


POETRY_PROJECT = """
[tool.poetry.dependencies]
python = "^3.9"
flask = "^2.0"
click = {version = "~8.0", optional = true}
"""
POETRY = """
[[package]]
name = "flask"
version = "2.0.1"
optional = false

[package.dependencies]
Jinja2 = ">=3.0"

[[package]]
name = "jinja2"
version = "3.0"

[[package]]
name = "core"
version = "1.0"
[package.source]
type = "directory"
url = "../core"

[metadata]
lock-version = "2.0"
python-versions = "^3.9"
content-hash = "0"
"""


def test_a_lock_of_poetry_that_is_older_than_its_manifest(tmp_path: pathlib.Path) -> None:
    project = read(tmp_path, **{"pyproject.toml": POETRY_PROJECT, "poetry.lock": POETRY})
    source = only(project)
    assert source.direct == {"flask==2.0.1": ">=2.0,<3"}
    assert source.paths({"jinja2==3.0"}, 3) == [["flask 2.0.1", "jinja2 3.0"]]
    assert source.stale == ["click"]
    assert [one.id for one in differences(project)] == ["dependency-lock-stale"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("uv.lock", UV[:300]), ("uv.lock", "version = 1\npackage = 3\n"), ("poetry.lock", POETRY[:200]), ("uv.lock", "")],
)
def test_a_lock_that_was_cut_off_is_no_lock(tmp_path: pathlib.Path, name: str, text: str) -> None:
    assert read(tmp_path, **{"pyproject.toml": PYPROJECT, name: text}).all_problems()


@pytest.mark.parametrize("name", ["jinja2", "pytest"])
def test_a_lock_of_uv_that_was_cut_off_between_two_packages(tmp_path: pathlib.Path, name: str) -> None:
    blocks = [block for block in UV.split("[[package]]") if f'name = "{name}"\nversion' not in block]
    project = read(tmp_path, **{"pyproject.toml": PYPROJECT, "uv.lock": "[[package]]".join(blocks)})
    assert any(f"it lacks {name}" in problem for problem in project.all_problems())


def test_a_lock_of_poetry_that_lacks_a_package(tmp_path: pathlib.Path) -> None:
    text = POETRY.replace('name = "jinja2"', 'name = "another"')
    project = read(tmp_path, **{"pyproject.toml": POETRY_PROJECT, "poetry.lock": text})
    assert project.all_problems() == [
        "poetry.lock: it lacks Jinja2, which flask needs: it was cut off, or merged by hand"
    ]
    # With a marker it may be left out.
    text = text.replace('Jinja2 = ">=3.0"', 'Jinja2 = {version = ">=3.0", markers = "sys_platform == 0"}')
    assert not read(tmp_path, **{"poetry.lock": text}).all_problems()


PYLOCK = """
lock-version = "1.0"
requires-python = ">=3.9"

[[packages]]
name = "Flask"
version = "2.0.1"
dependencies = [{name = "jinja2"}]

[[packages]]
name = "jinja2"
version = "3.0"

[[packages]]
name = "shop"
directory = {path = "."}

[[packages]]
name = "odd"
vcs = {type = "git", url = "https://git.example.org/odd"}
"""


def test_a_lock_by_pep_751(tmp_path: pathlib.Path) -> None:
    source = only(read(tmp_path, **{"pylock.docs.toml": PYLOCK}))
    assert source.language == "3.9"
    assert source.paths({"jinja2==3.0"}, 3) == [["flask 2.0.1", "jinja2 3.0"]]
    assert [node.name for node in source.nodes.values() if node.own] == ["shop"]
    assert [node.name for node in source.nodes.values() if node.problem] == ["odd"]


@pytest.mark.parametrize("text", ["", 'lock-version = "2.0"\npackages = []', PYLOCK.replace('name = "jinja2"\nv', "v")])
def test_what_is_no_lock_by_pep_751(tmp_path: pathlib.Path, text: str) -> None:
    assert read(tmp_path, **{"pylock.toml": text}).all_problems()


PINNED = f"sphinx==7.0 --hash=sha256:{'0' * 64}\n"
DYNAMIC = '[project]\nname = "shop"\ndynamic = ["dependencies"]\n'


@pytest.mark.parametrize(
    ("pyproject", "more", "told"),
    [
        (PYPROJECT, {"requirements-docs.txt": PINNED}, "asks for flask, shop-core, and neither a lock"),
        (POETRY_PROJECT, {"requirements-docs.txt": PINNED}, "asks for flask, and neither a lock"),
        (DYNAMIC, {"package.json": "{}"}, "dependencies are dynamic"),
        (DYNAMIC, {"requirements.txt": PINNED}, ""),
        ('[project]\ndependencies = ["Sphinx>=7", "x; python_version < \'3\'"]\n', {"requirements.txt": PINNED}, ""),
        ('[dependency-groups]\ndev = ["pytest"]\n', {}, "there is neither a lock nor an environment"),
    ],
)
def test_a_lock_for_one_purpose_does_not_cover_the_manifest(
    tmp_path: pathlib.Path, pyproject: str, more: dict[str, str], told: str
) -> None:
    problems = read(tmp_path, **{"pyproject.toml": pyproject, **more}).all_problems()
    assert (told in problems[0]) if told else not problems


def test_a_manifest_alone_tells_no_versions(tmp_path: pathlib.Path) -> None:
    assert "neither a lock nor an environment" in read(tmp_path, **{"pyproject.toml": PYPROJECT}).problems[0]


def test_without_a_reader_of_toml_nothing_is_clean(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def older(name: str, package: str | None = None) -> object:
        if name.endswith(("tomllib", "tomli")):
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", older)
    problems = read(tmp_path, **{"pyproject.toml": PYPROJECT, "uv.lock": UV}).all_problems()
    assert problems
    assert all("neither tomllib (3.11 and newer) nor tomli" in problem for problem in problems)


def test_an_index_of_ones_own_takes_the_place_of_the_public_one_where_poetry_has_all_from_it(
    tmp_path: pathlib.Path,
) -> None:
    """Names of one's own are nothing for a public index, and versions that only that has are nothing for poetry."""
    origin = '[package.source]\ntype = "legacy"\nurl = "https://index.example.org/simple"\nreference = "own"\n'
    first = f'[[package]]\nname = "jinja2"\nversion = "3.1.0"\n{origin}'
    second = '[[package]]\nname = "flask"\nversion = "3.0.0"\n'
    end = '[metadata]\nlock-version = "2.1"\ncontent-hash = "x"\n'
    alone, both = (only(read(tmp_path, **{"poetry.lock": text + end})) for text in (first, first + second))
    assert alone.indexes == ("https://index.example.org/simple",)
    assert both.indexes == ("", "https://index.example.org/simple")
