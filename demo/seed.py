# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the databases, then neglect them the way a busy year would."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import secrets
import time
import typing as t

import psycopg2
from psycopg2 import sql

from .layout import Layout, write_private
from .postgres import STATEMENTS, Server, has_statements

SQL = pathlib.Path(__file__).resolve().parent / "sql"
DATABASES = ("shop", "helpdesk")
APPLICATION_ROLE = "shop_app"
INVALID_INDEX = "customers.accounts_email_unique"
BLOATED_INDEX = "customers.sessions_token_idx"
NEGLECTED_TABLE = "sales.carts"


@dataclasses.dataclass(frozen=True)
class Condition:
    """What the maintenance should improve, measured in the database itself."""

    dead_rows: int
    invalid_indexes: int
    bloated_index_bytes: int
    never_analyzed: int


def seed(server: Server, layout: Layout) -> None:
    """Create both databases with their rows, and the application's account with a password of its own."""
    password = secrets.token_urlsafe(24)
    write_private(layout.state / "application-password", password + "\n")
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        role = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(APPLICATION_ROLE), sql.Literal(password)
        )
        cursor.execute(role)
        for database in DATABASES:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    for database, scripts in (("shop", ("shop_tables", "shop_rows", "shop_keys")), ("helpdesk", ("helpdesk",))):
        with contextlib.closing(server.connect(database)) as connection, connection.cursor() as cursor:
            if has_statements(server.bin_dir):
                cursor.execute(f"CREATE EXTENSION {STATEMENTS}")
            for script in scripts:
                cursor.execute((SQL / f"{script}.sql").read_text(encoding="utf-8"))


def neglect(server: Server) -> None:
    """Bring the shop into disorder; it may be called again after a maintenance."""
    for step in (
        _fill_and_empty_an_index,
        _leave_dead_rows,
        _leave_an_invalid_index,
        _run_queries,
        _vacuum_the_emptied_table,
    ):
        # A connection each, and the VACUUM long after its DELETE: in the same connection it would be counted before it,
        # and dead rows that are long gone would still be reported.
        with contextlib.closing(server.connect("shop")) as connection, connection.cursor() as cursor:
            step(cursor)


def _leave_dead_rows(cursor: t.Any) -> None:
    # The indexed column changes, so no update can be a heap-only one that cleans up after itself.
    for _round in range(3):
        cursor.execute("UPDATE sales.carts SET touched_at = touched_at + interval '1 day', state = 'abandoned'")


def _fill_and_empty_an_index(cursor: t.Any) -> None:
    """Many sessions come in random order of their token, nine in ten expire: the index keeps its size."""
    cursor.execute(
        "INSERT INTO customers.sessions (account_id, token, seen_at) "
        "SELECT 1 + n % 20000, md5(n::text) || md5((n * 7)::text) || clock_timestamp(), now()"
        " FROM generate_series(1, 100000) n"
    )
    cursor.execute("DELETE FROM customers.sessions WHERE id % 10 <> 0")


def _leave_an_invalid_index(cursor: t.Any) -> None:
    """A unique index was wanted, duplicates were in the way; they were cleaned up, the dead index stayed."""
    cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INVALID_INDEX}")
    change = "UPDATE customers.accounts SET email = 'customer' || {} || '@mail.example' WHERE id BETWEEN 5001 AND 5010"
    cursor.execute(change.format("id % 1000"))
    with contextlib.suppress(psycopg2.errors.UniqueViolation):
        cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY accounts_email_unique ON customers.accounts (lower(email))")
    cursor.execute(change.format("id"))


def _run_queries(cursor: t.Any) -> None:
    """Something for pg_stat_statements to remember, among it a query that deserves an index."""
    for number in range(1, 40):
        cursor.execute("SELECT * FROM catalog.products WHERE sku = %s", (f"SKU-{number:06}",))
        cursor.execute("SELECT count(*) FROM audit.logins WHERE account_id = %s", (number,))
    for _round in range(3):
        cursor.execute(
            "SELECT p.name, sum(l.quantity * l.cents) FROM sales.order_lines l"
            " JOIN catalog.products p ON p.id = l.product_id GROUP BY 1 ORDER BY 2 DESC LIMIT 10"
        )
        cursor.execute(
            "SELECT path, percentile_cont(0.95) WITHIN GROUP (ORDER BY milliseconds) FROM marketing.page_views"
            " GROUP BY 1 ORDER BY 2 DESC LIMIT 10"
        )
        cursor.execute("SELECT month, orders, cents FROM sales.turnover")


def _vacuum_the_emptied_table(cursor: t.Any) -> None:
    """Dead rows gone, pages left nearly empty, statistics right: this is index bloat and nothing else."""
    cursor.execute("VACUUM (ANALYZE, INDEX_CLEANUP ON) customers.sessions")


def condition(server: Server) -> Condition:
    """Measure; counters reach the statistics a moment after the work, so wait that moment first."""
    time.sleep(1)
    with contextlib.closing(server.connect("shop")) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT sum(n_dead_tup)::bigint FROM pg_stat_user_tables),"
            " (SELECT count(*) FROM pg_index WHERE NOT indisvalid),"
            " pg_relation_size(%s::regclass),"
            " (SELECT count(*) FROM pg_stat_user_tables WHERE last_analyze IS NULL AND last_autoanalyze IS NULL)",
            (BLOATED_INDEX,),
        )
        return Condition(*cursor.fetchone())


def size(server: Server) -> list[tuple[str, int, int, int]]:
    """Each database: name, tables, rows, bytes."""
    measured = []
    for database in DATABASES:
        with contextlib.closing(server.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*), sum(n_live_tup)::bigint, pg_database_size(current_database())"
                " FROM pg_stat_user_tables"
            )
            measured.append((database, *cursor.fetchone()))
    return measured
