# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of the host's PostgreSQL restored into a newer major version, and one of the newer refused by the older."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support.backups import Backups, backups_of
from support.modules import run_module
from support.postgres import PrivatePostgres, wheel_bin_dir
from support.restores import ROLES, SAVED, SAVED_ROWS

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import contents

pytestmark = pytest.mark.majors


def _restored_into(server: PrivatePostgres, backups: Backups, state: pathlib.Path) -> dict[str, t.Any]:
    places = {"path": str(backups.path), "state_dir": str(state), "scratch_path": str(backups.scratch)}
    given = {**server.login_arguments, **places, "bin_dir": server.bin_dir, "database": "shop"}
    return run_module("postgres_restore", {**given, "create_roles": True, "allow_unverified": True})


def _contents(server: PrivatePostgres) -> t.Any:
    conn = server.connect("shop")
    try:
        conn.cursor().execute("SET search_path = ''; SET row_security = off; BEGIN")
        tables = contents.measure(conn, contents.tables(conn), checksums=True)
        return [table.to_dict() for table in tables], contents.large_objects_checksum(conn)
    finally:
        conn.close()


def test_up_and_never_down(tmp_path: pathlib.Path) -> None:
    with PrivatePostgres() as older, PrivatePostgres(wheel_bin_dir()) as newer:
        told = f"PostgreSQL {older.major} is not older than {newer.major}: name one that is in STEWARD_PG_BIN"
        assert older.major < newer.major, told
        older.run_sql(ROLES)
        older.run_sql("CREATE DATABASE shop OWNER app")
        older.run_sql(SAVED, "shop")
        with backups_of(older) as backups:
            made = backups.back_up(databases=["shop"])
            assert not made["failed"], made
            assert backups.manifest()["pg_dump_version"].split(".")[0] == str(older.major)
            answer = _restored_into(newer, backups, tmp_path / "up")
            assert not answer["failed"], answer
        assert newer.run_sql("SELECT count(*) FROM orders", "shop") == [(SAVED_ROWS,)]
        assert _contents(newer) == _contents(older)
        with backups_of(newer) as backups:
            made = backups.back_up(databases=["shop"])
            assert not made["failed"], made
            answer = _restored_into(older, backups, tmp_path / "down")
        assert answer["verdict"] == "failed"
        assert f"is of PostgreSQL {newer.major} and the server is {older.major}" in answer["reason"]
        names = "SELECT datname FROM pg_database WHERE datname ~ 'shop'"
        assert older.run_sql(names) == [("shop",)]
