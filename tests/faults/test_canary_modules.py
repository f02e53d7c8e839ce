# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret is planted as the password of the login, the modules do their work or fail at it, and then it is looked
for: in their answers, in all that they print, in the server's log and on every command line."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing as t

import pytest
from support.canary import RIGHT, WRONG, CommandLines, secrets_in, sweep
from support.modules import start_module
from support.postgres import SHOP, PrivatePostgres
from support.postgres_faults import REINDEX, REVIEW, VACUUM, arguments, broken_index, neglect

pytest_plugins = ("support.postgres_fixtures",)

_MODULES = (VACUUM, REINDEX, REVIEW)


class GuardedPostgres(PrivatePostgres):
    password = RIGHT


@pytest.fixture(scope="module")
def postgres() -> t.Iterator[PrivatePostgres]:
    with GuardedPostgres() as server:
        yield server


def _printed(module: str, server: PrivatePostgres, check: bool = False, **more: t.Any) -> tuple[bytes, t.Any]:
    """All that a module prints, and the answer in it."""
    process = start_module(module, arguments(server, module, **more), check)
    stdout, stderr = process.communicate(timeout=60)
    return stdout + stderr, json.loads(stdout)


@pytest.mark.parametrize("module", _MODULES)
def test_the_password_is_nowhere(shop: PrivatePostgres, module: str, tmp_path: pathlib.Path) -> None:
    neglect(shop)
    broken_index(shop)
    state = {"state_dir": str(tmp_path / "state"), "bloat_percent": 1} if module == REINDEX else {}
    several = {} if module == REVIEW else {"jobs": 2}
    with CommandLines() as lines:
        planned, _told = _printed(module, shop, check=True, **state)
        printed, answer = _printed(module, shop, **state, **several)
        refused, failure = _printed(module, shop, login_password=WRONG)
        nowhere, _failure = _printed(module, shop, login_port=1)
        lost, _failure = _printed(module, shop, databases=[SHOP, "no such database"])

    assert answer["verdict"] in ("ok", "findings"), answer["reason"]
    assert "password authentication failed" in failure["reason"]
    for text in (planned, printed, refused, nowhere, lost, shop.log().encode()):
        assert not secrets_in(text)
    assert not sweep(tmp_path)
    assert lines.rounds > 3, "the command lines were hardly looked at"
    assert not lines.caught


def test_an_option_that_is_refused_shows_no_password(shop: PrivatePostgres) -> None:
    for module in _MODULES:
        printed, answer = _printed(module, shop, databse=SHOP)
        assert answer["failed"] is True
        assert not secrets_in(printed)


def test_the_look_at_the_command_lines_finds_what_it_looks_for() -> None:
    """Else the others would pass by looking away. It has a secret of its own: what runs beside this looks, too."""
    own = "zaunkoenig-51d7e9a0"
    with CommandLines(secrets=[own]) as lines:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.7)", own], check=True)
    assert lines.caught
