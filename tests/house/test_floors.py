# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The import contracts in pyproject.toml really fail when somebody breaks them."""

from __future__ import annotations

import pathlib
import shutil

import pytest
from support.house import ROOT, run

_OURS = "ansible_collections.steward.maintenance.plugins"
#: What somebody writes, where, and the contract that must catch it.
_BREACHES = {
    "_core imports a domain": ("module_utils/_core/result.py", "from .._cycle import catalogue", "Domains"),
    "a domain imports another": ("module_utils/_report/model.py", "from .._postgres import connection", "Domains"),
    "_core imports _s3": ("module_utils/_core/result.py", "from .._s3 import errors", "Domains"),
    "_s3 imports a domain": ("module_utils/_s3/errors.py", "from .._postgres import connection", "Domains"),
    "a module_util imports a module": ("module_utils/_cycle/due.py", f"from {_OURS}.modules import record", "Plugins"),
    "a module_util knows AnsibleModule": (
        "module_utils/_postgres/connection.py",
        "def late():\n    from ansible.module_utils.basic import AnsibleModule",
        "module_utils are plain",
    ),
    "a package nobody placed": ("module_utils/_new/__init__.py", "", "Domains"),
}


def _lint(tree: pathlib.Path) -> tuple[int, str]:
    config = ("--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo")
    done = run("lint-imports", *config, cwd=tree, PYTHONPATH=str(tree))
    return done.returncode, done.stdout


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    plugins = tmp_path / "ansible_collections" / "steward" / "maintenance" / "plugins"
    shutil.copytree(ROOT / "plugins", plugins, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_floors_hold(tree: pathlib.Path) -> None:
    status, told = _lint(tree)
    assert status == 0, told


@pytest.mark.parametrize("breach", _BREACHES)
def test_a_breach_is_caught(tree: pathlib.Path, breach: str) -> None:
    name, code, contract = _BREACHES[breach]
    path = tree / "ansible_collections" / "steward" / "maintenance" / "plugins" / name
    path.parent.mkdir(exist_ok=True)
    before = path.read_text() if path.exists() else ""
    path.write_text(f"{before}\n{code}\n")
    status, told = _lint(tree)
    assert status != 0, told
    broken = [line for line in told.splitlines() if line.endswith("BROKEN")]
    assert any(line.startswith(contract) for line in broken), told
