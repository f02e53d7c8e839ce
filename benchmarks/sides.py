# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sides of the comparison: our modules and PostgreSQL's programs, and what the catalog says of their work."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import time
import typing as t

from bars import NotWorked, maintenance_in, measured_in
from support.modules import run_with_start
from support.postgres import SHOP, PrivatePostgres

_LONGEST = 1800  # seconds that one measured program may take
_STATISTICS_PATIENCE = 5  # up to 14 they travel through a collector

Answer = dict[str, t.Any]


def module(server: PrivatePostgres, name: str, **arguments: t.Any) -> tuple[float, Answer]:
    """Seconds of one of our modules, from the start of its Python to its end, and its answer.

    A module that tells what it could not do has worked, too: whether that is enough, the caller says.
    """
    login = {"login_unix_socket": server.socket_dir, "login_port": server.port, "login_user": server.superuser}
    begin = time.monotonic()
    try:
        answer = run_with_start(name, {**login, "databases": [SHOP], **arguments}, timeout=_LONGEST)
    except (AssertionError, subprocess.TimeoutExpired) as exc:
        raise NotWorked(f"{name} gave no answer: {exc}"[-3000:]) from exc
    seconds = time.monotonic() - begin
    if "verdict" not in answer or (answer["failed"] and not answer["not_done"]):
        raise NotWorked(f"{name} did not work: {answer.get('msg')}"[:3000])
    return seconds, answer


def program(server: PrivatePostgres, name: str, *arguments: str, **environment: str) -> float:
    """Seconds of one of PostgreSQL's own programs in the database of the benchmark."""
    login = ["--host", server.socket_dir, "--port", str(server.port), "--username", server.superuser]
    command = [os.path.join(server.bin_dir, name), *login, "--dbname", SHOP, *arguments]
    return run(command, environment)


def run(command: t.Sequence[str], environment: t.Mapping[str, str], cwd: pathlib.Path | None = None) -> float:
    begin = time.monotonic()
    words = " ".join(command)[:300]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST,
        )
    except subprocess.TimeoutExpired:
        raise NotWorked(f"{words} did not end within {_LONGEST} s") from None
    seconds = time.monotonic() - begin
    if done.returncode:
        raise NotWorked(f"{words} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return seconds


def for_tables(tables: t.Sequence[str]) -> list[str]:
    """The option of vacuumdb and reindexdb that names a table, once for each."""
    return [word for table in tables for word in ("--table", table)]


def vacuum_counts(server: PrivatePostgres) -> dict[str, tuple[int, int]]:
    """How often each table was vacuumed and analyzed."""
    rows = server.run_sql(
        "SELECT schemaname || '.' || relname, vacuum_count, analyze_count FROM pg_stat_user_tables", SHOP
    )
    return {name: (vacuumed, analyzed) for name, vacuumed, analyzed in rows}


# -- proofs ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def vacuums(server: PrivatePostgres, tables: t.Collection[str]) -> t.Iterator[None]:
    """What runs inside must vacuum and analyze these tables, and none of the others, once each."""
    wanted = {
        name: (vacuumed + (name in tables), analyzed + (name in tables))
        for name, (vacuumed, analyzed) in vacuum_counts(server).items()
    }
    yield
    deadline = time.monotonic() + _STATISTICS_PATIENCE
    while (found := vacuum_counts(server)) != wanted:
        if time.monotonic() > deadline:
            wrong = [name for name, counts in wanted.items() if found.get(name) != counts]
            raise NotWorked(f"{len(tables)} tables were due; {len(wrong)} were not treated so: {wrong[:3]}")
        time.sleep(0.1)


@contextlib.contextmanager
def rebuilds(server: PrivatePostgres, tables: t.Sequence[str]) -> t.Iterator[None]:
    """What runs inside must rebuild every index of these tables, no other, and leave none invalid."""
    before = index_files(server)
    yield
    after = index_files(server)
    rebuilt = {key for key, file in after.items() if file != before.get(key)}
    wanted = {key for key in before if key[0] in tables}
    if rebuilt != wanted or set(after) != set(before):
        raise NotWorked(f"{len(rebuilt)} indexes rebuilt, not the {len(wanted)} wanted")
    invalid = server.run_sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid", SHOP)[0][0]
    if invalid:
        raise NotWorked(f"{invalid} invalid indexes are left")


def index_files(server: PrivatePostgres) -> dict[tuple[str, str], int]:
    """The file of each index, by its table and its name."""
    rows = server.run_sql(
        "SELECT i.schemaname || '.' || i.relname, i.indexrelname, c.relfilenode"
        " FROM pg_stat_user_indexes i JOIN pg_class c ON c.oid = i.indexrelid",
        SHOP,
    )
    return {(table, index): file for table, index, file in rows}


@contextlib.contextmanager
def measures(server: PrivatePostgres, least: int) -> t.Iterator[None]:
    """What runs inside must look into so many indexes with pgstatindex; the server's log decides."""
    already = len(server.log())
    yield
    measured = measured_in(server.log()[already:])
    if measured < least:
        raise NotWorked(f"{measured} indexes were measured, of {least} that are large enough")


@contextlib.contextmanager
def leaves_alone(server: PrivatePostgres) -> t.Iterator[None]:
    """What runs inside must not send a single statement that maintains something; the server's log decides."""
    already = len(server.log())
    yield
    sent = maintenance_in(server.log()[already:])
    if sent:
        raise NotWorked(f"nothing was due, and yet {len(sent)} statements were sent, the first: {sent[0]}")
