# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login roles, and the change of their passwords without a word of them in the server's log.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import typing as t

from .connection import PostgresError, StatementError, query, quote, server_version

_PG15, _PG16 = 150000, 160000
#: For the one transaction that changes a password. What is sent is a verifier, but that need not be kept, either.
_QUIET = {
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "pg_stat_statements.track": "none",
}
_LOCK_TIMEOUT = "5s"
_LISTS = ("search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries")
_PLAIN_LIST = re.compile(r'(?:[a-z_][a-z0-9_$]*|"[^"\\]+")(?:, *(?:[a-z_][a-z0-9_$]*|"[^"\\]+"))*')


@dataclasses.dataclass(frozen=True)
class Role:
    """What the catalog says of a role, as far as it makes a difference to its sessions."""

    name: str
    attributes: dict[str, t.Any]
    member_of: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]  # (database or "", "name=value")

    @property
    def acts_as(self) -> str:
        """The role that a session of this one becomes when it begins (`ALTER ROLE ... SET role`)."""
        for database, setting in self.settings:
            name, _equals, value = setting.partition("=")
            if name == "role" and not database:
                return value
        return self.name


def find_role(conn: t.Any, name: str) -> Role | None:
    rows = query(
        conn,
        "SELECT oid, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolconnlimit,"
        " rolvaliduntil::text, rolcanlogin FROM pg_catalog.pg_roles WHERE rolname = %s",
        (name,),
    )
    if not rows:
        return None
    oid, *values = rows[0]
    names = ("superuser", "inherit", "createrole", "createdb", "replication", "bypassrls", "connection limit",
             "valid until", "login")  # fmt: skip
    members = query(
        conn,
        "SELECT DISTINCT r.rolname::text FROM pg_catalog.pg_auth_members m"
        " JOIN pg_catalog.pg_roles r ON r.oid = m.roleid WHERE m.member = %s ORDER BY 1",
        (oid,),
    )
    settings = query(
        conn,
        "SELECT coalesce(d.datname, '')::text, setting FROM pg_catalog.pg_db_role_setting s"
        " CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS setting"
        " LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase WHERE s.setrole = %s ORDER BY 1, 2",
        (oid,),
    )
    return Role(name, dict(zip(names, values)), tuple(row[0] for row in members), tuple((a, b) for a, b in settings))


def differences(one: Role, other: Role) -> list[str]:
    """What a session of the one has that one of the other has not, for people; whether it may log in is apart."""
    told = [
        f"{name} is {one.attributes[name]} for {one.name} and {other.attributes[name]} for {other.name}"
        for name in one.attributes
        if name != "login" and one.attributes[name] != other.attributes[name]
    ]
    for first, second in ((one, other), (other, one)):
        told += [
            f"{first.name} is a member of {group}, {second.name} is not"
            for group in first.member_of
            if group not in second.member_of
        ]
        told += [
            f"{first.name} has {setting}{f' in database {database}' if database else ''}, {second.name} has not"
            for database, setting in first.settings
            if (database, setting) not in second.settings
        ]
    return told


def owned_by(conn: t.Any, names: t.Sequence[str]) -> dict[str, int]:
    """How many objects each of the roles owns itself, in all databases."""
    rows = query(
        conn,
        "SELECT r.rolname::text, pg_catalog.count(*)::int FROM pg_catalog.pg_shdepend d"
        " JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid"
        " WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.deptype = 'o' AND r.rolname = ANY(%s)"
        " GROUP BY 1 ORDER BY 1",
        (list(names),),
    )
    return dict(rows)


def set_password(conn: t.Any, user: str, verifier: str, login: bool = False) -> None:
    """Have the role log in with the password of this verifier; `login`: let it log in at all."""
    may = " LOGIN" if login else ""
    _quietly(conn, f"ALTER ROLE {_escaped(quote(user))}{may} PASSWORD %s", verifier)


def close_role(conn: t.Any, user: str) -> None:
    """Keep the role from logging in, and take its password away."""
    query(conn, f"ALTER ROLE {quote(user)} NOLOGIN PASSWORD NULL")


