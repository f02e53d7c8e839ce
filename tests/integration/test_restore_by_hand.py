# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page "Restore by hand" of the role backup: its very commands, with PostgreSQL's own programs and a shell."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest
from support.backups import Backups
from support.postgres import PrivatePostgres
from support.restores import SAVED_ROWS

pytest_plugins = ("support.restores_fixtures",)

README = pathlib.Path(__file__).resolve().parents[2] / "roles" / "backup" / "README.md"


def commands() -> str:
    """The shell block below the heading, as it stands there."""
    section = README.read_text(encoding="utf-8").partition("## Restore by hand")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(block)


@pytest.mark.parametrize("damage", [False, True])
def test_the_documented_commands_restore_a_backup(saved: Backups, damage: bool, tmp_path: pathlib.Path) -> None:
    """On another server, which knows nothing of this collection; a damaged backup is stopped by the first of them."""
    block = commands()
    place = re.search(r"^cd (/\S+)$", block, re.MULTILINE)
    assert place, block
    found = saved.sets()[0]
    spoiled = found / "globals.sql"
    good = spoiled.read_bytes()
    with PrivatePostgres(saved.server.bin_dir) as other:
        environment = {
            **os.environ,
            "PATH": f"{other.bin_dir}:{os.environ['PATH']}",
            "PGHOST": other.socket_dir,
            "PGPORT": str(other.port),
            "PGUSER": other.superuser,
            "HOME": str(tmp_path),
        }
        try:
            if damage:
                spoiled.write_bytes(good.replace(b"reader", b"raeder", 1))
            done = subprocess.run(
                ["sh", "-eu"],
                input=block.replace(place.group(1), str(found)),
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=120,
            )
        finally:
            spoiled.write_bytes(good)
        databases = {name for (name,) in other.run_sql("SELECT datname FROM pg_database")}
        if damage:
            assert done.returncode != 0
            assert "globals.sql: FAILED" in done.stdout
            assert not databases & {"shop", "shop_restored"}
            return
        assert done.returncode == 0, done.stdout
        assert {"shop", "shop_restored"} <= databases
        for name in ("shop", "shop_restored"):
            assert other.run_sql("SELECT count(*), sum(twice) FROM orders", name) == [
                (SAVED_ROWS, SAVED_ROWS * (SAVED_ROWS + 1))
            ]
        owner = other.run_sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'")
        assert owner == [("app",)]
