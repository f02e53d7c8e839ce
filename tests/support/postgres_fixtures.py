# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests on a private server: ask for them with ``pytest_plugins = ("support.postgres_fixtures",)``."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from support.postgres import SHOP, PrivatePostgres


@pytest.fixture(scope="module")
def postgres() -> t.Iterator[PrivatePostgres]:
    with PrivatePostgres() as server:
        yield server


@pytest.fixture
def shop(postgres: PrivatePostgres) -> t.Iterator[PrivatePostgres]:
    """The server with an empty database named shop."""
    postgres.run_sql(f"CREATE DATABASE {SHOP}")
    yield postgres
    with contextlib.suppress(Exception):  # a test may have left it unreachable: the server is thrown away anyhow
        postgres.run_sql(f"DROP DATABASE {SHOP} WITH (FORCE)")
