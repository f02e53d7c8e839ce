# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database holds: its properties, extensions, tables and rows. Asked of the original and of its restored copy.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from .connection import StatementError, is_standby, query, quote, server_version

#: Tables counted by one statement. Each counted table costs a lock until the end of its savepoint.
_TABLES_A_STATEMENT = 50

# Waiting is limited where it is wanted, by lock_timeout; a limit of the role must not end a long snapshot.
_NO_LIMITS = """
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name IN
  ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout')"""

# Members of extensions are not dumped, foreign tables hold no rows of ours, and a materialised view is computed anew.
_TABLES = """
SELECT n.nspname, c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = ANY(%(kinds)s)
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2"""

_PROPERTIES = """
SELECT to_jsonb(d), pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), shobj_description(d.oid, 'pg_database'),
  (SELECT spcname FROM pg_tablespace s WHERE s.oid = d.dattablespace),
  (SELECT coalesce(jsonb_agg(jsonb_build_array(CASE s.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(s.setrole) END, entry)
     ORDER BY s.setrole, entry), '[]')
   FROM pg_db_role_setting s, unnest(s.setconfig) entry WHERE s.setdatabase = d.oid),
  pg_database_size(d.oid)
FROM pg_database d WHERE d.datname = current_database()"""

_STORED_BYTES = """
SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint, coalesce(max(pg_table_size(c.oid)), 0)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND (n.nspname = 'pg_catalog' AND c.relname = 'pg_largeobject'
  OR n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')"""

_ROLES = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1"

_NOT_VALID = """
SELECT n.nspname, c.relname, x.conname
FROM pg_constraint x JOIN pg_class c ON c.oid = x.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT x.convalidated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2, 3"""

_TABLESPACES = """
SELECT spcname FROM pg_tablespace
WHERE oid IN (SELECT reltablespace FROM pg_class
  UNION SELECT dattablespace FROM pg_database WHERE datname = current_database())
  AND spcname !~ '^pg_'
ORDER BY 1"""

# Rows have no order, so their hashes are added up. "x.*" is the whole row even where a column has the alias's name.
_ROWS_CHECKSUM = 'coalesce(sum(hashtextextended((steward_row.*)::text COLLATE pg_catalog."C", 0)::numeric), 0)::text'

_LARGE_OBJECTS_CHECKSUM = """
SELECT coalesce(sum(hashtextextended(oid::text || ':' || encode(sha256(lo_get(oid)), 'hex'), 0)::numeric), 0)::text
FROM pg_largeobject_metadata"""

# A value must have the same text in the original and in the copy, whatever the role and the database are set to.
_ONE_FORM = """
SELECT set_config(name, value, true) FROM (VALUES
  ('DateStyle', 'ISO, YMD'), ('IntervalStyle', 'postgres'), ('TimeZone', 'UTC'), ('extra_float_digits', '3'),
  ('bytea_output', 'hex'), ('lc_monetary', 'C'), ('xmloption', 'content')) AS form (name, value)"""

#: Properties that a restored database must have again.
RESTORED_PROPERTIES = (
    "owner",
    "encoding",
    "collate",
    "ctype",
    "locale_provider",
    "locale",
    "connection_limit",
    "comment",
    "settings",
)

#: The same, of which manifests of earlier versions say nothing.
LATER_PROPERTIES = ("icu_rules",)


def properties(conn: t.Any) -> dict[str, t.Any]:
    """What makes this database what it is, beside its contents."""
    row, owner, encoding, comment, tablespace, settings, size = query(conn, _PROPERTIES)[0]
    return {
        "owner": owner,
        "encoding": encoding,
        "collate": row["datcollate"],
        "ctype": row["datctype"],
        "locale_provider": row.get("datlocprovider", "c"),
        "locale": row.get("datlocale") or row.get("daticulocale"),
        "icu_rules": row.get("daticurules"),
        "collation_version": row.get("datcollversion"),
        "connection_limit": row["datconnlimit"],
        "tablespace": tablespace,
        "acl": row["datacl"],
        "comment": comment,
        "settings": settings,
        "bytes": size,
    }


def extensions(conn: t.Any) -> dict[str, str]:
    """The installed extensions and their versions."""
    return dict(query(conn, "SELECT extname, extversion FROM pg_extension ORDER BY 1"))


def roles(conn: t.Any) -> list[str]:
    return [name for (name,) in query(conn, _ROLES)]


def tables(conn: t.Any, with_unlogged: bool = True) -> list[tuple[str, str]]:
    """Schema and name of every table whose rows a dump carries."""
    kinds = ["p", "u"] if with_unlogged else ["p"]
    return list(query(conn, _TABLES, {"kinds": kinds}))


def stored_bytes(conn: t.Any) -> tuple[int, int]:
    """The size of what a dump has to carry, tables and large objects without indexes and catalog; and of the largest.

    Where somebody holds a table locked, even looking at its size waits: then it is the size of the whole database.
    """
    try:
        query(conn, "SELECT set_config('lock_timeout', '1s', false)")
        ((whole, largest),) = query(conn, _STORED_BYTES)
        return int(whole), int(largest)
    except StatementError:
        ((whole,),) = query(conn, "SELECT pg_database_size(current_database())")
        return int(whole), int(whole)


