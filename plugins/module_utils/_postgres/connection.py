# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to PostgreSQL, and errors that name their cause.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import typing as t

try:
    import psycopg2
    import psycopg2.extensions
except ImportError:  # told by connect(), where somebody can read it
    psycopg2 = None  # type: ignore[assignment]

#: Every session of ours starts with this, so that it can be told from the application's, and found again after a crash.
APPLICATION = "steward.maintenance"

DEFAULT_PORT = 5432

#: Errors after which the session is over: the server, or an administrator, ends it.
_SEVERITIES_OF_THE_END = ("FATAL", "PANIC")


class PostgresError(Exception):
    """Something about PostgreSQL did not work; the text names the cause and never a password."""


@dataclasses.dataclass(frozen=True)
class Login:
    """Where and as whom to connect. Empty strings leave the choice to libpq (its environment, service and pass
    files)."""

    host: str = ""
    port: int = DEFAULT_PORT
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    database: str = "postgres"
    unix_socket: str = ""
    ssl_mode: str = "prefer"
    ca_cert: str = ""
    service: str = ""
    connect_timeout: int = 10

    def parameters(self, database: str | None = None) -> dict[str, str]:
        """The libpq connection keywords, without those that are left to libpq.

        A service file may name host, port and TLS mode: what still has its default here must not override it.
        """
        given = {
            "service": self.service,
            "host": self.host or self.unix_socket,
            "port": "" if self.service and self.port == DEFAULT_PORT else str(self.port),
            "user": self.user,
            "password": self.password,
            "dbname": database or self.database,
            "sslmode": "" if self.service and self.ssl_mode == "prefer" else self.ssl_mode,
            "sslrootcert": self.ca_cert,
            "connect_timeout": str(self.connect_timeout),
        }
        return {name: value for name, value in given.items() if value}

    def environment(self, database: str | None = None) -> dict[str, str]:
        """The process environment for PostgreSQL's client programs; the password is in it and nowhere else."""
        names = {
            "service": "PGSERVICE",
            "host": "PGHOST",
            "port": "PGPORT",
            "user": "PGUSER",
            "password": "PGPASSWORD",
            "dbname": "PGDATABASE",
            "sslmode": "PGSSLMODE",
            "sslrootcert": "PGSSLROOTCERT",
            "connect_timeout": "PGCONNECT_TIMEOUT",
        }
        wanted = {names[name]: value for name, value in self.parameters(database).items()}
        return {**os.environ, **wanted}

    @property
    def place(self) -> str:
        """Where this login leads, for people."""
        if self.host:
            return f"{self.host}:{self.port}"
        if self.service and not self.unix_socket:
            return f"service {self.service}"
        return f"socket {self.unix_socket or '(default directory)'} port {self.port}"


def one_line(text: object, secret: str = "") -> str:
    """A server's message as one line, without its label, its blank space and, should it ever be there, the password."""
    lines = [line.strip() for line in str(text).strip().splitlines()]
    flat = " ".join(line for line in lines if line)
    return flat.replace(secret, "********") if len(secret) > 3 else flat


def connect(login: Login, database: str | None = None, application: str = "") -> t.Any:
    """A psycopg2 connection in autocommit mode, with an empty search path.

    The empty search path is what vacuumdb and reindexdb use too (CVE-2018-1058): our statements run as a privileged
    role and must never call a function that some user put into a schema in the path. Names in SQL are qualified.

    :raises PostgresError: naming the place and the cause.
    """
    if psycopg2 is None:
        raise PostgresError(
            f"the Python library psycopg2 is missing for {sys.executable}: install the package python3-psycopg2"
            " (or psycopg2-binary from PyPI)"
        )
    name = f"{APPLICATION}:{application}" if application else APPLICATION
    try:
        parameters: t.Any = login.parameters(database)
        conn = psycopg2.connect(application_name=name, **parameters)
    except (psycopg2.Error, UnicodeError) as exc:
        raise PostgresError(_why_no_connection(exc, login, database)) from None
    conn.autocommit = True
    # Catalog queries look expensive to the planner; compiling them takes seconds and running them milliseconds.
    query(conn, "SELECT pg_catalog.set_config('search_path', '', false), pg_catalog.set_config('jit', 'off', false)")
    return conn


