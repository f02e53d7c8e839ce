# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database restored beside the one in use, where nobody but us gets in, and looked at before it counts.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import threading
import time
import typing as t

from .._core.result import Finding
from .backup_sets import BackupSet
from .build_memory import build_memory
from .connection import PostgresError, query, quote, server_version
from .processes import client_environment, connection_string, run
from .proofs import Compared, compare_contents
from .restore_catalog import Database, Site, by_name, databases, end_sessions, set_comment
from .restore_dressing import setting_statements
from .restore_naming import FILLED, PROVED, RESTORING, SIDE, Mark
from .restore_opening import Opening
from .unpacking import is_streamable

_PG15 = 150000

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}

_NOT_SOUND = """
SELECT format('index %s is invalid', i.indexrelid::regclass)
FROM pg_index i WHERE NOT (i.indisvalid AND i.indisready) AND i.indexrelid >= 16384
ORDER BY 1"""

_NOT_VALIDATED = """
SELECT format('%I on %s', conname, conrelid::regclass) FROM pg_constraint
WHERE NOT convalidated AND oid >= 16384 ORDER BY 1"""

_COLLATION_VERSION = """
SELECT pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = current_database()"""

_TEMPLATE_TABLESPACE = """
SELECT s.spcname::text FROM pg_database AS d JOIN pg_tablespace AS s ON s.oid = d.dattablespace
WHERE d.datname = 'template0'"""


@dataclasses.dataclass(frozen=True)
class Side:
    """What is restored, under which name, how."""

    name: str
    run: str
    backup: BackupSet
    entry: t.Mapping[str, t.Any]
    tablespace: str
    pg_restore: str
    opening: Opening
    with_tablespaces: bool = True
    #: Only the rows of these tables, and only what stands before the data: no indexes, no constraints over tables.
    tables: tuple[tuple[str, str], ...] = ()


def remove(site: Site, name: str) -> None:
    """Drop a side database, whoever is still in it. One that is not there is no error."""
    with site.session() as conn:
        query(conn, f"DROP DATABASE IF EXISTS {quote(name)} WITH (FORCE)")


def leftovers(conn: t.Any, target: str) -> list[str]:
    """Side databases that killed runs left behind: marked by us, for this target. Call it with the lock held."""
    found = []
    for database in databases(conn):
        mark = database.mark
        if mark and mark.kind == SIDE and mark.of == target:
            found.append(database.name)
    return found


