# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for physical backups: ask for them with ``pytest_plugins = ("support.physical_fixtures",)``."""

from __future__ import annotations

import typing as t

import pytest

from .physical import Physical, physical_server


@pytest.fixture(scope="module")
def empty() -> t.Iterator[Physical]:
    """A server that archives, and a repository with nothing in it."""
    with physical_server() as physical:
        yield physical


@pytest.fixture(scope="module")
def physical(empty: Physical) -> Physical:
    """The same with a full backup."""
    answer = empty.back_up()
    assert answer["verdict"] == "ok", answer
    return empty
