# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible loads a filter anew in the process of each task that has it, and keeps nothing that it compiled of it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILTERS = sorted(path.stem for path in (ROOT / "plugins" / "filter").glob("*.py"))
#: Files of the collection that a filter may need; each of them takes milliseconds of each task.
MOST = 25

_COUNT = """
import importlib, sys
importlib.import_module("ansible_collections.steward.maintenance.plugins.filter." + sys.argv[1])
print(sum(1 for name in sys.modules if name.startswith("ansible_collections.steward.maintenance.plugins.")))
"""


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_loads_little(name: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".cache" / "collections")}
    done = subprocess.run(
        [sys.executable, "-c", _COUNT, name], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) <= MOST, f"it takes {done.stdout.strip()} files of the collection with it"
