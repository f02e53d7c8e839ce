# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests that run playbooks: ask for them with ``pytest_plugins = ("support.plays_fixtures",)``."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
import typing as t

import pytest

from support.plays import Fleet, Play


@pytest.fixture
def play(tmp_path: pathlib.Path) -> Play:
    return Play(tmp_path)


@pytest.fixture
def fleet() -> t.Iterator[Fleet]:
    # Not pytest's own directory: other accounts must be able to go into it.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="steward-cycle-"))
    directory.chmod(0o755)
    yield Fleet(directory)
    shutil.rmtree(directory)
