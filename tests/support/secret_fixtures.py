# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of secrets: ask for them with ``pytest_plugins = ("support.secret_fixtures",)``."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from .s3_server import S3Server
from .secret_aws import StrictSecretsManager
from .secret_kv import KvServer


@pytest.fixture(scope="module")
def moto() -> t.Iterator[S3Server]:
    """moto's server speaks Secrets Manager beside S3."""
    with S3Server() as server:
        yield server


@pytest.fixture
def manager(moto: S3Server) -> t.Iterator[StrictSecretsManager]:
    with StrictSecretsManager(moto.port) as strict:
        yield strict


@pytest.fixture
def kv() -> t.Iterator[KvServer]:
    with KvServer() as server:
        yield server


@pytest.fixture
def env_file(tmp_path: pathlib.Path) -> pathlib.Path:
    """The file of a consumer, with a line that is none of ours."""
    path = tmp_path / "shop.env"
    path.write_text("OTHER=kept\nDB_USER=\nDB_PASSWORD=\n")
    path.chmod(0o640)
    return path
