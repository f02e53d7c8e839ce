# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway server: its own directory, a Unix socket only we can reach, no durability, gone at the end.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import signal
import subprocess
import tempfile
import time
import typing as t

from .._core.locks import Busy, lock
from .binaries import find_binary
from .connection import Login, PostgresError, connect, quote
from .connection import query as run_query
from .durable import remove_tree
from .processes import Account, run, spawn, stop

PREFIX = "steward-verify-"

_LOCK = "lock"
_GONE = ".gone"
_LOG = "server.log"
_HOST_BASED = "pg_hba.conf"
_START_PATIENCE = 60
_STOP_PATIENCE = 30
_PORT = 5432
_LONGEST_SOCKET = 107
_ABANDONED_SECONDS = 3600
_LOG_TAIL = 4000

# Nothing in it must survive, so nothing is made durable; nobody else uses it, so it may be generous to one restore.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(_PORT),
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "archive_mode": "off",
    "autovacuum": "off",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "60",
    "max_prepared_transactions": "0",
    "max_locks_per_transaction": "1024",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "lc_messages": "C",
}


#: What makes a throwaway server fast and a lasting one lose data.
_NOT_DURABLE = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")


@dataclasses.dataclass(frozen=True)
class Serving:
    """A throwaway server that works as one that is to last, and perhaps answers others while it lives.

    :param listen_addresses: as the server's setting; nobody but we can reach it when empty.
    :param allow_from: networks from which roles may log in with their passwords.
    """

    listen_addresses: str = ""
    port: int = _PORT
    allow_from: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, str]:
        kept = {name: value for name, value in _SETTINGS.items() if name not in _NOT_DURABLE}
        return {**kept, "listen_addresses": self.listen_addresses, "port": str(self.port)}

    @property
    def host_based(self) -> str:
        """The lines of pg_hba.conf. The socket is in a directory that is closed to others."""
        # `md5` takes SCRAM where the role's password is saved so, and md5 where it is old.
        lines = ["local all all trust", *(f"host all all {network} md5" for network in self.allow_from)]
        return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True)
class ScratchServer:
    """A running throwaway server."""

    directory: str
    login: Login
    bootstrap: Login


def _log_of(directory: str) -> str:
    with open(os.path.join(directory, _LOG), encoding="utf-8", errors="replace") as handle:
        return handle.read()[-_LOG_TAIL:]


@contextlib.contextmanager
def scratch_server(
    parent: str,
    major: int,
    bin_dir: str,
    account: Account | None,
    bootstrap_role: str,
    preload: t.Sequence[str] = (),
    nice: int = 0,
    serving: Serving | None = None,
) -> t.Iterator[ScratchServer]:
    """A new server of `major` below `parent`, removed at the end whatever happens.

    :param bootstrap_role: the role that it is made with: it must be the one of the server that the globals come from,
        for grants in them are said to be granted by it.
    :param serving: how it works when it is not only there to be compared.
    :raises PostgresError: naming what is missing, or what the server said when it did not start.
    """
    initdb = find_binary("initdb", major, bin_dir)
    postgres = find_binary("postgres", major, bin_dir)
    directory = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
    try:
        # Both files are opened while the directory is still ours alone: later its account could have put links there.
        with lock(os.path.join(directory, _LOCK)), open(os.path.join(directory, _LOG), "wb") as log:
            port = serving.port if serving else _PORT
            if serving:
                _write_host_based(directory, serving, account)
            if account:
                os.chown(directory, account.uid, account.gid)
            data = os.path.join(directory, "data")
            if len(os.path.join(directory, f".s.PGSQL.{port}").encode()) > _LONGEST_SOCKET:
                raise PostgresError(f"the path {directory} is too long for a Unix socket: choose a shorter one")
            run(
                [initdb, f"--pgdata={data}", f"--username={bootstrap_role}", "--auth=trust", "--encoding=UTF8",
                 "--locale=C", "--no-sync"],
                env={**os.environ, "LC_ALL": "C"},
                account=account,
                nice=nice,
            )  # fmt: skip
            process = spawn(
                [postgres, "-D", data, *_options(directory, preload, serving)],
                env={**os.environ, "LC_ALL": "C"},
                account=account,
                nice=nice,
                stdout=log,
                stderr=subprocess.STDOUT,
                death_signal=signal.SIGQUIT,
            )
            try:
                bootstrap = Login("", port, bootstrap_role, "", "template1", directory, "disable")
                _wait_until_up(bootstrap, process, directory)
                yield ScratchServer(directory, _own_role(bootstrap), bootstrap)
            finally:
                # Nothing of it is kept, so there is nothing to shut down in order.
                stop(process, signal.SIGQUIT, _STOP_PATIENCE)
    finally:
        discard(directory)


