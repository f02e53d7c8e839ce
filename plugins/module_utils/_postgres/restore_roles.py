# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles that a database needs and the server lacks, created from the globals of the backup.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

from .backup_sets import BackupSet
from .backup_writing import GLOBALS
from .connection import PostgresError, StatementError, query, quote
from .globals import statements
from .restore_opening import Opening

_NAME = r'("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
_ABOUT = re.compile(rf"(?:CREATE ROLE|ALTER ROLE|COMMENT ON ROLE) {_NAME}(?:\s|\Z)")
_MEMBERSHIP = re.compile(rf"GRANT {_NAME} TO {_NAME}(.*?)(?: GRANTED BY {_NAME})?\Z", re.DOTALL)


def missing(conn: t.Any, wanted: t.Collection[str]) -> list[str]:
    there = {name for (name,) in query(conn, "SELECT rolname FROM pg_roles")}
    return sorted(set(wanted) - there)


def create_roles(conn: t.Any, backup: BackupSet, opening: Opening, wanted: t.Collection[str]) -> None:
    """Create these roles with their attributes, passwords and memberships, all of them or none.

    :raises PostgresError: with the beginning of the statement that failed, never with a password.
    """
    found = statements(opening.globals(backup))
    query(conn, "BEGIN")
    try:
        for statement in chosen(found, wanted, missing(conn, backup.manifest["roles"])):
            try:
                query(conn, statement)
            except StatementError as exc:
                beginning = " ".join(statement.split()[:3])
                raise PostgresError(f"the statement {beginning!r} of {GLOBALS} failed: {exc}") from None
        query(conn, "COMMIT")
    except BaseException:
        if not conn.closed:
            query(conn, "ROLLBACK")
        raise
    left = missing(conn, wanted)
    if left:
        raise PostgresError(f"{GLOBALS} of backup {backup.name} does not create the roles {', '.join(left)}")


def chosen(found: t.Iterable[str], wanted: t.Collection[str], absent: t.Collection[str]) -> list[str]:
    """The statements about the wanted roles; a membership only where both sides will be there.

    :param absent: the roles of the backup that the server does not have.
    """
    never = set(absent) - set(wanted)
    taken = []
    for statement in found:
        about = _ABOUT.match(statement)
        member = _MEMBERSHIP.match(statement)
        if about and _plain(about.group(1)) in wanted:
            taken.append(statement)
        elif member:
            group, who = _plain(member.group(1)), _plain(member.group(2))
            if {group, who} & set(wanted) and not {group, who} & never:
                # Who granted it first need not be there; here it is us who grant it.
                taken.append(f"GRANT {member.group(1)} TO {member.group(2)}{member.group(3)}")
    return taken


def drop_roles(conn: t.Any, names: t.Iterable[str]) -> None:
    """Take back what was created; a role that owns something by now stays, with the server's reason."""
    for name in names:
        query(conn, f"DROP ROLE IF EXISTS {quote(name)}")


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
