# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores in tests: a server with a proved backup, a live database that differs from it, and an application on it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import typing as t

from . import shop_application
from .backups import Backups, backups_of
from .modules import run_module, start_module
from .postgres import PrivatePostgres, free_port, wait_for

SAVED_ROWS = 300
LIVE_ROWS = 10

ROLES = """
CREATE ROLE app LOGIN; CREATE ROLE reader; CREATE ROLE former; GRANT reader TO app;
ALTER ROLE reader PASSWORD 'read; only'; COMMENT ON ROLE reader IS 'reads; nothing else'"""

SAVED = f"""
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE orders (id int PRIMARY KEY, day date, feels mood DEFAULT 'glad', note text COLLATE "C",
  twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO orders (id, day, note) SELECT g, date '2026-01-01' + g, 'a' || chr(9) || 'b\\' || g
  FROM generate_series(1, {SAVED_ROWS}) g;
CREATE INDEX ON orders (day);
CREATE TABLE parent (id int); CREATE TABLE child (own text) INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 'two'), (3, NULL);
CREATE TABLE parts (id int, at int) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
INSERT INTO parts VALUES (1, 1), (2, 2);
SELECT lo_from_bytea(0, 'large');
GRANT SELECT ON orders TO reader; ALTER TABLE child OWNER TO app;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON orders TO former USING (true)"""

LIVE = f"""
ALTER DATABASE shop CONNECTION LIMIT 9;
COMMENT ON DATABASE shop IS 'the live ''shop'' 100%';
ALTER DATABASE shop SET search_path = "$user", public, 'odd, one';
ALTER DATABASE shop SET work_mem = '8MB';
ALTER ROLE app IN DATABASE shop SET application_name = 'it''s\\me';
REVOKE ALL ON DATABASE shop FROM PUBLIC;
GRANT CONNECT ON DATABASE shop TO reader WITH GRANT OPTION;
SET ROLE reader; GRANT CONNECT ON DATABASE shop TO former; RESET ROLE;
CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, {LIVE_ROWS}) g"""

DATABASES = """
SELECT datname, datallowconn FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1') ORDER BY 1"""

#: Everything about a database that goes with its name.
PROPERTIES = """
SELECT pg_get_userbyid(datdba), datconnlimit, shobj_description(d.oid, 'pg_database'),
  (SELECT array_agg(row(a.grantor::regrole, a.grantee::regrole, privilege_type, is_grantable)::text ORDER BY 1)
   FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) a),
  (SELECT array_agg(row(setrole::regrole, setconfig)::text ORDER BY setrole) FROM pg_db_role_setting
   WHERE setdatabase = d.oid)
FROM pg_database d WHERE datname = 'shop'"""


class Application:
    """The application of tests/support/shop_application.py on the live database.

    :param query: what it asks its database to see whether it is well.
    """

    def __init__(
        self, server: PrivatePostgres, directory: pathlib.Path, query: str = "SELECT count(*) FROM orders"
    ) -> None:
        self.directory = directory
        self.port = free_port()
        directory.mkdir()
        dsn = f"host={server.socket_dir} port={server.port} user={server.superuser} dbname=shop connect_timeout=5"
        (directory / "config.json").write_text(json.dumps({"port": self.port, "dsn": dsn, "query": query}))
        self.patience = "30s"
        self.behave("well")

    def behave(self, mode: str) -> None:
        (self.directory / "mode").write_text(mode)

    def command(self, verb: str) -> list[str]:
        """Looking and stopping are left to a shell, which is there at once."""
        pid, told = self.directory / "pid", self.directory / "told"
        if verb == "status":
            # What has ended and waits to be reaped, which takes some inits seconds, does not run.
            looked = 'pid=$(cat "$1" 2>/dev/null); [ "$pid" ] || exit 1'
            looked += '; read -r it 2>/dev/null <"/proc/$pid/stat" || exit 1; it=${it##*) }; [ "${it%% *}" != Z ]'
            return ["sh", "-c", looked, "status", str(pid)]
        if verb == "stop":
            return ["sh", "-c", f'echo stop "$(id -u)" >>{told}; kill "$(cat {pid})"']
        return [sys.executable, shop_application.__file__, str(self.directory), verb]

    @property
    def arguments(self) -> dict[str, t.Any]:
        return {
            "stop_commands": [self.command("stop")],
            "start_commands": [self.command("start")],
            "running_command": self.command("status"),
            "stop_timeout": "10s",
            "health_url": f"http://127.0.0.1:{self.port}/health",
            "health_timeout": self.patience,
        }

    def start(self) -> None:
        subprocess.run(self.command("start"), check=True, stdout=subprocess.DEVNULL)
        wait_for(self.runs, "the application runs")

    def runs(self) -> bool:
        return shop_application.alive(self.directory)

    def told(self) -> list[str]:
        """What it was told to do so far, beside being looked at."""
        path = self.directory / "told"
        lines = [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if line != "serve"]

    def kill(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.directory / "pid").read_text()), signal.SIGKILL)
        wait_for(lambda: not self.runs(), "the application is gone")


