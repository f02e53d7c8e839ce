# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of off-site copies: ask for them with ``pytest_plugins = ("support.offsite_fixtures",)``."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from .offsite import Offsite, new_bucket
from .s3_faults import FaultyStore
from .s3_server import S3Server


@pytest.fixture(scope="module")
def s3() -> t.Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def offsite(s3: S3Server, tmp_path: pathlib.Path) -> Offsite:
    """An empty directory of backups and an empty bucket."""
    return Offsite(new_bucket(s3), tmp_path / "backups")


@pytest.fixture(scope="module")
def proxy(s3: S3Server) -> t.Iterator[FaultyStore]:
    with FaultyStore(s3.port) as store:
        yield store


@pytest.fixture
def broken(s3: S3Server, proxy: FaultyStore, tmp_path: pathlib.Path) -> t.Iterator[Offsite]:
    """The same, behind a proxy that breaks what it is told to; it is whole again afterwards."""
    proxy.requests.clear()
    yield Offsite(new_bucket(s3), tmp_path / "backups", proxy.url)
    proxy.heal()
