# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup restored into a throwaway server, and what is compared there with the manifest.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._core.result import Finding
from .._core.sealing import SUFFIX
from . import contents
from .backup_sets import BackupSet
from .connection import Login, PostgresError, connect, query, quote
from .encryption import Key
from .globals import replay, replay_globals
from .processes import client_environment, connection_string, run
from .scratch import ScratchServer

_MOST_NAMED = 5

# Indexes of the system catalogs are the throwaway server's own and prove nothing.
_INDEXES = """
SELECT n.nspname, c.relname, c.oid FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
WHERE a.amname = 'btree' AND i.indisvalid AND c.relkind = 'i' AND c.relpersistence = 'p'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2"""


# What pg_restore says when this host, not the backup, is to blame: no proof, but no refutation either.
_THIS_HOSTS_FAULT = (
    "No space left on device",
    "server closed the connection",
    "could not open extension control file",
    "is not available",
    "could not access file",
    "invalid locale name",
    "invalid LC_",
)


class Refuted(PostgresError):
    """The backup is not what its manifest says; the text names the first differences."""


@dataclasses.dataclass
class Compared:
    """What was compared, for figures and coverage."""

    databases: int = 0
    tables: int = 0
    rows: int = 0
    indexes: int = 0
    checksums: int = 0
    looked: int = 0
    of: int = 0
    findings: list[Finding] = dataclasses.field(default_factory=list)


def restore_globals(server: ScratchServer, backup: BackupSet, path: str, key: Key | None = None) -> None:
    """Replay the saved roles.

    :param path: where they are saved; what is encrypted has another ending.
    :raises Refuted: when a role of the manifest is not there afterwards.
    """
    conn = connect(server.bootstrap, application="verify")
    try:
        if key and backup.recipients:
            text = key.read(path + SUFFIX).decode("utf-8", "surrogateescape")
            replay(conn, text, server.bootstrap.user, os.path.basename(path))
        else:
            replay_globals(conn, path, server.bootstrap.user)
    finally:
        conn.close()
    conn = connect(server.login, application="verify")
    try:
        missing = sorted(set(backup.manifest["roles"]) - set(contents.roles(conn)))
        if missing:
            raise Refuted(f"roles are missing after the globals were replayed: {_first(missing)}")
        # Each dump creates its own database, "postgres" too if it is one of them.
        query(conn, "DROP DATABASE IF EXISTS postgres")
    finally:
        conn.close()


def restore_database(
    server: ScratchServer,
    backup: BackupSet,
    entry: t.Mapping[str, t.Any],
    pg_restore: str,
    jobs: int,
    nice: int,
    *,
    source: str = "",
) -> None:
    """Restore one database under its own name.

    :param source: what pg_restore is to read, where it is not the directory in the backup itself.
    :raises Refuted: with what pg_restore said.
    """
    try:
        run(
            [
                pg_restore, "--create", "--exit-on-error", "--no-tablespaces", f"--jobs={jobs}", "--no-password",
                f"--dbname={connection_string(server.login, 'template1')}",
                source or os.path.join(backup.path, entry["directory"]),
            ],
            # The database's own settings count as soon as it exists; it must not refuse its own restore.
            {**client_environment(server.login), "PGOPTIONS": "-c default_transaction_read_only=off"},
            nice=nice,
        )  # fmt: skip
    except PostgresError as exc:
        if any(words in str(exc) for words in _THIS_HOSTS_FAULT):
            raise PostgresError(f"database {entry['name']!r} cannot be restored on this host: {exc}") from exc
        raise Refuted(f"database {entry['name']!r} cannot be restored: {exc}") from exc


def compare_database(login: Login, entry: t.Mapping[str, t.Any], standby: bool, compared: Compared) -> None:
    """:raises Refuted: naming what differs from the manifest."""
    name = entry["name"]
    conn = connect(login, name, "verify")
    try:
        query(conn, "SET default_transaction_read_only = off")
        query(conn, "BEGIN")
        _compare_rows(conn, entry, standby, compared)
        _compare_properties(conn, entry, compared)
        _compare_extensions(conn, entry, compared)
        _compare_constraints(conn, entry)
        query(conn, "COMMIT")
        compared.databases += 1
        compared.looked += 1
        compared.of += 2
        if check_indexes(conn, name, compared):
            compared.looked += 1
    finally:
        conn.close()


