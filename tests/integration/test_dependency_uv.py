# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock that the real uv wrote: audited, moved where a fix needs it, installed from, and tested."""

from __future__ import annotations

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
dependencies = ["flask{flask}", "jinja2{jinja2}", "markupsafe{markupsafe}"]

[[tool.uv.index]]
url = "{index}"
default = true
"""
#: What is locked at first, and what is asked for.
OLD = {"flask": "==3.0.0", "jinja2": "==3.1.0", "markupsafe": "==2.0"}
WANTED = {"flask": ">=3", "jinja2": ">=3,<4", "markupsafe": ">=2"}
TEST = 'python -c \'import importlib.metadata as m; print(*(m.version(n) for n in ("jinja2", "flask")))\''


@pytest.fixture
def shop(tmp_path: pathlib.Path) -> t.Iterator[Shop]:
    with Registries(catalogue()) as registries:
        made = Shop(tmp_path, registries, ecosystems=["pypi"])
        (made.path / "requirements.txt").unlink()
        uv = shutil.which("uv")
        assert uv, "requirements/test.txt brings uv"
        for asked in (OLD, WANTED):
            text = PYPROJECT.format(index=registries.index_url, **asked)
            (made.path / "pyproject.toml").write_text(text, encoding="utf-8")
            command = [uv, "lock", "--quiet", "--no-python-downloads", "--cache-dir", str(tmp_path / "uv-cache")]
            subprocess.run(command, cwd=made.path, env=clean_environment(), check=True)
        made.commit("lock by uv")
        yield made


def test_a_fix_goes_into_the_lock_of_uv_and_no_further(shop: Shop, tmp_path: pathlib.Path) -> None:
    seen = audit_here(tmp_path, shop.path, osv_url=shop.registries.osv_url, ecosystems=["pypi"], updates=False)
    assert seen["coverage"] == {"looked": 1, "of": 1}, seen["reason"]
    assert [(one["id"], one["fix"]) for one in seen["vulnerabilities"]] == [("CVE-2026-1", "3.1.1")]

    before = shop.fingerprint()
    planned = shop.update(check=True, test=TEST)
    assert shop.fingerprint() == before
    assert planned["diff"][0]["before"] == "uv.lock: jinja2 3.1.0\nuv.lock: markupsafe 2.0\n"
    # uv takes the newest of what has to go along, unless it may break things.
    assert planned["diff"][0]["after"] == "uv.lock: jinja2 3.1.1\nuv.lock: markupsafe 2.2\n"

    answer = shop.update(test=TEST)
    project = answer["project"]
    assert (answer["verdict"], project["status"]) == ("ok", "updated"), answer["reason"]
    assert shop.git("show", "--name-only", "--format=", project["commit"]) == "uv.lock"
    # The tests ran in what uv installed from that very lock.
    assert (pathlib.Path(project["evidence"]) / "tests.log").read_text() == "3.1.1 3.0.0\n"
    place = shop.check_out(project["commit"], tmp_path / "again")
    done = subprocess.run(["uv", "lock", "--check", "--quiet"], cwd=place, env=clean_environment(), check=False)
    assert done.returncode == 0, "uv finds nothing to change in it"


def test_what_the_manifest_does_not_allow_is_refused(shop: Shop) -> None:
    manifest = shop.path / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace("jinja2>=3,<4", "jinja2>=3,<3.1.1"), encoding="utf-8")
    subprocess.run(["uv", "lock", "--quiet"], cwd=shop.path, env=clean_environment(), check=True)
    shop.commit("narrower")
    answer = shop.update(test=TEST)
    assert [one["id"] for one in answer["findings"]] == ["dependency-fix-blocked"]
    assert "pyproject.toml asks for >=3,<3.1.1" in answer["findings"][0]["message"]
    assert answer["project"]["status"] == "up-to-date"
