# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fault tests of the maintenance modules share: work that is needed, work that takes long, who is at it.

Slow work is made by settings of the database, so that it needs no large tables, and so that the very next session can
be quick again: VACUUM by its cost delay, the building of an index by a function that takes a nap for each row.
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
import typing as t

import psycopg2
import pytest

from .backups import small_disk
from .modules import finish_module, run_module, start_module
from .postgres import SHOP, PrivatePostgres, settle, wait_for

VACUUM, REINDEX, REVIEW = "postgres_vacuum", "postgres_reindex", "postgres_review_info"
_QUICK = {"lock_timeout": "1s", "lock_wait": "1s"}

Answer = dict[str, t.Any]


def arguments(server: PrivatePostgres, module: str, **more: t.Any) -> dict[str, t.Any]:
    """The database shop as superuser, patient for a second only."""
    return {**server.login_arguments, "databases": [SHOP], **({} if module == REVIEW else _QUICK), **more}


def maintain(module: str, server: PrivatePostgres, check: bool = False, **more: t.Any) -> Answer:
    return run_module(module, arguments(server, module, **more), check)


def begin(module: str, server: PrivatePostgres, **more: t.Any) -> subprocess.Popen[bytes]:
    """Start a module; `end` gives its answer."""
    return start_module(module, arguments(server, module, **more))


def end(process: subprocess.Popen[bytes], timeout: float = 90) -> Answer:
    return finish_module(process, timeout)


def subjects(entries: t.Iterable[Answer]) -> set[str]:
    return {entry["subject"] for entry in entries}


def actions(answer: Answer) -> list[str]:
    """What the findings tell people to do."""
    return [finding["action"] for finding in answer["findings"]]


# -- what is in the way ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def transaction(server: PrivatePostgres, *statements: str, database: str = SHOP) -> t.Iterator[int]:
    """A transaction that stays open, as a forgotten session's; gives its pid."""
    conn = server.connect(database)
    try:
        conn.autocommit = False
        cursor = conn.cursor()
        for statement in statements:
            cursor.execute(statement)
        yield conn.info.backend_pid
    finally:
        conn.close()


#: The first statements of a transaction that sees the database as it was when it began.
OLD_SNAPSHOT = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT txid_current_snapshot()")


@contextlib.contextmanager
def tablespace(server: PrivatePostgres, size: str) -> t.Iterator[pathlib.Path]:
    """A small disk of its own for the tablespace `small`; the database shop goes with it."""
    disk = server.directory / "disk"
    with small_disk(disk, size):
        if server.account:
            shutil.chown(disk, server.account)
        server.run_sql(f"CREATE TABLESPACE small LOCATION '{disk}'")
        try:
            yield disk
        finally:
            server.run_sql(f"DROP DATABASE {SHOP} WITH (FORCE)")
            server.run_sql("DROP TABLESPACE small")


# -- work that is needed ---------------------------------------------------------------------------------------


def fill(server: PrivatePostgres, table: str = "busy", rows: int = 5000) -> None:
    server.run_sql(f"CREATE TABLE {table} (id int PRIMARY KEY)", SHOP)
    server.run_sql(f"INSERT INTO {table} SELECT generate_series(1, {rows})", SHOP)