def _compare_rows(conn: t.Any, entry: t.Mapping[str, t.Any], standby: bool, compared: Compared) -> None:
    expected = {(table["schema"], table["name"]): table["rows"] for table in entry["stored_tables"]}
    checksums = {
        (table["schema"], table["name"]): table["checksum"] for table in entry["stored_tables"] if "checksum" in table
    }
    wanted = contents.tables(conn, with_unlogged=not standby)
    measured = {
        (table.schema, table.name): table for table in contents.measure(conn, wanted, checksums=bool(checksums))
    }
    found = {names: table.rows for names, table in measured.items()}
    differences = [f"table {quote(*names)} is missing" for names in expected if names not in found]
    differences += [f"table {quote(*names)} is not in the manifest" for names in found if names not in expected]
    differences += [
        f"table {quote(*names)} has {found[names]} rows instead of {rows}"
        for names, rows in expected.items()
        if names in found and found[names] != rows
    ]
    differences += [
        f"table {quote(*names)} has as many rows, but not the contents that were dumped"
        for names, checksum in checksums.items()
        if names in found and found[names] == expected[names] and measured[names].checksum != checksum
    ]
    objects = contents.large_objects(conn)
    if objects != entry["large_objects"]:
        differences.append(f"there are {objects} large objects instead of {entry['large_objects']}")
    checksum_of_objects = entry.get("large_objects_checksum")
    if checksum_of_objects and contents.large_objects_checksum(conn) != checksum_of_objects:
        differences.append("the large objects do not have the contents that were dumped")
    if differences:
        raise Refuted(f"database {entry['name']!r} differs from the manifest: {_first(differences)}")
    compared.tables += len(found)
    compared.rows += sum(found.values())
    compared.checksums += len(checksums)


def _compare_constraints(conn: t.Any, entry: t.Mapping[str, t.Any]) -> None:
    """A backup of before this was looked at says nothing of it."""
    if "not_valid" in entry:
        invalid = [names for names in contents.not_valid_constraints(conn) if names not in entry["not_valid"]]
        if invalid:
            named = _first([quote(*names) for names in invalid])
            raise Refuted(f"database {entry['name']!r}: constraints that were valid are not valid any more: {named}")


def _compare_properties(conn: t.Any, entry: t.Mapping[str, t.Any], compared: Compared) -> None:
    restored = contents.properties(conn)
    known = [*contents.RESTORED_PROPERTIES, *(name for name in contents.LATER_PROPERTIES if name in entry)]
    differences = [
        f"{name} is {restored[name]!r} instead of {entry[name]!r}" for name in known if restored[name] != entry[name]
    ]
    if differences:
        raise Refuted(f"database {entry['name']!r} was not restored as it was: {_first(differences)}")
    here, there = restored["collation_version"], entry.get("collation_version")
    if here and there and here != there:
        message = (
            f"the collation had version {there} where the backup was made and has version {here} on this host: text may"
            " sort otherwise after a restore here"
        )
        action = (
            "restore on hosts with the same library; where this is the original's own host, its indexes on text may be"
            " wrong by now: REINDEX them, then ALTER DATABASE ... REFRESH COLLATION VERSION"
        )
        compared.findings.append(
            Finding("backup-collation-version", "medium", entry["name"], message, here, there, action)
        )


def _compare_extensions(conn: t.Any, entry: t.Mapping[str, t.Any], compared: Compared) -> None:
    restored = contents.extensions(conn)
    missing = sorted(set(entry["extensions"]) - set(restored))
    if missing:
        raise Refuted(f"database {entry['name']!r} lacks extensions after the restore: {_first(missing)}")
    for name, version in sorted(entry["extensions"].items()):
        if restored[name] != version:
            message = f"extension {name} is {version} in the original; a restore makes it {restored[name]}"
            action = f"ALTER EXTENSION {quote(name)} UPDATE in the original, so that both are the same"
            compared.findings.append(Finding("backup-extension-version", "info", entry["name"], message, action=action))


def check_indexes(conn: t.Any, database: str, compared: Compared) -> bool:
    """amcheck over all B-tree indexes of the restored copy: whether it could look."""
    if not query(conn, "SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"):
        message = "indexes were not checked: these PostgreSQL programs come without the extension amcheck"
        action = "install PostgreSQL's contrib extensions on this host"
        if all(finding.id != "backup-no-amcheck" for finding in compared.findings):
            compared.findings.append(Finding("backup-no-amcheck", "info", "amcheck", message, action=action))
        return False
    query(conn, "CREATE SCHEMA steward_amcheck")
    query(conn, "CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA steward_amcheck")
    (schema,) = query(
        conn, "SELECT nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'amcheck'"
    )[0]
    for owner, index, oid in query(conn, _INDEXES):
        try:
            query(conn, f"SELECT {quote(schema)}.bt_index_check(%s::oid::regclass, true)", (oid,))
        except PostgresError as exc:
            where = f"database {database!r}: index {quote(owner, index)}"
            raise Refuted(f"{where} is not sound after the restore: {exc}") from exc
        compared.indexes += 1
    return True


def _first(differences: t.Sequence[str]) -> str:
    more = len(differences) - _MOST_NAMED
    return "; ".join(differences[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def compare_contents(conn: t.Any, entry: t.Mapping[str, t.Any], standby: bool, compared: Compared) -> None:
    """Rows, large objects and extensions of a copy that is to be used, inside the open transaction.

    :raises Refuted: naming what differs from the manifest.
    """
    _compare_rows(conn, entry, standby, compared)
    _compare_extensions(conn, entry, compared)
