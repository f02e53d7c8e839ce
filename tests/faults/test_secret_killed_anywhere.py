# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL before single statements, writes to disk and renamings of a rotation.

There are some eighty in each strategy. With a stride of 1 and the first one this has been run at every single one of
them; what runs here each time is a sample of those.
"""

from __future__ import annotations

import pathlib

import pytest
from support.postgres import PrivatePostgres
from support.secrets import ALTERNATING, SINGLE, converged, in_file, logs_in, shop_with_file

pytest_plugins = ("support.postgres_fixtures", "support.secret_fixtures")

_STRIDE = 11


@pytest.mark.parametrize(("strategy", "first"), [(SINGLE, 5), (ALTERNATING, 9)])
def test_killed_between_any_two_statements_and_writes_it_converges(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path, strategy: str, first: int
) -> None:
    shop = shop_with_file(postgres, tmp_path, strategy, env_file)
    number, killed = first, 0
    while shop.rotate_and_be_killed(number):
        if strategy == ALTERNATING:
            assert shop.logs_in(shop.current()), f"the store's secret does not open after call {number}"
            assert logs_in(shop.server, *in_file(env_file)), f"the file's secret does not open after call {number}"
        result, _outcome = shop.rotate(force=False)
        assert result.verdict in ("ok", "findings"), (number, result)
        assert {finding.id for finding in result.findings} <= {"secret-left-pending"}, (number, result)
        converged(shop, env_file)
        number, killed = number + _STRIDE, killed + 1
    converged(shop, env_file)
    assert killed * _STRIDE > 50, "there were fewer calls than a rotation has"
