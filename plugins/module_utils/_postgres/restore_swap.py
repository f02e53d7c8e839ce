# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two databases exchange a name in one transaction, and nobody is in either of them meanwhile.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .connection import PostgresError, StatementError, query, quote
from .restore_catalog import Database, Properties, by_oid, end_sessions, inside, set_comment
from .restore_dressing import dress

_POLL = 0.02
_IN_USE = "55006"


@dataclasses.dataclass(frozen=True)
class Leaving:
    """The database that gives its name away, what it is called then, and the mark that it gets."""

    oid: int
    name: str
    comment: str


@dataclasses.dataclass(frozen=True)
class Entering:
    """The database that takes the name, and what comes with the name."""

    oid: int
    name: str
    comment: str | None
    limit: int | None = None  # None leaves its own
    allows: bool = True
    #: Properties that it is to have, seen to once more in the same transaction; None leaves its own.
    model: Properties | None = None


def close(conn: t.Any, oid: int, patience: float) -> None:
    """Let nobody in any more, and end whoever is still in it.

    Who may not be ended is waited for, too: a superuser's session may end by itself.

    :raises PostgresError: naming one who is still there after that time.
    """
    database = _existing(conn, oid)
    if database.allows:
        query(conn, f"ALTER DATABASE {quote(database.name)} ALLOW_CONNECTIONS false")
    deadline = time.monotonic() + patience
    while True:
        refused = end_sessions(conn, oid)
        left = inside(conn, oid)
        if not left:
            return
        if time.monotonic() >= deadline:
            why = f"; one may not be ended by this role: {refused}" if refused else ""
            many = f"{len(left)} sessions in database {database.name!r} do not end"
            raise PostgresError(f"{many}, the oldest is {left[0]}{why}")
        time.sleep(_POLL)


def is_closed(conn: t.Any, oid: int) -> bool:
    database = by_oid(conn, oid)
    return database is None or (not database.allows and not inside(conn, oid))


def open_again(conn: t.Any, oid: int) -> None:
    database = by_oid(conn, oid)
    if database is not None and not database.allows:
        query(conn, f"ALTER DATABASE {quote(database.name)} ALLOW_CONNECTIONS true")


def exchange(conn: t.Any, leaving: Leaving | None, entering: Entering, patience: float) -> float:
    """Rename both, or neither; returns the seconds that the transaction took.

    :raises PostgresError: when a session holds one of them for longer than `patience`.
    """
    deadline = time.monotonic() + patience
    while True:
        for oid in (leaving.oid if leaving else 0, entering.oid):
            if oid:
                close(conn, oid, patience)
        began = time.monotonic()
        try:
            _exchange(conn, leaving, entering)
        except StatementError as exc:
            # Somebody who was let in a moment before the door was closed is only seen now.
            if exc.sqlstate != _IN_USE or time.monotonic() >= deadline:
                raise
        else:
            return time.monotonic() - began


def _exchange(conn: t.Any, leaving: Leaving | None, entering: Entering) -> None:
    query(conn, "BEGIN")
    try:
        if leaving is not None:
            _rename(conn, leaving.oid, leaving.name)
            set_comment(conn, leaving.name, leaving.comment)
        _rename(conn, entering.oid, entering.name)
        if entering.model is not None:
            dress(conn, entering.oid, entering.model)
        name = quote(entering.name)
        set_comment(conn, entering.name, entering.comment)
        if entering.limit is not None:
            query(conn, f"ALTER DATABASE {name} CONNECTION LIMIT {int(entering.limit)}")
        if entering.allows:
            query(conn, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        query(conn, "COMMIT")
    except BaseException:
        if not conn.closed:
            query(conn, "ROLLBACK")
        raise


def _rename(conn: t.Any, oid: int, name: str) -> None:
    database = _existing(conn, oid)
    if database.name != name:
        query(conn, f"ALTER DATABASE {quote(database.name)} RENAME TO {quote(name)}")


def _existing(conn: t.Any, oid: int) -> Database:
    database = by_oid(conn, oid)
    if database is None:
        raise PostgresError(f"the database with OID {oid} is gone: somebody dropped it")
    return database