def create(site: Site, side: Side) -> None:
    """An empty database that only we and superusers may enter, with the settings that the dump may rely on."""
    remove(site, side.name)
    with site.session() as conn:
        superuser = query(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")[0][0]
        statement = _create_statement(conn, side)
        if not superuser and not side.tables:
            # What belongs to the owner can be given to it only where it may create things, as in its own database.
            live = by_name(conn, site.target)
            statement += f" OWNER {quote(live.properties.owner if live else side.entry['owner'])}"
        query(conn, statement)
        name = quote(side.name)
        query(conn, f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        if superuser:
            query(conn, f"ALTER DATABASE {name} CONNECTION LIMIT 0")  # superusers are not counted
        set_mark(conn, side, RESTORING, site.target)
        own = [(role, entry) for role, entry in side.entry["settings"] if not role]
        for statement in setting_statements(side.name, own):
            query(conn, statement)


def _create_statement(conn: t.Any, side: Side) -> str:
    entry = side.entry
    words = [f"CREATE DATABASE {quote(side.name)} TEMPLATE template0 ENCODING {_text(entry['encoding'])}"]
    words.append(f"LC_COLLATE {_text(entry['collate'])} LC_CTYPE {_text(entry['ctype'])}")
    provider = _PROVIDERS.get(entry.get("locale_provider", "c"), "libc")
    if server_version(conn) >= _PG15:
        words.append(f"LOCALE_PROVIDER {provider}")
        if provider == "icu":
            words.append(f"ICU_LOCALE {_text(entry['locale'])}")
            # Only 16 and newer have them, and a dump of those goes to no older server.
            words += [f"ICU_RULES {_text(entry['icu_rules'])}"] if entry.get("icu_rules") else []
        elif provider == "builtin":
            words.append(f"BUILTIN_LOCALE {_text(entry['locale'])}")
    # Without a word it goes where template0 is; whoever names that place must be allowed to create in it.
    if side.tablespace != query(conn, _TEMPLATE_TABLESPACE)[0][0]:
        words.append(f"TABLESPACE {quote(side.tablespace)}")
    return " ".join(words)


def _text(word: str) -> str:
    """A string constant, whatever standard_conforming_strings says: rules of ICU may hold backslashes."""
    escaped = word.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'" if "\\" in word else f"'{escaped}'"


def set_mark(conn: t.Any, side: Side, state: str, target: str) -> Database:
    found = by_name(conn, side.name)
    if found is None:
        raise PostgresError(f"database {side.name!r} is gone: somebody dropped it")
    mark = Mark(SIDE, target, found.oid, side.run, side.backup.name, state)
    set_comment(conn, side.name, mark.text())
    return found


def fill(site: Site, side: Side) -> float:
    """Restore into it and return the seconds that took.

    :raises PostgresError: with what pg_restore said.
    """
    began = time.monotonic()
    argv = [side.pg_restore, "--exit-on-error", f"--jobs={side.opening.jobs}", "--no-password"]
    argv += [] if side.with_tablespaces else ["--no-tablespaces"]
    # Single tables are copied from here, and the copies are ours.
    argv += ["--no-owner", "--no-privileges"] if side.tables else []
    argv.append(f"--dbname={connection_string(site.login, side.name)}")
    environment = {**client_environment(site.login), "PGOPTIONS": _session_settings(site, side.opening.jobs)}
    if is_streamable(side.backup) and not side.tables:
        _fill_through_pipes(site, side, argv, environment)
    else:
        with side.opening.dump(side.backup, side.entry) as source:
            if side.tables:
                _fill_some(side, argv, environment, source)
            else:
                run([*argv, source], environment)
    with site.session() as conn:
        set_mark(conn, side, FILLED, site.target)
    return time.monotonic() - began


def _session_settings(site: Site, jobs: int) -> str:
    # The database's own settings count already; it must not refuse its own restore.
    settings = ["-c default_transaction_read_only=off"]
    with site.session() as conn:
        memory = build_memory(conn, jobs)
    if memory:
        settings.append(f"-c maintenance_work_mem={memory}kB")
    return " ".join(settings)


def _fill_through_pipes(site: Site, side: Side, argv: t.Sequence[str], environment: t.Mapping[str, str]) -> None:
    with side.opening.streamed(side.backup, side.entry, side.pg_restore) as dump:
        conn = site.inside(side.name)
        try:
            dump.restore(conn, argv, environment)
        finally:
            conn.close()


def _fill_some(side: Side, argv: t.Sequence[str], environment: t.Mapping[str, str], source: str) -> None:
    run([*argv, "--section=pre-data", source], environment)
    listed = run([side.pg_restore, "--list", source]).splitlines()
    # "123; 0 16390 TABLE DATA public orders app": a name with blanks may take a table too many, never one too few.
    wanted = tuple(f" TABLE DATA {schema} {name} " for schema, name in side.tables)
    chosen = [line for line in listed if any(words in f"{line} " for words in wanted)]
    with tempfile.NamedTemporaryFile("w", suffix=".list", encoding="utf-8") as entries:
        entries.write("\n".join(chosen) + "\n")
        entries.flush()
        run([*argv, "--section=data", f"--use-list={entries.name}", source], environment)


def prove(site: Site, side: Side, compared: Compared) -> None:
    """Compare it with the manifest, find what is not sound, and let the planner know what is in it.

    :raises PostgresError: naming what differs.
    """
    with _analyzed_meanwhile(site, side.name):
        _compare(site, side, compared)
    compared.databases += 1


@contextlib.contextmanager
def _analyzed_meanwhile(site: Site, name: str) -> t.Iterator[None]:
    """Let the planner know what is in it, in a session of its own: both only read the tables, and take as long.

    :raises PostgresError: when that fails.
    """
    conn = site.inside(name)
    failures: list[PostgresError] = []

    def analyze() -> None:
        try:
            query(conn, "ANALYZE")
        except PostgresError as exc:
            failures.append(exc)

    thread = threading.Thread(target=analyze, name="analyze")
    thread.start()
    try:
        yield
    except BaseException:
        conn.cancel()
        raise
    finally:
        thread.join()
        conn.close()
    if failures:
        raise failures[0]


def _compare(site: Site, side: Side, compared: Compared) -> None:
    conn = site.inside(side.name)
    try:
        query(conn, "BEGIN")
        compare_contents(conn, side.entry, bool(side.backup.manifest["server"].get("standby")), compared)
        query(conn, "COMMIT")
        unsound = [row[0] for row in query(conn, _NOT_SOUND)]
        if unsound:
            raise PostgresError(f"the restored copy is not sound: {'; '.join(unsound[:5])}")
        _tell_what_was_not_validated(conn, side, compared)
        _tell_collation(conn, side, compared)
    finally:
        conn.close()


def _tell_what_was_not_validated(conn: t.Any, side: Side, compared: Compared) -> None:
    loose = [row[0] for row in query(conn, _NOT_VALIDATED)]
    if loose:
        message = f"{len(loose)} constraints are NOT VALID, as they were in the backup: {'; '.join(loose[:5])}"
        action = "ALTER TABLE ... VALIDATE CONSTRAINT, when the rows are as they should be"
        compared.findings.append(
            Finding("restore-not-validated", "low", side.entry["name"], message, len(loose), action=action)
        )


def _tell_collation(conn: t.Any, side: Side, compared: Compared) -> None:
    recorded = side.entry.get("collation_version")
    if server_version(conn) < _PG15 or not recorded:
        return
    actual = query(conn, _COLLATION_VERSION)[0][0]
    if actual != recorded:
        message = (
            f"the collation had version {recorded} where the backup was made and has version {actual} here: text may"
            " sort otherwise than before"
        )
        action = (
            "the restored database's own indexes were built here and need no REINDEX; REINDEX the other databases of"
            " this server that were made under the old version, and look at what is partitioned by ranges of text"
        )
        compared.findings.append(
            Finding("restore-collation-version", "medium", side.entry["name"], message, actual, recorded, action)
        )


def seal(site: Site, side: Side) -> None:
    """Say that it is proved, and let nobody in until it is exchanged."""
    with site.session() as conn:
        found = set_mark(conn, side, PROVED, site.target)
        query(conn, f"ALTER DATABASE {quote(side.name)} ALLOW_CONNECTIONS false")
        end_sessions(conn, found.oid)


def state_of(conn: t.Any, side: Side) -> str:
    """How far the copy of this very run is; empty when there is none."""
    found = by_name(conn, side.name)
    mark = found.mark if found else None
    return mark.state if mark and mark.kind == SIDE and mark.run == side.run else ""
