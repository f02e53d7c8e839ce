# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of a system with packages of its own."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from .apt import Signer
from .patching import Site


@pytest.fixture(scope="module")
def signer() -> t.Iterator[Signer]:
    made = Signer()
    yield made
    made.close()


@pytest.fixture
def site(tmp_path: pathlib.Path, signer: Signer) -> t.Iterator[Site]:
    made = Site(tmp_path, signer)
    yield made
    made.close()
