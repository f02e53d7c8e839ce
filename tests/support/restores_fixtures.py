# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of restores: ask for them with ``pytest_plugins = ("support.restores_fixtures",)``."""

from __future__ import annotations

import typing as t

import pytest

from support.backups import Backups
from support.postgres import PrivatePostgres
from support.restores import Restores, proved_backup, restores_with


@pytest.fixture(scope="module")
def saved() -> t.Iterator[Backups]:
    """A server with a proved backup, for all tests of a file."""
    with PrivatePostgres() as server, proved_backup(server) as backups:
        yield backups


@pytest.fixture
def restores(saved: Backups) -> t.Iterator[Restores]:
    with restores_with(saved) as fresh:
        yield fresh
