# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a user gets it: built, installed, and stripped of all that Ansible does not need."""

from __future__ import annotations

import json
import pathlib
import shutil
import sys
import tarfile
import typing as t

import pytest
from support.house import MODULES, PLAYBOOKS, ROLES, ROOT, run

#: What the collection must live from.
_ENOUGH = {"meta", "plugins", "roles", "playbooks", "MANIFEST.json", "FILES.json"}
#: What may be in the archive beside it.
_WELCOME = {"README.md", "LICENSE", "CHANGELOG.md", "changelogs", "docs", "CONTRIBUTING.md", "SECURITY.md"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    place = tmp_path_factory.mktemp("built")
    done = run("ansible-galaxy", "collection", "build", "--output-path", str(place))
    assert done.returncode == 0, done.stdout
    return next(place.glob("steward-maintenance-*.tar.gz"))


@pytest.fixture(scope="module")
def installed(archive: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> t.Callable[..., t.Any]:
    """Run a program in an empty directory beside the installed collection and nothing else of ours."""
    place = tmp_path_factory.mktemp("installed")
    collections, empty = place / "collections", place / "empty"
    empty.mkdir()
    apart = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_HOME": str(place / "home"), "HOME": str(place)}
    install = (
        "ansible-galaxy",
        "collection",
        "install",
        "--offline",
        "--no-deps",
        str(archive),
        "-p",
        str(collections),
    )
    done = run(*install, cwd=empty, **apart)
    assert done.returncode == 0, done.stdout
    collection = collections / "ansible_collections" / "steward" / "maintenance"
    for entry in collection.iterdir():
        if entry.name not in _ENOUGH:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return lambda *command, **env: run(*command, cwd=empty, **apart, **env)


def test_the_archive_holds_nothing_unwanted(archive: pathlib.Path) -> None:
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert {name.partition("/")[0] for name in names} <= _ENOUGH | _WELCOME
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".tar.gz", ".log"))]
    assert {"README.md", "LICENSE", "meta/runtime.yml"} <= set(names)


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_playbooks_are_found_and_parsed(installed: t.Callable[..., t.Any], playbook: str) -> None:
    done = installed("ansible-playbook", f"steward.maintenance.{playbook}", "--syntax-check", "-i", "localhost,")
    assert done.returncode == 0, done.stdout


def test_modules_and_roles_are_documented(installed: t.Callable[..., t.Any]) -> None:
    for kind, wanted in (("module", MODULES), ("role", ROLES)):
        done = installed("ansible-doc", "-t", kind, "--list", "--json", "steward.maintenance")
        assert done.returncode == 0, done.stdout
        assert set(json.loads(done.stdout)) >= {f"steward.maintenance.{name}" for name in wanted}
    for name in MODULES:
        done = installed("ansible-doc", "-t", "module", f"steward.maintenance.{name}")
        assert done.returncode == 0, done.stdout
        assert "EXAMPLES" in done.stdout


def test_a_module_really_runs(installed: t.Callable[..., t.Any], tmp_path: pathlib.Path) -> None:
    records = tmp_path / "records.jsonl"
    written = {
        "records": str(records),
        "activity": "database.vacuum",
        "guide": "2.3",
        "type": "preventive",
        "host": "localhost",
        "started": "2026-11-23T05:13:39Z",
        "result": {"verdict": "ok", "summary": "nothing needed it"},
        "changed": False,
    }
    here = ("ansible", "localhost", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}", "-m")
    done = installed(*here, "steward.maintenance.record", "-a", json.dumps(written))
    assert done.returncode == 0, done.stdout
    assert json.loads(records.read_text())["summary"] == "nothing needed it"

    read = json.dumps({"records": str(records), "summary": True})
    done = installed(*here, "steward.maintenance.records_info", "-a", read)
    assert done.returncode == 0, done.stdout
    assert "nothing needed it" in done.stdout
    assert '"length": 1' in done.stdout


def test_the_version_is_one() -> None:
    """galaxy.yml and the version that goes into every record."""
    galaxy = (ROOT / "galaxy.yml").read_text()
    version = (ROOT / "plugins" / "module_utils" / "_core" / "version.py").read_text()
    told = next(line.partition(":")[2].strip() for line in galaxy.splitlines() if line.startswith("version:"))
    assert f'"{told}"' in version
