# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills in tests: a server with a proved backup and its copy, a traffic switch to look at, and the module."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import pathlib
import subprocess
import threading
import typing as t

from .backups import Backups, backups_of
from .modules import finish_module, run_module, start_module
from .offsite import Offsite, new_bucket
from .postgres import PrivatePostgres, free_port
from .s3_server import S3Server, without_credentials

MODULE = "disaster_drill"
APP_PASSWORD = "only;in the globals"
ROWS = 500


class Switch:
    """A traffic switch: a file says where traffic goes, and an HTTP server at the end of it answers accordingly."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._file = directory / "traffic"
        self._file.write_text("normal")
        self._told = directory / "told"
        self._told.write_text("")
        switch = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == f"/{switch.place}" else 503)
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def place(self) -> str:
        return self._file.read_text().strip()

    @property
    def told(self) -> list[str]:
        """Where it was told to send traffic, in this order."""
        return self._told.read_text().split()

    def command(self, place: str) -> list[str]:
        return ["sh", "-c", f"echo {place} >>{self._told}; echo {place} >{self._file}"]

    def arguments(self, **more: t.Any) -> dict[str, t.Any]:
        return {
            "traffic_to_recovery": [self.command("recovery")],
            "traffic_back": [self.command("normal")],
            "traffic_timeout": "2s",
            "recovery_url": f"{self.url}/recovery",
            "normal_url": f"{self.url}/normal",
            **more,
        }


class Drills:
    """One server in production, its proved backup, and the copy of it."""

    def __init__(self, backups: Backups, offsite: Offsite, place: pathlib.Path) -> None:
        self.backups = backups
        self.server = backups.server
        self.offsite = offsite
        self.state = place / "state"
        self.switch = Switch(place)
        self.port = free_port()

    def arguments(self, scenario: str, **more: t.Any) -> dict[str, t.Any]:
        where: dict[str, t.Any] = {"path": str(self.backups.path)}
        if scenario != "database_failure":
            where = {**self.offsite.bucket.arguments(), "port": self.port}
        if scenario == "regional_outage":
            where.update(self.switch.arguments(state_dir=str(self.state)))
        places = {"scratch_path": str(self.backups.scratch), "bin_dir": self.server.bin_dir}
        return {"scenario": scenario, **where, **places, "health_timeout": "3s", **more}

    def drill(self, scenario: str, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module(MODULE, self.arguments(scenario, **more), check, env=without_credentials())

    def start(self, scenario: str, **more: t.Any) -> subprocess.Popen[bytes]:
        return start_module(MODULE, self.arguments(scenario, **more), env=without_credentials())

    def asks(self, sql: str, database: str = "shop") -> list[str]:
        """A health command that asks the new server, and fails when the answer is not true."""
        psql = f"{self.server.bin_dir}/psql"
        question = f"DO $$ BEGIN IF NOT ({sql}) THEN RAISE 'it is not so'; END IF; END $$"
        return [psql, "--no-psqlrc", "--no-password", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", question]

    def left(self) -> list[str]:
        """What is below the scratch path."""
        return sorted(path.name for path in self.backups.scratch.iterdir())

    def production(self) -> tuple[t.Any, ...]:
        """What a drill must not touch: the catalog, every file of every database, and every file of the backups."""
        catalog = self.server.run_sql(
            "SELECT datname, oid::int, datistemplate FROM pg_database UNION ALL SELECT rolname, oid::int, rolsuper"
            " FROM pg_roles UNION ALL SELECT name, 0, pending_restart FROM pg_settings ORDER BY 1, 2"
        )
        # What the question itself has touched (hint bits) is on the disk before the files are read.
        self.server.run_sql("CHECKPOINT")
        digests = {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((self.server.data / "base").rglob("*"))
            if path.is_file() and path.name != "pg_internal.init"
        }
        return catalog, digests, self.backups.tree()


answer_of = finish_module


@contextlib.contextmanager
def production(s3: S3Server) -> t.Iterator[tuple[Backups, Offsite]]:
    """For all tests of a file: they change neither the backup nor its copy."""
    with PrivatePostgres() as server, backups_of(server) as backups:
        server.run_sql(f"CREATE ROLE app LOGIN PASSWORD '{APP_PASSWORD}'")
        server.run_sql("CREATE DATABASE shop OWNER app")
        server.run_sql(
            f"CREATE TABLE orders AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, {ROWS}) g;"
            "CREATE UNIQUE INDEX ON orders (id); ALTER TABLE orders OWNER TO app",
            "shop",
        )
        made = backups.back_up()
        assert not made["failed"], made
        proved = backups.verify()
        assert not proved["failed"], proved
        offsite = Offsite(new_bucket(s3), backups.path)
        copied = offsite.copy()
        assert not copied["failed"], copied
        yield backups, offsite
