# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving one database the properties of another: owner, grants, settings, connection limit, template.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A database's properties stay with it when it is renamed, so the one that takes a name must be given those that belong to
that name. They are compared afterwards: what was only said to be altered does not count.
"""

from __future__ import annotations

import typing as t

from .connection import PostgresError, query, quote
from .restore_catalog import Database, Grant, Properties, by_oid

#: Settings that are lists of names: each name is quoted by itself, as pg_dump does it.
_LISTS_OF_NAMES = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)


def dress(conn: t.Any, oid: int, model: Properties) -> None:
    """Alter what differs from the model, inside the open transaction, and see that nothing differs any more.

    The connection limit and the comment are not touched: they come with the name.
    """
    for statement in _statements(_existing(conn, oid), model):
        query(conn, statement)
    different = differences(_existing(conn, oid).properties, model)
    if different:
        raise PostgresError(f"the properties were not carried over: {'; '.join(different)}")


def differences(found: Properties, model: Properties) -> list[str]:
    told = [
        f"{name} is {getattr(found, name)!r} instead of {getattr(model, name)!r}"
        for name in ("owner", "template")
        if getattr(found, name) != getattr(model, name)
    ]
    if sorted(found.settings) != sorted(model.settings):
        told.append(f"the settings are {list(found.settings)} instead of {list(model.settings)}")
    if set(found.grants) != set(model.grants):
        told.append(f"the grants are {list(found.grants)} instead of {list(model.grants)}")
    return told


def _existing(conn: t.Any, oid: int) -> Database:
    found = by_oid(conn, oid)
    if found is None:
        raise PostgresError(f"the database with OID {oid} is gone: somebody dropped it")
    return found


def _statements(database: Database, model: Properties) -> t.Iterator[str]:
    name, found = quote(database.name), database.properties
    if found.owner != model.owner:
        yield f"ALTER DATABASE {name} OWNER TO {quote(model.owner)}"
    if found.template != model.template:
        yield f"ALTER DATABASE {name} IS_TEMPLATE {str(model.template).lower()}"
    if sorted(found.settings) != sorted(model.settings):
        yield from reset_statements(database.name, found.settings)
        yield from setting_statements(database.name, model.settings)
    # A new owner takes the old one's place in the grants, so they are only known after that.
    if found.owner != model.owner or set(found.grants) != set(model.grants):
        yield from _grant_statements(name, found, model)


def reset_statements(database: str, settings: t.Iterable[tuple[str, str]]) -> t.Iterator[str]:
    for role in sorted({role for role, _entry in settings}):
        yield f"ALTER {_bearer(database, role)} RESET ALL"


def setting_statements(database: str, settings: t.Iterable[tuple[str, str]]) -> t.Iterator[str]:
    for role, entry in settings:
        name, _equals, value = entry.partition("=")
        yield f"ALTER {_bearer(database, role)} SET {quote(name)} TO {_value(name, value)}"


def _bearer(database: str, role: str) -> str:
    return f"ROLE {quote(role)} IN DATABASE {quote(database)}" if role else f"DATABASE {quote(database)}"


def _value(name: str, value: str) -> str:
    if name.lower() in _LISTS_OF_NAMES:
        return ", ".join(_literal(word) for word in split_names(value)) or "''"
    return _literal(value)


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    # Whatever standard_conforming_strings says: a backslash is only ever itself in this form, doubled.
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def split_names(value: str) -> list[str]:
    """The names of a list as the server keeps it: parted by commas, each quoted where it needs it."""
    names, at = [], 0
    while at < len(value):
        if value[at] in ", \t\n":
            at += 1
        elif value[at] == '"':
            end = at + 1
            while end < len(value) and (value[end] != '"' or value[end : end + 2] == '""'):
                end += 2 if value[end] == '"' else 1
            names.append(value[at + 1 : end].replace('""', '"'))
            at = end + 1
        else:
            end = value.find(",", at)
            end = len(value) if end < 0 else end
            names.append(value[at:end].strip())
            at = end
    return names


def _grant_statements(name: str, found: Properties, model: Properties) -> t.Iterator[str]:
    grantees = {grantee for _grantor, grantee, _what, _on in (*found.grants, *model.grants)} | {
        found.owner,
        model.owner,
    }
    for grantee in sorted(grantees):
        yield f"REVOKE ALL ON DATABASE {name} FROM {_grantee(grantee)} CASCADE"
    for grantor, grantee, what, on in _in_order(model):
        grant = f"GRANT {what} ON DATABASE {name} TO {_grantee(grantee)}{' WITH GRANT OPTION' if on else ''}"
        if grantor == model.owner:
            yield grant
        else:  # the server notes who granted it, and that has to be the same one
            yield f"SET LOCAL ROLE {quote(grantor)}"
            yield grant
            yield "RESET ROLE"


def _in_order(model: Properties) -> list[Grant]:
    """The owner's own grants first: the others rest on them."""
    return sorted(model.grants, key=lambda grant: grant[0] != model.owner)


def _grantee(name: str) -> str:
    return quote(name) if name else "PUBLIC"
