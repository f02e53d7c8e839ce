# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies above the databases: roles, their passwords and memberships, tablespaces. Saved, and replayed elsewhere.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from .connection import Login, PostgresError, StatementError, query, quote
from .contents import roles
from .processes import ProgramFailed, client_environment, connection_string, output_of

_ENDING = "-- PostgreSQL database cluster dump complete"
_DUPLICATE_OBJECT = "42710"

# One token of SQL in which a semicolon does not end a statement, or one other character.
_TOKEN = re.compile(
    r"""
    [eE]'(?:[^'\\]|\\.|'')*'   # a string with escapes
  | '(?:[^']|'')*'              # a string
  | "(?:[^"]|"")*"              # a name
  | --[^\n]*                    # a comment
  | [^;]                        # anything else
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_OR_BLANK = re.compile(r"\s+|--[^\n]*(?:\n|\Z)")
_PSQL_COMMAND = re.compile(r"\\[^\n]*(?:\n|\Z)")
_ABOUT_TABLESPACES = re.compile(
    r"(?:CREATE|ALTER|COMMENT\s+ON)\s+TABLESPACE\b|(?:GRANT|REVOKE)\b.*?\sON\s+TABLESPACE\b", re.DOTALL
)


def globals_of(login: Login, pg_dumpall: str, conn: t.Any) -> tuple[bytes, str]:
    """Roles and tablespaces as SQL, whole or not at all.

    :returns: the SQL, and what is missing in it or an empty text.
    :raises PostgresError: when pg_dumpall failed or did not write all.
    """
    place = connection_string(login, login.database)
    argv = [pg_dumpall, "--globals-only", "--encoding=UTF8", "--no-password", f"--dbname={place}"]
    missing = ""
    try:
        data = output_of(argv, client_environment(login))
    except ProgramFailed as exc:
        if "pg_authid" not in str(exc):
            raise
        # Roles and grants are worth having even where this login may not read the passwords.
        data = output_of([*argv, "--no-role-passwords"], client_environment(login))
        missing = f"the roles were saved without their passwords: this login may not read them ({exc})"
    _check(data.decode("utf-8", "surrogateescape"), roles(conn))
    return data, missing


def _check(text: str, expected: t.Sequence[str]) -> None:
    # pg_dumpall ends with status 0 even where its output could not be written: the text must say that it is whole.
    if _ENDING not in text:
        raise PostgresError("the globals are not whole: pg_dumpall did not write its ending")
    created = sum(1 for statement in statements(text) if re.match(r"CREATE\s+ROLE\b", statement))
    if created < len(expected):
        raise PostgresError(f"the globals hold {created} roles of {len(expected)}")


def statements(text: str) -> list[str]:
    """The SQL statements of pg_dumpall's output, without comments and psql's own commands."""
    found = []
    position = 0
    while position < len(text):
        skipped = _COMMENT_OR_BLANK.match(text, position) or _PSQL_COMMAND.match(text, position)
        if skipped:
            position = skipped.end()
            continue
        start = position
        while position < len(text) and text[position] != ";":
            token = _TOKEN.match(text, position)
            if not token:
                raise PostgresError(f"the globals cannot be read from character {position} on")
            position = token.end()
        found.append(text[start:position].strip())
        position += 1
    return [statement for statement in found if statement]


def replay_globals(conn: t.Any, path: str, existing: str) -> int:
    """Create the roles of a saved file in another server; see :func:`replay`."""
    with open(path, encoding="utf-8", errors="surrogateescape") as handle:
        return replay(conn, handle.read(), existing, os.path.basename(path))


def replay(conn: t.Any, text: str, existing: str, name: str) -> int:
    """Create the saved roles in another server; tablespaces are left out, for they name directories.

    :param existing: the role that the server was made with.
    :param name: what the text is called in errors.
    :returns: the number of statements that were run.
    :raises PostgresError: with the beginning of the statement that failed, never with a password.
    """
    wanted = [statement for statement in statements(text) if not _ABOUT_TABLESPACES.match(statement)]
    already = (f"CREATE ROLE {existing}", f"CREATE ROLE {quote(existing)}")
    for statement in wanted:
        try:
            # Percent signs are the file's own: without parameters psycopg2 leaves them alone.
            query(conn, statement)
        except StatementError as exc:
            beginning = " ".join(statement.split()[:3])
            if exc.sqlstate == _DUPLICATE_OBJECT and statement in already:
                continue
            raise PostgresError(f"the statement {beginning!r} of {name} failed: {exc}") from exc
    return len(wanted)
