# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the login may do what a restore does, when it is no superuser.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Sources: the sections Notes of CREATE DATABASE, ALTER DATABASE and ALTER TABLE (OWNER TO, RENAME TO) and Table 9.94 in
the PostgreSQL documentation: a new owner must be a role that one is a member of, and that one may SET ROLE to since 16.
"""

from __future__ import annotations

import re
import typing as t

from .connection import query, quote, server_version

_PG16 = 160000
_OWNER = re.compile(r'\bOWNER TO ((?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*));')

_SELF = "SELECT current_user::text, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
#: To make a role an owner takes the one, to rename and alter what it owns the other, which NOINHERIT takes away.
_MAY_BE = """
SELECT rolname::text, pg_has_role(current_user, oid, %s), pg_has_role(current_user, oid, 'USAGE')
FROM pg_roles WHERE rolname = ANY(%s) ORDER BY rolname"""
_MAY_END = "SELECT pg_has_role(current_user, 'pg_signal_backend', 'USAGE')"


def missing_rights(
    conn: t.Any, script: str, database_owner: str, missing_roles: t.Sequence[str], replaces: bool
) -> list[str]:
    """Sentences that name the grant; none for a superuser.

    :param script: the schema as pg_restore writes it, which names the owners.
    :param missing_roles: that are to be created.
    :param replaces: whether a database is in use, whose sessions have to be ended.
    """
    ((login, superuser, may_create, may_create_roles),) = query(conn, _SELF)
    if superuser:
        return []
    told = [] if may_create else [f"role {login} may not create databases: ALTER ROLE {quote(login)} CREATEDB"]
    if missing_roles and not may_create_roles:
        told.append(f"role {login} may not create roles: log in as a superuser, or create {', '.join(missing_roles)}")
    how = "SET" if server_version(conn) >= _PG16 else "MEMBER"
    owners = sorted({database_owner, *owners_in(script)} - set(missing_roles))
    for name, may_give, inherits in query(conn, _MAY_BE, (how, owners)):
        if not may_give:
            told.append(f"role {login} cannot make {name} an owner: GRANT {quote(name)} TO {quote(login)}")
        elif not inherits:
            grant = f"GRANT {quote(name)} TO {quote(login)} WITH INHERIT TRUE"
            way = grant if how == "SET" else f"ALTER ROLE {quote(login)} INHERIT"
            told.append(f"role {login} does not inherit what {name} may: {way}")
    if replaces and not query(conn, _MAY_END)[0][0]:
        told.append(f"role {login} may not end the sessions of others: GRANT pg_signal_backend TO {quote(login)}")
    return told


def owners_in(script: str) -> set[str]:
    """The owners in a schema's script."""
    return {
        name[1:-1].replace('""', '"') if name.startswith('"') else name
        for line in script.splitlines()
        if line.startswith("ALTER ")
        for name in _OWNER.findall(line)
    }