def connect_in_background(login: Login, database: str, application: str) -> t.Any:
    """A psycopg2 connection in asynchronous mode, not made yet: `poll` it. It is always in autocommit mode.

    libpq does not look at the connection timeout in this mode; whoever polls must.
    """
    try:
        parameters: t.Any = login.parameters(database)
        return psycopg2.connect(application_name=f"{APPLICATION}:{application}", async_=True, **parameters)
    except (psycopg2.Error, UnicodeError) as exc:
        raise PostgresError(_why_no_connection(exc, login, database)) from None


def poll(conn: t.Any) -> str:
    """What an asynchronous connection waits for, "read" or "write"; "" when it has finished what it was given.

    :raises StatementError: as the statement ended, or the making of the connection.
    """
    try:
        state = conn.poll()
    except psycopg2.Error as exc:
        raise StatementError(exc) from None
    waits_for = {psycopg2.extensions.POLL_READ: "read", psycopg2.extensions.POLL_WRITE: "write"}
    return waits_for.get(state, "")


def send(conn: t.Any, sql: str) -> t.Any:
    """Start a statement on an asynchronous connection; what is returned must be kept until it has ended.

    :raises StatementError: when the connection was lost.
    """
    try:
        cursor = conn.cursor()
        cursor.execute(sql)
    except psycopg2.Error as exc:
        raise StatementError(exc) from None
    return cursor


def cancel(conn: t.Any) -> None:
    """Cancel what another thread runs on a connection; it is no error when there is nothing to cancel any more."""
    with contextlib.suppress(psycopg2.Error):
        conn.cancel()


def _why_no_connection(exc: BaseException, login: Login, database: str | None) -> str:
    text = one_line(exc, login.password)
    where = f"cannot connect to database {database or login.database!r} at {login.place}"
    return f"{where}: {text}" if text else f"{where} ({type(exc).__name__})"


def query(conn: t.Any, sql: str, parameters: t.Any = None) -> list[t.Any]:
    """Run one statement and return its rows (an empty list where there are none).

    :raises PostgresError: with the server's message and its SQLSTATE in ``.sqlstate``.
    """
    try:
        with conn.cursor() as cursor:  # on a connection that was lost, this already fails
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []
    except psycopg2.Error as exc:
        raise StatementError(exc) from None


class StatementError(PostgresError):
    """A statement that the server refused, or during which the connection was lost."""

    def __init__(self, exc: t.Any) -> None:
        super().__init__(one_line(exc) or type(exc).__name__)
        self.sqlstate: str = exc.pgcode or ""
        lost = isinstance(exc, (psycopg2.OperationalError, psycopg2.InterfaceError)) and not exc.pgcode
        # Not by the SQLSTATE: a foreign table's server that is down gives that of a lost connection, too.
        self.connection_lost = lost or (exc.diag.severity_nonlocalized or exc.diag.severity) in _SEVERITIES_OF_THE_END


def quote(*names: str) -> str:
    """An SQL name, quoted and qualified: ``quote("public", "My table")`` is ``"public"."My table"``."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def server_version(conn: t.Any) -> int:
    """The server's version as PostgreSQL counts it: 150018 for 15.18."""
    return int(conn.server_version)


def is_standby(conn: t.Any) -> bool:
    """Whether the server only replays another one's changes, so that nothing can be maintained on it."""
    return bool(query(conn, "SELECT pg_catalog.pg_is_in_recovery()")[0][0])


def list_databases(conn: t.Any, wanted: t.Sequence[str] | None = None) -> list[str]:
    """The databases to work on: those wanted, else all that are no templates and accept connections.

    :raises PostgresError: naming a wanted database that does not exist, with those that do.
    """
    rows = query(conn, "SELECT datname, datallowconn AND NOT datistemplate FROM pg_catalog.pg_database ORDER BY 1")
    existing = [name for name, _usable in rows]
    missing = [name for name in wanted or () if name not in existing]
    if missing:
        raise PostgresError(f"database {missing[0]!r} does not exist; there are: {', '.join(existing)}")
    return list(dict.fromkeys(wanted)) if wanted else [name for name, usable in rows if usable]