def large_objects(conn: t.Any) -> int:
    return int(query(conn, "SELECT count(*) FROM pg_largeobject_metadata")[0][0])


@dataclasses.dataclass(frozen=True)
class Table:
    """What a table holds, as it was counted in one snapshot."""

    schema: str
    name: str
    rows: int
    checksum: str | None = None

    def to_dict(self) -> dict[str, t.Any]:
        beside = {} if self.checksum is None else {"checksum": self.checksum}
        return {"schema": self.schema, "name": self.name, "rows": self.rows, **beside}


def count_rows(
    conn: t.Any, wanted: t.Sequence[tuple[str, str]], between: t.Callable[[], None] = lambda: None
) -> list[tuple[str, str, int]]:
    """Schema, name and number of rows of each table, counted inside the open transaction."""
    return [(table.schema, table.name, table.rows) for table in measure(conn, wanted, between)]


def measure(
    conn: t.Any,
    wanted: t.Sequence[tuple[str, str]],
    between: t.Callable[[], None] = lambda: None,
    checksums: bool = False,
) -> list[Table]:
    """Count the rows of each table inside the open transaction, and with `checksums` read all of them.

    :param between: called between two statements; what it raises ends the counting.
    """
    values = f"count(*), {_ROWS_CHECKSUM if checksums else 'NULL::text'}"
    if checksums:
        query(conn, _ONE_FORM)
    measured: list[Table] = []
    for start in range(0, len(wanted), _TABLES_A_STATEMENT):
        between()
        part = wanted[start : start + _TABLES_A_STATEMENT]
        counts = [
            f"SELECT {at}, {values} FROM ONLY {quote(*names)} AS steward_row"  # noqa: S608 - quoted
            for at, names in enumerate(part)
        ]
        sql = " UNION ALL ".join(counts)
        # pg_dump locks every table until its end; going back to the savepoint spares the server a second set of locks.
        query(conn, "SAVEPOINT counting")
        found = query(conn, f"{sql} ORDER BY 1")
        measured += [Table(part[at][0], part[at][1], int(rows), checksum) for at, rows, checksum in found]
        query(conn, "ROLLBACK TO SAVEPOINT counting")
    return measured


def large_objects_checksum(conn: t.Any) -> str | None:
    """A checksum over all large objects; nothing where they cannot be read, or one is larger than 1 GB."""
    query(conn, "SAVEPOINT reading")
    try:
        return str(query(conn, _LARGE_OBJECTS_CHECKSUM)[0][0])
    except StatementError as exc:
        if exc.connection_lost:
            raise
        return None
    finally:
        query(conn, "ROLLBACK TO SAVEPOINT reading")


def not_valid_constraints(conn: t.Any) -> list[list[str]]:
    """Schema, table and name of each constraint that existing rows need not fulfil."""
    return [list(names) for names in query(conn, _NOT_VALID)]


def tablespaces(conn: t.Any) -> list[str]:
    """The tablespaces that this database has something in, beside the default one."""
    return [name for (name,) in query(conn, _TABLESPACES)]


def without_limits(conn: t.Any) -> None:
    """Let no time limit of the role or the database end this session."""
    query(conn, _NO_LIMITS)


@contextlib.contextmanager
def steady_view(conn: t.Any, lock_timeout: int) -> t.Iterator[tuple[str, str]]:
    """A read-only transaction that sees one moment; gives its snapshot, to be shared, and its place in the WAL."""
    without_limits(conn)
    query(conn, "SELECT set_config('lock_timeout', %s, false)", (f"{lock_timeout}s",))
    # As pg_dump does: rather an error than rows hidden by a policy.
    query(conn, "SELECT set_config('row_security', 'off', false)")
    position = "pg_last_wal_replay_lsn()" if is_standby(conn) else "pg_current_wal_insert_lsn()"
    query(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    snapshot, place = query(conn, f"SELECT pg_export_snapshot(), {position}::text")[0]
    yield snapshot, place
    query(conn, "COMMIT")


def server(conn: t.Any) -> dict[str, t.Any]:
    """What must be known of the server to restore its databases elsewhere."""
    identifier, version, libraries, first = query(
        conn,
        "SELECT (SELECT system_identifier::text FROM pg_control_system()), current_setting('server_version'),"
        " (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'),"
        " (SELECT rolname FROM pg_roles WHERE oid = 10)",
    )[0]
    return {
        "system_identifier": identifier,
        "version": version,
        "version_number": server_version(conn),
        "preload_libraries": [name.strip() for name in (libraries or "").split(",") if name.strip()],
        "bootstrap_role": first,
        "standby": is_standby(conn),
        "tablespaces": [
            name for (name,) in query(conn, "SELECT spcname FROM pg_tablespace WHERE spcname !~ '^pg_' ORDER BY 1")
        ],
    }
