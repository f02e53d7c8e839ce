# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL after every step of a rotation, forwards and backwards.

Each run is a process of its own against a real server, a real store of encrypted files and a real file of a consumer.
"""

from __future__ import annotations

import pathlib

import pytest
from support.postgres import PrivatePostgres
from support.secrets import ALTERNATING, SINGLE, converged, in_file, logs_in, shop_with_file

from ansible_collections.steward.maintenance.plugins.module_utils._secrets.consumers import Consumer
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.steps import NAMES

pytest_plugins = ("support.postgres_fixtures", "support.secret_fixtures")

#: Killed before the step is noted as done, and after it; and before anything was done at all.
_POINTS = [
    "-intent create",
    "+intent create",
    *(f"-done {name}" for name in NAMES),
    *(f"+done {name}" for name in ("set", "finish", "retire")),
]


def test_alternating_killed_anywhere_nobody_is_locked_out(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    for point in _POINTS:
        before = shop.current()
        versions = len(shop.store.versions())
        assert shop.rotate_and_be_killed(point), f"never came to {point}"
        # Nothing has come to its aid yet: who reads the store, and who has the file, logs in.
        assert shop.logs_in(shop.current()), f"the store's secret does not open after {point}"
        assert logs_in(shop.server, *in_file(env_file)), f"the file's secret does not open after {point}"
        result, outcome = shop.rotate(force=False)
        assert result.verdict == "ok", (point, result)
        assert outcome.rotated, point
        converged(shop, env_file)
        assert shop.current().username != before.username, point
        assert len(shop.store.versions()) == versions + 1, f"{point}: a second password was made"


def test_single_killed_anywhere_the_next_run_converges(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    """With one user, a run that is killed after set leaves the pending one as the one that opens: the stated gap."""
    shop = shop_with_file(postgres, tmp_path, SINGLE, env_file)
    for point in ("-intent create", *(f"-done {name}" for name in NAMES), "+done set", "+done finish"):
        versions = len(shop.store.versions())
        assert shop.rotate_and_be_killed(point), f"never came to {point}"
        opens = [stage for stage in ("current", "pending") if shop.logs_in(shop.store.read(stage))]
        assert len(opens) == 1, f"{point}: {opens} open"
        result, outcome = shop.rotate(force=False)
        assert result.verdict == "ok", (point, result)
        assert outcome.rotated, point
        converged(shop, env_file)
        assert len(shop.store.versions()) == versions + 1, f"{point}: a second password was made"


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_killed_while_it_is_taken_back_the_old_one_opens_after_the_next_run(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path, strategy: str
) -> None:
    shop = shop_with_file(postgres, tmp_path, strategy, env_file)
    first = shop.current()
    files = shop.consumers
    failing = Consumer("broken", commands=(("false",),), probe=("true",), timeout=0.5)
    points = ["+undoing reload", *(f"-undone {name}" for name in ("reload", "finish", "set", "create")), "+undone set"]
    for point in points:
        shop.consumers = (*files, failing)
        assert shop.rotate_and_be_killed(point), f"never came to {point}"
        if strategy == ALTERNATING:
            assert shop.logs_in(shop.current()), point
            assert logs_in(shop.server, *in_file(env_file)), point
        result, outcome = shop.rotate(force=False)
        # The rest was taken back, and nothing is due: the finding tells of it.
        assert result.verdict in ("ok", "findings"), (point, result)
        assert not outcome.rotated
        converged(shop, env_file)
        assert shop.current().password == first.password, point
    shop.consumers = files
    assert shop.rotate()[1].rotated
    converged(shop, env_file)


def test_killed_again_and_again_it_converges(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    token = ""
    for point in ("+done create", "-done set", "+done set", "+intent finish", "-done finish", "+done reload"):
        assert shop.rotate_and_be_killed(point, force=not token)
        references = shop.journal()[0]["references"]
        assert token in ("", references["token"]), "it became another rotation"
        token = references["token"]
        assert shop.logs_in(shop.current())
    assert shop.rotate(force=False)[1].version == token
    converged(shop, env_file)
