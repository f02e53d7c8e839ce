# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of file backups: ask for them with ``pytest_plugins = ("support.trees_fixtures",)``."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from .offsite import new_bucket
from .s3_faults import FaultyStore
from .s3_server import S3Server
from .trees import Kept

pytest_plugins = ("support.offsite_fixtures",)


@pytest.fixture(params=["bucket", "directory"])
def kept(request: pytest.FixtureRequest, s3: S3Server, tmp_path: pathlib.Path) -> Kept:
    """An empty tree, and an empty place for it of either kind."""
    return Kept(tmp_path, new_bucket(s3) if request.param == "bucket" else None)


@pytest.fixture
def in_bucket(s3: S3Server, tmp_path: pathlib.Path) -> Kept:
    return Kept(tmp_path, new_bucket(s3))


@pytest.fixture
def behind_proxy(s3: S3Server, proxy: FaultyStore, tmp_path: pathlib.Path) -> t.Iterator[Kept]:
    """An empty tree and an empty bucket behind a proxy that breaks what it is told to."""
    proxy.requests.clear()
    yield Kept(tmp_path, new_bucket(s3), proxy.url)
    proxy.heal()
