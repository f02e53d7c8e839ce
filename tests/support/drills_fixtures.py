# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for drills: ask for them, and for those of off-site copies, with ``pytest_plugins``."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from .backups import Backups
from .drills import Drills, production
from .offsite import Offsite
from .s3_server import S3Server


@pytest.fixture(scope="module")
def in_production(s3: S3Server) -> t.Iterator[tuple[Backups, Offsite]]:
    with production(s3) as made:
        yield made


@pytest.fixture
def drills(in_production: tuple[Backups, Offsite], tmp_path: pathlib.Path) -> t.Iterator[Drills]:
    backups, offsite = in_production
    made = Drills(backups, offsite, tmp_path)
    yield made
    made.switch.close()
