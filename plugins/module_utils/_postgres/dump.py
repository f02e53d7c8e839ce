# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One database dumped, its rows counted in the very snapshot that is dumped.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t
import urllib.parse

from . import contents
from .binaries import find_binary
from .compression import Compression, choose_compression
from .connection import Login, PostgresError, connect, is_standby, query
from .dump_writing import Writing, archive_name, write_archive, write_directory
from .durable import size_of_tree
from .encryption import Seal
from .halt import Halt
from .processes import client_environment, connection_string, run


class DatabaseGone(PostgresError):
    """A database that somebody dropped while it was being looked at."""


@dataclasses.dataclass(frozen=True)
class Tools:
    """The programs of the server's own major version, and how they are called.

    :param jobs: connections that dump at the same time, over all databases.
    :param version: what pg_dump says of itself, such as 15.18.
    """

    pg_dump: str
    pg_dumpall: str
    pg_restore: str
    compression: Compression
    jobs: int
    lock_timeout: int
    seal: Seal | None = None
    checksums: bool = False
    version: str = ""


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
        version=_version_of(pg_dump),
    )


def _version_of(program: str) -> str:
    """Of "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" the number, "18beta1" as well."""
    words = run([program, "--version"]).partition("(PostgreSQL)")[2].split()
    return words[0] if words else ""


def directory_name(database: str) -> str:
    """A database's name as the name of a directory, whatever characters it has."""
    return urllib.parse.quote(database, safe="").replace(".", "%2E")


def dump_database(
    login: Login, database: str, target: str, tools: Tools, jobs: int, halt: Halt, primary: Login | None = None
) -> dict[str, t.Any]:
    """Dump one database below `target` and return its entry of the manifest.

    :param jobs: connections that dump it.
    :param primary: who knows whether a database is there, where `login` is a standby's.
    :raises DatabaseGone: when it was dropped meanwhile.
    :raises Halted: when another database's failure ended the whole run.
    :raises PostgresError: naming the cause of any other failure.
    """
    began = time.monotonic()
    try:
        entry = _dump(login, database, os.path.join(target, directory_name(database)), tools, jobs, halt)
    except PostgresError as exc:
        halt.check()
        if not _exists(primary or login, database):
            raise DatabaseGone(f"database {database!r} was dropped while it was being dumped") from exc
        raise
    entry["duration_seconds"] = round(time.monotonic() - began, 3)
    return entry


def _dump(login: Login, database: str, directory: str, tools: Tools, jobs: int, halt: Halt) -> dict[str, t.Any]:
    conn = connect(login, database, "backup")
    try:
        with halt.cancels(conn), contents.steady_view(conn, tools.lock_timeout) as (snapshot, position):
            entry = contents.properties(conn)
            wanted = contents.tables(conn, with_unlogged=not is_standby(conn))
            writing = _start(login, database, directory, tools, jobs, snapshot)
            try:

                def look() -> None:
                    halt.check()
                    writing.look()

                counted = contents.measure(conn, wanted, look, tools.checksums)
                entry.update(
                    extensions=contents.extensions(conn),
                    large_objects=contents.large_objects(conn),
                    not_valid=contents.not_valid_constraints(conn),
                    tablespaces=contents.tablespaces(conn),
                )
                if tools.checksums:
                    entry["large_objects_checksum"] = contents.large_objects_checksum(conn)
                writing.finish(halt.check)
            finally:
                writing.stop()
    finally:
        conn.close()
    entry.update(
        name=database,
        directory=os.path.basename(directory),
        lsn=position,
        stored_tables=[table.to_dict() for table in counted],
        dump_bytes=size_of_tree(directory),
        jobs=jobs,
    )
    if tools.seal:
        entry["archive"] = archive_name(tools.compression, tools.seal)
    else:
        entry["entries"] = _check_listing(directory, len(wanted), tools)
    return entry


def _start(login: Login, database: str, directory: str, tools: Tools, jobs: int, snapshot: str) -> Writing:
    os.mkdir(directory, 0o700)
    argv = [
        tools.pg_dump, f"--snapshot={snapshot}", f"--lock-wait-timeout={tools.lock_timeout}s",
        tools.compression.argument, "--no-password", f"--dbname={connection_string(login, database)}",
    ]  # fmt: skip
    environment = client_environment(login)
    if tools.seal:
        return write_archive(argv, environment, directory, tools.compression, tools.seal, tools.jobs)
    return write_directory(argv, environment, directory, tools.compression, jobs)


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