def neglect(server: PrivatePostgres, *tables: str, rows: int = 5000) -> None:
    """Tables (busy) of which four fifths are dead rows."""
    for table in tables or ("busy",):
        fill(server, table, rows)
        server.run_sql(f"DELETE FROM {table} WHERE id > {rows // 5}", SHOP)
    for table in tables or ("busy",):
        settle(server, table, rows + rows * 4 // 5)


def broken_index(server: PrivatePostgres) -> None:
    """The invalid index of a CREATE INDEX CONCURRENTLY that failed; a rebuild makes it valid."""
    server.run_sql("CREATE TABLE doubled (id int); INSERT INTO doubled VALUES (1), (1)", SHOP)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        server.run_sql("CREATE UNIQUE INDEX CONCURRENTLY broken ON doubled (id)", SHOP)
    server.run_sql("DELETE FROM doubled WHERE ctid = '(0,1)'", SHOP)


def spoil(server: PrivatePostgres, *indexes: str) -> None:
    """Make indexes invalid, as far as the catalog goes."""
    for index in indexes:
        server.run_sql(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", SHOP, parameters=(index,)
        )


def invalid(server: PrivatePostgres, database: str = SHOP) -> list[str]:
    rows = server.run_sql("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1", database)
    return [row[0] for row in rows]


def leftovers(server: PrivatePostgres, database: str = SHOP) -> list[str]:
    return [row[0] for row in server.run_sql("SELECT relname FROM pg_class WHERE relname ~ '_cc(new|old)'", database)]


def assert_sound(server: PrivatePostgres, *indexes: str) -> None:
    """Nothing invalid is left, and each index has every row of its table, by amcheck where it is to be had."""
    assert invalid(server) == []
    assert leftovers(server) == []
    if not server.has_extension("amcheck"):
        return
    server.run_sql("CREATE EXTENSION IF NOT EXISTS amcheck", SHOP)
    for index in indexes:
        server.run_sql("SELECT bt_index_check(%s::regclass, true)", SHOP, parameters=(index,))


# -- work that takes long --------------------------------------------------------------------------------------


def slow_index(server: PrivatePostgres, table: str = "slow", more: str = "") -> str:
    """A table with an invalid index whose building takes long as soon as `naps` says so; gives the index's name."""
    server.run_sql(
        """
CREATE OR REPLACE FUNCTION slowly(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  PERFORM pg_catalog.pg_sleep(coalesce(pg_catalog.current_setting('test.nap', true), '0')::float8);
  RETURN i;
END $$;
"""
        f"CREATE TABLE {table} (id int PRIMARY KEY); INSERT INTO {table} SELECT generate_series(1, 100);"
        f"CREATE INDEX {table}_one ON {table} (slowly(id)) {more}",
        SHOP,
    )
    spoil(server, f"{table}_one")
    return f"{table}_one"


def naps(server: PrivatePostgres, seconds: float) -> None:
    """How long new sessions nap for each of the 100 rows of a slow index."""
    server.run_sql(f"ALTER DATABASE {SHOP} SET test.nap = '{seconds}'")


def slow_vacuum(server: PrivatePostgres, slow: bool = True, delay: str = "30ms") -> None:
    """Let VACUUM in new sessions take some six seconds for a table that `neglect` made, or no longer than usual."""
    for name, value in (("delay", delay), ("limit", "1"), ("page_hit", "2"), ("page_miss", "2"), ("page_dirty", "2")):
        change = f"SET vacuum_cost_{name} = '{value}'" if slow else f"RESET vacuum_cost_{name}"
        server.run_sql(f"ALTER DATABASE {SHOP} {change}")


# -- who is at it ----------------------------------------------------------------------------------------------

_OURS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'steward.maintenance:%%' AND pid <> pg_backend_pid()"
)


def at_work(server: PrivatePostgres, word: str, most: int = 1) -> list[int]:
    """The pids of so many of our sessions in whose statement VACUUM, or REINDEX, is under way."""
    pids = wait_for(lambda: _working(server, word, most), f"{most} {word} under way")
    return [int(row[0]) for row in pids]


def _working(server: PrivatePostgres, word: str, most: int) -> list[t.Any]:
    pids = server.run_sql(f"{_OURS} AND state = 'active' AND query LIKE %s", parameters=(f"{word}%",))
    built = len(leftovers(server)) if word == "REINDEX" else most  # before that, a cancelled one leaves nothing
    return pids if len(pids) >= most and built >= most else []


def sessions(server: PrivatePostgres) -> list[int]:
    """The pids of all our sessions, at work or not; the one that asks is called `test`."""
    rows = server.run_sql(f"{_OURS} AND application_name <> 'steward.maintenance:test'", parameters=())
    return [int(row[0]) for row in rows]


def issued(server: PrivatePostgres, word: str) -> list[str]:
    """The statements of that kind for tables and indexes that the server was given since it was made."""
    marker = f"statement: {word}"
    statements = [line.split(marker, 1)[1].strip() for line in server.log().splitlines() if marker in line]
    return [statement for statement in statements if "ONLY_DATABASE_STATS" not in statement]


def ended_by_force(server: PrivatePostgres) -> int:
    """How many sessions were terminated by somebody."""
    return server.log().count("terminating connection due to administrator command")
