# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One database dumped, its rows counted in the very snapshot that is dumped.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
import typing as t
import urllib.parse

from . import contents
from .binaries import find_binary
from .connection import Login, PostgresError, connect, is_standby, query
from .durable import size_of_tree
from .processes import client_environment, connection_string, run, spawn, stop, wait

COMPRESSIONS = ("auto", "zstd", "lz4", "gzip", "none")

# Level 1 takes half the time of gzip's default and gives files a few hundredths larger.
_FIRST_MAJOR_WITH_METHODS = 16


class DatabaseGone(PostgresError):
    """A database that somebody dropped while it was being looked at."""


@dataclasses.dataclass(frozen=True)
class Tools:
    """The programs of the server's own major version, and how they are called."""

    pg_dump: str
    pg_dumpall: str
    pg_restore: str
    compression: str
    jobs: int
    lock_timeout: int

    @property
    def compress_argument(self) -> str:
        """For pg_dump before 16, which knows levels only, and after."""
        return {"gzip": "--compress=1", "none": "--compress=0"}.get(self.compression, f"--compress={self.compression}")


def find_tools(major: int, bin_dir: str, compression: str, jobs: int, lock_timeout: int) -> Tools:
    """:raises PostgresError: naming the program or the compression that is missing."""
    pg_dump = find_binary("pg_dump", major, bin_dir)
    return Tools(
        pg_dump,
        find_binary("pg_dumpall", major, bin_dir),
        find_binary("pg_restore", major, bin_dir),
        choose_compression(pg_dump, major, compression),
        jobs,
        lock_timeout,
    )


def choose_compression(pg_dump: str, major: int, wanted: str) -> str:
    """The compression to use: for `auto` zstd where this very program has it, else gzip.

    :raises PostgresError: when the one that is asked for is not built in.
    """
    if wanted in ("gzip", "none"):
        return wanted
    method = "zstd" if wanted == "auto" else wanted
    lacks = f"{pg_dump} is older than version 16" if major < _FIRST_MAJOR_WITH_METHODS else _probe(pg_dump, method)
    if lacks and wanted != "auto":
        raise PostgresError(f"compression {wanted} is not possible: {lacks}; use auto, gzip or none")
    return "gzip" if lacks else method


def _probe(pg_dump: str, method: str) -> str:
    # It looks at its options before it connects; where it does connect, there is nothing.
    argv = [pg_dump, f"--compress={method}", "--format=custom", "--schema-only", "--dbname=host=/nonexistent"]
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
        timeout=30,
    )
    said = done.stderr.decode("utf-8", "replace")
    return said.strip().splitlines()[0] if "compression" in said else ""


def directory_name(database: str) -> str:
    """A database's name as the name of a directory, whatever characters it has."""
    return urllib.parse.quote(database, safe="").replace(".", "%2E")


def dump_database(login: Login, database: str, target: str, tools: Tools) -> dict[str, t.Any]:
    """Dump one database below `target` and return its entry of the manifest.

    :raises DatabaseGone: when it was dropped meanwhile.
    :raises PostgresError: naming the cause of any other failure.
    """
    began = time.monotonic()
    try:
        entry = _dump(login, database, os.path.join(target, directory_name(database)), tools)
    except PostgresError as exc:
        if not _exists(login, database):
            raise DatabaseGone(f"database {database!r} was dropped while it was being dumped") from exc
        raise
    entry["duration_seconds"] = round(time.monotonic() - began, 3)
    return entry


def _dump(login: Login, database: str, directory: str, tools: Tools) -> dict[str, t.Any]:
    conn = connect(login, database, "backup")
    try:
        with contents.steady_view(conn, tools.lock_timeout) as (snapshot, position):
            entry = contents.properties(conn)
            wanted = contents.tables(conn, with_unlogged=not is_standby(conn))
            process = spawn(
                [
                    tools.pg_dump, "--format=directory", f"--file={directory}", f"--jobs={tools.jobs}",
                    f"--snapshot={snapshot}", f"--lock-wait-timeout={tools.lock_timeout}s", tools.compress_argument,
                    "--no-password", f"--dbname={connection_string(login, database)}",
                ],
                client_environment(login),
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                counted = contents.count_rows(conn, wanted, lambda: _still_well(process))
                entry.update(extensions=contents.extensions(conn), large_objects=contents.large_objects(conn))
                wait(process)
            finally:
                stop(process)
    finally:
        conn.close()
    entry.update(
        name=database,
        directory=os.path.basename(directory),
        lsn=position,
        stored_tables=[{"schema": schema, "name": name, "rows": rows} for schema, name, rows in counted],
        dump_bytes=size_of_tree(directory),
        entries=_check_listing(directory, len(wanted), tools),
    )
    return entry


def _still_well(process: subprocess.Popen[bytes]) -> None:
    if process.poll():
        wait(process)


def _check_listing(directory: str, tables: int, tools: Tools) -> int:
    """That the dump's own list can be read and names as many tables as were counted. It proves no contents."""
    lines = run([tools.pg_restore, "--list", directory]).splitlines()
    entries = [line for line in lines if line and not line.startswith(";")]
    with_data = sum(1 for line in entries if " TABLE DATA " in line)
    if with_data < tables:
        raise PostgresError(f"the dump in {directory} lists the data of {with_data} tables, but {tables} were counted")
    return len(entries)


def _exists(login: Login, database: str) -> bool:
    conn = connect(login, application="backup")
    try:
        return bool(query(conn, "SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", (database,)))
    finally:
        conn.close()
