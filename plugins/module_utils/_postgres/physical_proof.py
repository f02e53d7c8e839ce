# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked at in a restored cluster: every database is opened, every page of every table read, indexes checked.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from . import contents
from .connection import Login, PostgresError, StatementError, connect, query, quote, server_version
from .proofs import Compared, Refuted, check_indexes

#: Something in the files is not what it must be.
_CORRUPT = ("XX001", "XX002", "58030", "58P01")
_THIS_HOSTS_FAULT = ("could not access file", "could not load library", "locale", "must be loaded")
_PG14 = 140000

_DATABASES = """
SELECT datname, datallowconn FROM pg_database WHERE datname <> 'template0' AND datconnlimit <> -2 ORDER BY 1"""

_HEAPS = """
SELECT n.nspname, c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_am a ON a.oid = c.relam
WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND a.amname = 'heap' AND n.nspname !~ '^pg_temp'
ORDER BY 1, 2"""


def prove_cluster(login: Login, compared: Compared) -> None:
    """Look at every database of a throwaway copy.

    :raises Refuted: naming what is not sound.
    :raises PostgresError: when something could not be looked at.
    """
    conn = connect(login, application="verify")
    try:
        databases = query(conn, _DATABASES)
        for name, connectable in databases:
            if not connectable:
                query(conn, f"ALTER DATABASE {quote(name)} ALLOW_CONNECTIONS true")
    finally:
        conn.close()
    for name, _connectable in databases:
        compared.of += 2
        try:
            _prove_database(login, name, compared)
        except StatementError as exc:
            told = f"database {name!r} of the restored copy: {exc}"
            if exc.sqlstate in _CORRUPT and not any(words in str(exc) for words in _THIS_HOSTS_FAULT):
                raise Refuted(told) from exc
            raise PostgresError(told) from exc


def _prove_database(login: Login, name: str, compared: Compared) -> None:
    conn = connect(login, name, "verify")
    try:
        query(conn, "SET default_transaction_read_only = off")
        contents.without_limits(conn)
        # A prepared transaction comes back with its locks.
        query(conn, "SET lock_timeout = '60s'")
        # An index that is read instead of the table would prove the index.
        query(conn, "SET enable_indexonlyscan = off")
        query(conn, "BEGIN")
        tables = contents.measure(conn, contents.tables(conn, with_unlogged=False))
        query(conn, "COMMIT")
        compared.databases += 1
        compared.tables += len(tables)
        compared.rows += sum(table.rows for table in tables)
        compared.looked += 1
        if check_indexes(conn, name, compared):
            if server_version(conn) >= _PG14:
                _check_heaps(conn, name)
            compared.looked += 1
    finally:
        conn.close()


def _check_heaps(conn: t.Any, database: str) -> None:
    """amcheck over tables and their TOAST, from 14 on."""
    (schema,) = query(
        conn, "SELECT nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'amcheck'"
    )[0]
    query(conn, "ALTER EXTENSION amcheck UPDATE")
    for owner, table, oid in query(conn, _HEAPS):
        sql = f"SELECT blkno, msg FROM {quote(schema)}.verify_heapam(%s::oid::regclass, true, true) LIMIT 1"  # noqa: S608 - quoted
        wrong = query(conn, sql, (oid,))
        if wrong:
            block, message = wrong[0]
            raise Refuted(f"database {database!r}: table {quote(owner, table)} is not sound at page {block}: {message}")