def make_twin(conn: t.Any, twin: str, model: Role, owner: str, verifier: str) -> None:
    """Make a login role with what the other one has; if it is there already, it gets password and login only.

    All in one transaction: there is no moment at which the twin can log in without acting as the owner.
    """
    if find_role(conn, twin) is not None:
        set_password(conn, twin, verifier, login=True)
        return
    name = quote(twin)
    words = ["LOGIN", "PASSWORD %s", f"CONNECTION LIMIT {int(model.attributes['connection limit'])}"]
    words.append("INHERIT" if model.attributes["inherit"] else "NOINHERIT")
    if model.attributes["valid until"] is not None:
        raise PostgresError(f"{model.name} is VALID UNTIL {model.attributes['valid until']}: make {twin} yourself")
    more = [f"GRANT {quote(group)} TO {name}" for group in model.member_of]
    more += [f"ALTER ROLE {name} SET role TO {quote(owner)}"]
    for database, setting in model.settings:
        key, _equals, value = setting.partition("=")
        if key == "role" and not database:
            continue
        in_database = f" IN DATABASE {quote(database)}" if database else ""
        more.append(f"ALTER ROLE {name}{in_database} SET {_setting(twin, key, value)}")
    _quietly(conn, f"CREATE ROLE {_escaped(name)} {' '.join(words)}", verifier, more)


def _setting(twin: str, name: str, value: str) -> str:
    """A setting of the catalog as SQL. Lists of names stand there as SQL already: quoted, they would be one name."""
    quoted = ".".join(quote(part) for part in name.split("."))
    if name not in _LISTS:
        text = value.replace("'", "''")
        return f"{quoted} TO '{text}'"
    if not _PLAIN_LIST.fullmatch(value):
        raise PostgresError(f"{name} = {value} cannot be given to {twin}: make that role yourself")
    return f"{quoted} TO {value}"


def _escaped(sql: str) -> str:
    """For a statement with a parameter: a percent sign in a name would be taken for the place of one."""
    return sql.replace("%", "%%")


def _quietly(conn: t.Any, sql: str, verifier: str, more: t.Sequence[str] = ()) -> None:
    """One transaction, with logging of statements off where we may, and undone as a whole when it fails."""
    query(conn, "BEGIN")
    try:
        query(conn, "SET LOCAL standard_conforming_strings = on")
        query(conn, "SELECT pg_catalog.set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
        for name, value in _settable(conn).items():
            query(conn, "SELECT pg_catalog.set_config(%s, %s, true)", (name, value))
        query(conn, sql, (verifier,))
        for statement in more:
            query(conn, statement)
        query(conn, "COMMIT")
    except BaseException:
        with contextlib.suppress(PostgresError):
            query(conn, "ROLLBACK")
        raise


def _settable(conn: t.Any) -> dict[str, str]:
    """Of the settings that keep statements out of the log, those that are there and that we may set."""
    superuser = query(conn, "SELECT pg_catalog.current_setting('is_superuser') = 'on'")[0][0]
    found = {}
    for name, value in _QUIET.items():
        if query(conn, "SELECT pg_catalog.current_setting(%s, true) IS NULL", (name,))[0][0]:
            continue
        allowed = superuser or (
            server_version(conn) >= _PG15
            and query(conn, "SELECT pg_catalog.has_parameter_privilege(current_user, %s, 'SET')", (name,))[0][0]
        )
        if allowed:
            found[name] = value
    return found


def lacking(conn: t.Any, users: t.Sequence[str]) -> str:
    """What the administrator needs and has not, with the statement that grants it; an empty text when all is there.

    Asked before anything is touched: the last right that is missing would show in the last step only.
    """
    me, superuser, creates = query(
        conn,
        "SELECT rolname::text, rolsuper, rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user",
    )[0]
    if not _sees_sessions(conn):
        return f"{me} cannot see who is logged in: GRANT pg_read_all_stats (or pg_monitor) TO {quote(me)}"
    if superuser or list(users) == [me]:  # everybody may change the own password
        return ""
    if not creates:
        return f"{me} may not change roles: ALTER ROLE {quote(me)} CREATEROLE"
    foreign = _not_administered(conn, users) if server_version(conn) >= _PG16 else []
    if not foreign:
        return ""
    names = ", ".join(quote(name) for name in foreign)
    return f"{me} may not change or grant {', '.join(foreign)}: GRANT {names} TO {quote(me)} WITH ADMIN OPTION"


def _not_administered(conn: t.Any, users: t.Sequence[str]) -> list[str]:
    """Roles of other administrators among the users, and among the groups of a user who is still to be made."""
    rows = query(
        conn,
        "SELECT DISTINCT r.rolname::text FROM pg_catalog.pg_roles u"
        " LEFT JOIN pg_catalog.pg_auth_members m ON m.member = u.oid"
        " AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)) < %s"
        " JOIN pg_catalog.pg_roles r ON r.oid IN (u.oid, m.roleid)"
        " WHERE u.rolname = ANY(%s) AND NOT pg_catalog.pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') ORDER BY 1",
        (list(users), len(users), list(users)),
    )
    return [row[0] for row in rows]


def _sees_sessions(conn: t.Any) -> bool:
    """Whether it is shown when the sessions of others began."""
    try:
        return bool(query(conn, "SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')")[0][0])
    except StatementError:
        return False
