# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the guards of the house."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t

import pytest
from support.house import MODULES, PATH, ROOT


@pytest.fixture(scope="session")
def module_docs() -> dict[str, t.Any]:
    """What ansible-doc tells of every module, fragments included."""
    done = subprocess.run(
        ["ansible-doc", "--json", "-t", "module", *(f"steward.maintenance.{name}" for name in MODULES)],
        cwd=ROOT,
        env={**os.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name.rpartition(".")[2]: entry for name, entry in json.loads(done.stdout).items()}
