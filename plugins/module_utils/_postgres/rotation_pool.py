# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer before the database: told over its console to read its users again, and logged in through.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Its sessions on the server are the application's, one after the other, so nothing of ours may be set in them: a login
here sends one SELECT and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from .connection import APPLICATION, Login, PostgresError, one_line
from .rotation import HasSecret

try:
    import psycopg2
except ImportError:  # told by _connected(), where somebody can read it
    psycopg2 = None  # type: ignore[assignment]

#: The name under which PgBouncer offers its console.
_CONSOLE = "pgbouncer"


@dataclasses.dataclass(frozen=True)
class PgBouncer:
    """One PgBouncer.

    :param console: the login to its console, as one of its admin_users.
    :param database: the name that it gives to a database of the application.
    """

    console: Login
    database: str

    errors: t.ClassVar[tuple[type[Exception], ...]] = (PostgresError,)

    @property
    def name(self) -> str:
        return self.console.place

    def reload(self) -> None:
        self._order("RELOAD")

    def renew(self) -> None:
        """Sessions on the server that are in use end when they are given back, those at rest now."""
        self._order("RECONNECT")

    def refusal(self, secret: HasSecret) -> str:
        login = dataclasses.replace(self.console, user=secret.username, password=secret.password)
        try:
            with contextlib.closing(_connected(login, self.database)) as conn:
                (user,), *_rest = _asked(conn, "SELECT session_user::text", secret.password)
        except PostgresError as exc:
            return str(exc)
        return "" if user == secret.username else f"it logs in to the server as {user} instead of {secret.username}"

    def _order(self, words: str) -> None:
        with contextlib.closing(_connected(self.console, _CONSOLE)) as conn:
            _asked(conn, words, self.console.password)


def _connected(login: Login, database: str) -> t.Any:
    if psycopg2 is None:
        raise PostgresError("the Python library psycopg2 is missing: install the package python3-psycopg2")
    parameters: t.Any = login.parameters(database)
    try:
        conn = psycopg2.connect(application_name=f"{APPLICATION}:secret", **parameters)
    except (psycopg2.Error, UnicodeError) as exc:
        raise PostgresError(f"cannot log in: {one_line(exc, login.password)}") from None
    conn.autocommit = True  # the console knows no transactions
    return conn


def _asked(conn: t.Any, sql: str, secret: str) -> list[t.Any]:
    try:
        with conn.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []
    except psycopg2.Error as exc:
        raise PostgresError(f"{sql}: {one_line(exc, secret)}") from None