@contextlib.contextmanager
def private_space(parent: str, account: Account | None = None) -> t.Iterator[str]:
    """A directory below `parent` that only we can enter, for what must be clear while it is restored; gone at the end.

    It is not in the throwaway server's own directory: whoever runs that server could put links there for us to follow.

    :param account: whom the directory is for, where that is not us.
    """
    directory = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
    try:
        with lock(os.path.join(directory, _LOCK)):
            if account:
                os.chown(directory, account.uid, account.gid)
            yield directory
    finally:
        discard(directory)


def discard(directory: str) -> None:
    """Remove it under another name: were we killed half-way, its lock could be gone and the rest still there."""
    gone = directory + _GONE
    os.rename(directory, gone)
    remove_tree(gone)


def _write_host_based(directory: str, serving: Serving, account: Account | None) -> None:
    path = os.path.join(directory, _HOST_BASED)
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(serving.host_based)
    if account:
        os.chown(path, account.uid, account.gid)


def _options(directory: str, preload: t.Sequence[str], serving: Serving | None = None) -> list[str]:
    settings = {**(serving.settings if serving else _SETTINGS), "unix_socket_directories": directory}
    if serving:
        settings["hba_file"] = os.path.join(directory, _HOST_BASED)
    if preload:
        # Libraries that an extension cannot be created without; their background workers must not act on the copy.
        settings.update(shared_preload_libraries=",".join(preload), max_worker_processes="0")
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _wait_until_up(login: Login, process: subprocess.Popen[bytes], directory: str) -> None:
    deadline = time.monotonic() + _START_PATIENCE
    while True:
        try:
            connect(login, application="verify").close()
        except PostgresError as exc:
            if process.poll() is not None or time.monotonic() >= deadline:
                said = [line for line in _log_of(directory).splitlines() if "FATAL" in line or "ERROR" in line]
                told = "; ".join(said) or str(exc)
                raise PostgresError(f"the throwaway server did not start: {told}") from exc
        else:
            return
        time.sleep(0.05)


def _own_role(bootstrap: Login) -> Login:
    """A superuser of our own: the replayed globals may take the bootstrap role's right to log in, or limit it."""
    name = f"steward_verify_{secrets.token_hex(4)}"
    conn = connect(bootstrap, application="verify")
    try:
        run_query(conn, f"CREATE ROLE {quote(name)} SUPERUSER LOGIN")
    finally:
        conn.close()
    return dataclasses.replace(bootstrap, user=name)


def remove_leftovers(parent: str, account: Account | None) -> list[str]:
    """Remove the throwaway servers of runs that were killed; one that is in use holds its lock and is left alone."""
    owners = {os.geteuid(), account.uid if account else os.geteuid()}
    removed = []
    for name in sorted(os.listdir(parent)):
        directory = os.path.join(parent, name)
        if not name.startswith(PREFIX) or os.path.islink(directory) or not os.path.isdir(directory):
            continue
        found = os.stat(directory)
        if found.st_uid not in owners:
            continue
        if name.endswith(_GONE):
            remove_tree(directory)
            removed.append(directory)
            continue
        lock_file = os.path.join(directory, _LOCK)
        if not os.path.exists(lock_file):
            # Killed before it took its lock, or just about to take it.
            if time.time() - found.st_mtime > _ABANDONED_SECONDS:
                remove_tree(directory)
                removed.append(directory)
            continue
        with contextlib.suppress(Busy), lock(lock_file):
            end_orphan(os.path.join(directory, "data"))
            discard(directory)
            removed.append(directory)
    return removed


def end_orphan(data: str) -> None:
    """End the server of a killed run where the system could not; only a process living in that directory is ours."""
    try:
        with open(os.path.join(data, "postmaster.pid"), encoding="utf-8", errors="replace") as handle:
            pid = int(handle.readline())
        if os.path.realpath(os.readlink(f"/proc/{pid}/cwd")) != os.path.realpath(data):
            return
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + _STOP_PATIENCE
        while os.path.isdir(f"/proc/{pid}") and time.monotonic() < deadline:
            time.sleep(0.1)
    except (OSError, ValueError):
        return
