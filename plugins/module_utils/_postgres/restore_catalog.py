# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases of a server as a restore sees them: by identity, with all that makes one what it is.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from .._core.clock import stamp, utc_now
from . import contents
from .connection import Login, StatementError, connect, query, quote
from .restore_naming import Mark, old_name, read_mark, side_name
from .sessions import Peer

Grant = t.Tuple[str, str, str, bool]  # grantor, grantee (empty: everybody), privilege, may grant it on

#: Two arrays of a database's properties are compared as they are, so both are sorted by the server.
_DATABASES = """
SELECT d.oid::bigint, d.datname::text, pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text,
  to_jsonb(d), (SELECT spcname::text FROM pg_tablespace s WHERE s.oid = d.dattablespace),
  shobj_description(d.oid, 'pg_database'),
  (SELECT coalesce(jsonb_agg(jsonb_build_array(CASE s.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(s.setrole) END, entry)
     ORDER BY s.setrole, entry), '[]')
   FROM pg_db_role_setting s, unnest(s.setconfig) entry WHERE s.setdatabase = d.oid),
  (SELECT coalesce(jsonb_agg(jsonb_build_array(pg_get_userbyid(a.grantor),
     CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable)), '[]')
   FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a)
FROM pg_database d"""

_SAVED_GRANTS = """
SELECT pg_get_userbyid(a.grantor)::text, CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END,
  a.privilege_type, a.is_grantable
FROM pg_roles r, aclexplode(coalesce(%s::aclitem[], acldefault('d', r.oid))) a WHERE r.rolname = %s"""

#: A role that may not read all statistics is told the user of another's session, and not of which kind it is. An
#: autovacuum worker has no user; the server ends it itself when the database is renamed or dropped.
_INSIDE = """
SELECT pid, coalesce(usename::text, ''), coalesce(application_name, ''), coalesce(host(client_addr), ''),
  coalesce(extract(epoch FROM clock_timestamp() - backend_start), 0)::float8
FROM pg_stat_activity
WHERE datid = %s AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
  AND coalesce(backend_type, '') NOT IN ('autovacuum worker', 'parallel worker')
ORDER BY backend_start"""
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND datid = %s"
_MAY_NOT = "42501"


@dataclasses.dataclass(frozen=True)
class Properties:
    """What is carried over from the database that is in use to the one that takes its place."""

    owner: str
    limit: int
    template: bool
    comment: str | None
    settings: tuple[tuple[str, str], ...]  # role (empty: everybody), "name=value"
    grants: tuple[Grant, ...]


@dataclasses.dataclass(frozen=True)
class Database:
    """One database as it is now."""

    oid: int
    name: str
    allows: bool
    encoding: str
    collate: str
    ctype: str
    provider: str
    locale: str | None
    tablespace: str
    properties: Properties

    @property
    def mark(self) -> Mark | None:
        return read_mark(self.properties.comment, self.oid)


def databases(conn: t.Any) -> list[Database]:
    return [_read(row) for row in query(conn, _DATABASES + " ORDER BY d.datname")]


def by_name(conn: t.Any, name: str) -> Database | None:
    rows = query(conn, _DATABASES + " WHERE d.datname = %s", (name,))
    return _read(rows[0]) if rows else None


def by_oid(conn: t.Any, oid: int) -> Database | None:
    rows = query(conn, _DATABASES + " WHERE d.oid = %s", (oid,)) if oid else []
    return _read(rows[0]) if rows else None


def _read(row: t.Any) -> Database:
    oid, name, owner, encoding, raw, tablespace, comment, settings, grants = row
    properties = Properties(
        owner=owner,
        limit=raw["datconnlimit"],
        template=raw["datistemplate"],
        comment=comment,
        settings=tuple((role, entry) for role, entry in settings),
        grants=tuple((grantor, grantee, what, bool(on)) for grantor, grantee, what, on in grants),
    )
    return Database(
        oid=int(oid),
        name=name,
        allows=raw["datallowconn"],
        encoding=encoding,
        collate=raw["datcollate"],
        ctype=raw["datctype"],
        provider=raw.get("datlocprovider", "c"),
        locale=raw.get("datlocale") or raw.get("daticulocale"),
        tablespace=tablespace,
        properties=properties,
    )


def saved_properties(conn: t.Any, entry: t.Mapping[str, t.Any]) -> Properties:
    """The properties in a manifest, for a database that is no longer there. Its roles have to be."""
    grants = query(conn, _SAVED_GRANTS, (entry.get("acl"), entry["owner"]))
    return Properties(
        owner=entry["owner"],
        limit=entry["connection_limit"],
        template=False,
        comment=entry["comment"],
        settings=tuple((role, setting) for role, setting in entry["settings"]),
        grants=tuple(tuple(row) for row in grants),
    )


def set_comment(conn: t.Any, name: str, comment: str | None) -> None:
    # A name may hold a percent sign, which must not look like a parameter.
    query(conn, f"COMMENT ON DATABASE {quote(name).replace('%', '%%')} IS %s", (comment,))


def inside(conn: t.Any, oid: int) -> list[Peer]:
    """The sessions in a database, the oldest first."""
    return [Peer(*row) for row in query(conn, _INSIDE, (oid,))]


def end_sessions(conn: t.Any, oid: int) -> str:
    """End the sessions in a database; returns why one of them may not be ended by this role (empty: all may)."""
    refused = ""
    for peer in inside(conn, oid):
        try:
            query(conn, _END, (peer.pid, oid))
        except StatementError as exc:
            if exc.sqlstate != _MAY_NOT:
                raise
            refused = refused or str(exc)
    return refused


@dataclasses.dataclass(frozen=True)
class Site:
    """Where a database is restored: its name, and a login to a database that is not the one to be exchanged."""

    login: Login
    target: str

    @contextlib.contextmanager
    def session(self) -> t.Iterator[t.Any]:
        """A session beside the target that no limit of its role ends."""
        conn = connect(self.login, application="restore")
        try:
            prepare(conn)
            yield conn
        finally:
            conn.close()

    def inside(self, database: str) -> t.Any:
        """A connection to one of the databases; close it before the database is renamed."""
        conn = connect(self.login, database, "restore")
        prepare(conn)
        return conn


def prepare(conn: t.Any) -> None:
    contents.without_limits(conn)
    query(conn, "SET default_transaction_read_only = off")


def site_for(login: Login, target: str) -> Site:
    """A database cannot be renamed from within, so the session is in another one."""
    others = [name for name in (login.database, "postgres", "template1") if name != target]
    return Site(dataclasses.replace(login, database=others[0]), target)


def free_moment(conn: t.Any, target: str, is_taken: t.Callable[[str], bool] = lambda _run: False) -> str:
    """Now as part of a name; a second later when one of the names is taken."""
    while True:
        run = stamp(utc_now())
        if not (by_name(conn, side_name(target, run)) or by_name(conn, old_name(target, run)) or is_taken(run)):
            return run
        time.sleep(0.1)