class Restores:
    """One server, one proved backup of `shop`, and a `shop` that is another one by now."""

    def __init__(self, backups: Backups, place: pathlib.Path) -> None:
        self.backups = backups
        self.server = backups.server
        self.place = place
        self.state = place / "state"
        self.application = Application(self.server, place / "application")

    def arguments(self, **more: t.Any) -> dict[str, t.Any]:
        return {**self.server.login_arguments, "database": "shop", "state_dir": str(self.state), **more}

    @property
    def choice(self) -> dict[str, t.Any]:
        return {"path": str(self.backups.path), "bin_dir": self.server.bin_dir}

    def restore(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module("postgres_restore", self.arguments(**{**self.choice, **more}), check)

    def start_restore(self, **more: t.Any) -> t.Any:
        return start_module("postgres_restore", self.arguments(**{**self.choice, **more}))

    def roll_back(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module("postgres_restore_rollback", self.arguments(**more), check)

    def tables(self, *names: str, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module(
            "postgres_restore_tables", self.arguments(**{**self.choice, "tables": list(names), **more}), check
        )

    def retire(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        given = {"path": str(self.backups.path), "keep": "1s", **more}
        return run_module("postgres_restore_retire", self.arguments(**given), check)

    def rows(self, database: str = "shop") -> int:
        return int(self.server.run_sql("SELECT count(*) FROM orders", database)[0][0])

    def databases(self) -> list[tuple[str, bool]]:
        return [tuple(row) for row in self.server.run_sql(DATABASES)]

    def oid(self, name: str = "shop") -> int:
        return int(
            self.server.run_sql("SELECT oid::bigint FROM pg_database WHERE datname = %s", parameters=(name,))[0][0]
        )

    def properties(self) -> t.Any:
        return self.server.run_sql(PROPERTIES)[0]

    def assert_untouched(self) -> None:
        """Production is as it was, it is the only one, and it lets people in."""
        assert self.databases() == [("shop", True)]
        assert self.rows() == LIVE_ROWS

    def journals(self) -> str:
        return "".join(path.read_text() for path in self.state.glob("*.journal"))


def reset(server: PrivatePostgres) -> None:
    """The live database as it is when somebody wants yesterday's back."""
    for name, _allows in server.run_sql(DATABASES):
        server.run_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    server.run_sql("CREATE DATABASE shop OWNER app")
    server.run_sql(LIVE, "shop")


@contextlib.contextmanager
def proved_backup(server: PrivatePostgres) -> t.Iterator[Backups]:
    """A backup of a database `shop`, made and verified by the real modules."""
    server.run_sql(ROLES)
    server.run_sql("CREATE DATABASE shop OWNER app CONNECTION LIMIT 7")
    server.run_sql("COMMENT ON DATABASE shop IS 'the saved shop'; ALTER DATABASE shop SET work_mem = '6MB'")
    server.run_sql(SAVED, "shop")
    with backups_of(server) as backups:
        made = backups.back_up(databases=["shop"], jobs=1)
        assert not made["failed"], made
        proved = backups.verify()
        assert not proved["failed"], proved
        yield backups


@contextlib.contextmanager
def restores_with(backups: Backups) -> t.Iterator[Restores]:
    """A fresh live database and a fresh application, for one test."""
    reset(backups.server)
    place = backups.path.parent / "test"
    place.mkdir()
    restores = Restores(backups, place)
    try:
        yield restores
    finally:
        restores.application.kill()
        shutil.rmtree(place)
