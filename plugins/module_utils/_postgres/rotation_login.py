# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a role can log in with a password: by doing it, and never taking one refusal for another.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import typing as t

from .connection import Login, PostgresError, StatementError, connect, query
from .rotation_refusal import WRONG_PASSWORD, sqlstate_of_login

_TASK = "secret"


class LetsAnyoneIn(PostgresError):
    """A login proves nothing: the server asks for no password there."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the application logs in: as the login of the administrator, but for what is said otherwise."""

    login: Login
    database: str

    def login_as(self, user: str, password: str) -> Login:
        return dataclasses.replace(self.login, user=user, password=password, database=self.database)


def opens(place: Place, user: str, password: str) -> bool:
    """Whether the role logs in with this password.

    Only one refusal means that it does not: that the password is wrong. Anything else (too many connections, no line in
    pg_hba.conf, no server) says nothing of the password.

    :raises PostgresError: when it cannot be told, with what the server said.
    """
    if not user or not password:
        return False
    told = _refusal(place, user, password)
    if not told:
        return True
    try:
        why = sqlstate_of_login(place.login_as(user, password), place.database)
    except PostgresError as exc:
        raise PostgresError(f"{told}; {exc}") from None
    if why == WRONG_PASSWORD:
        return False
    raise PostgresError(told)


def refuses_wrong(place: Place, user: str) -> None:
    """:raises LetsAnyoneIn: where a password made up just now logs in, so that a login proves nothing."""
    if not _refusal(place, user, secrets.token_hex(16)):
        raise LetsAnyoneIn(
            f"{user} logs in at {place.login.place} with any password (trust, peer or cert in pg_hba.conf): a login"
            " there proves nothing. Name the place where the application logs in with its password, in app_host"
        )


def _refusal(place: Place, user: str, password: str) -> str:
    """What the server said, or an empty text when it let the role in."""
    try:
        connect(place.login_as(user, password), application=_TASK).close()
    except PostgresError as exc:
        return str(exc)
    return ""


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a session of the application must be."""

    user: str
    password: str = dataclasses.field(repr=False)
    acts_as: str
    statements: tuple[str, ...] = ()


def try_out(place: Place, expected: Expected) -> None:
    """Log in, look at who one is, and run the application's own statements in a transaction that is taken back.

    :raises PostgresError: naming the database and what is wrong.
    """
    where = f"{expected.user} in database {place.database} at {place.login.place}"
    conn = connect(place.login_as(expected.user, expected.password), application=_TASK)
    with contextlib.closing(conn):
        (session, acting), *_rest = query(conn, "SELECT session_user::text, current_user::text")
        if (session, acting) != (expected.user, expected.acts_as):
            raise PostgresError(f"{where} acts as {acting} (session of {session}) instead of {expected.acts_as}")
        if not expected.statements:
            return
        # The names in the application's statements are found by its own search path.
        query(conn, "RESET search_path")
        query(conn, "BEGIN")
        for number, statement in enumerate(expected.statements, 1):
            try:
                query(conn, statement)
            except StatementError as exc:
                raise PostgresError(f"{where} may not do what test_statements entry {number} does: {exc}") from None
        query(conn, "ROLLBACK")


@dataclasses.dataclass(frozen=True)
class Uses:
    """Sessions of one application at one address."""

    user: str
    application: str
    address: str
    sessions: int
    oldest: str

    def __str__(self) -> str:
        from_where = f"{self.application or 'an application without a name'} from {self.address or 'a socket'}"
        return f"{self.sessions} session(s) of {self.user} by {from_where}, the oldest since {self.oldest}"


_SESSIONS = """
SELECT usename::text, application_name, coalesce(pg_catalog.host(client_addr), ''), pg_catalog.count(*)::int,
       pg_catalog.to_char(pg_catalog.min(backend_start) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM pg_catalog.pg_stat_activity
WHERE backend_type = 'client backend' AND usename = %(user)s AND application_name NOT LIKE 'steward.maintenance%%'
  AND (%(before)s::timestamptz IS NULL OR backend_start < %(before)s::timestamptz)
  AND (%(after)s::timestamptz IS NULL OR backend_start > %(after)s::timestamptz)
  AND (%(application)s = '' OR application_name = %(application)s)
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3
"""


def sessions_of(
    conn: t.Any, user: str, before: str | None = None, after: str | None = None, application: str = ""
) -> list[Uses]:
    """The sessions of a role, those of ours left out: of all ages, or begun before or after a moment of the server."""
    parameters = {"user": user, "before": before, "after": after, "application": application}
    return [Uses(*row) for row in query(conn, _SESSIONS, parameters)]


def end_sessions(conn: t.Any, user: str, before: str | None = None) -> int:
    """End the sessions of a role, and say how many there were."""
    rows = query(
        conn,
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
        " WHERE backend_type = 'client backend' AND usename = %(user)s AND pid <> pg_catalog.pg_backend_pid()"
        " AND (%(before)s::timestamptz IS NULL OR backend_start < %(before)s::timestamptz)",
        {"user": user, "before": before},
    )
    return sum(bool(row[0]) for row in rows)
