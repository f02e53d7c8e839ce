# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single tables of a backup, put into a schema of their own in the database that is in use.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The rows go through a side database, where the types, domains and parents of the tables are as they were. From there
they are copied into plain tables beside those in use, all of them in one transaction, counted before it is committed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
import typing as t

from .._core.journal import Journal, JournalError, Step, StepFailed
from .._core.locks import Busy
from .._core.result import Finding, Result, ok_or_findings
from .._core.suggest import InputError, refuse_unknown
from .backup_plan import age_of
from .backup_sets import BackupSet
from .connection import Login, PostgresError, StatementError, one_line, query, quote, server_version
from .restore_beside import Measured, RestoreBeside
from .restore_catalog import Site, by_name, free_moment, site_for
from .restore_choice import Choice, Wanted, choose, require_undamaged
from .restore_journal import as_account, only_one, open_journal, state_directory
from .restore_naming import side_name, side_schema
from .restore_needs import Extent, look, require_version
from .restore_opening import Opening
from .restore_side import Side, leftovers, remove

PHASE = "tables"

Table = t.Tuple[str, str]

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
  (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.collname) FROM pg_collation c
   JOIN pg_namespace n ON n.oid = c.collnamespace, pg_type t
   WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation)
FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

_OURS = "steward.maintenance: tables restored by run "


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which tables, of which backup."""

    wanted: Wanted
    tables: tuple[str, ...]
    opening: Opening = dataclasses.field(default_factory=Opening)
    bin_dir: str = ""
    state_dir: str = ""
    os_user: str = ""


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    backup: str = ""
    restored: dict[str, str] = dataclasses.field(default_factory=dict)
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        after = "".join(f"{name}: the rows of {table} in the backup\n" for table, name in self.restored.items())
        diff = {"before": "", "after": after}
        return {"backup": self.backup, "restored": self.restored, "planned": self.planned, "diff": diff}


def restore_tables(login: Login, settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Put the tables beside those in use; whatever goes wrong is in the result, and nothing of it stays."""
    site = site_for(login, settings.wanted.database)
    findings: list[Finding] = []
    try:
        directory = state_directory(settings.state_dir)
        with as_account(settings.os_user, directory, check):
            return _go(site, settings, check, outcome, directory, findings)
    except (StepFailed, PostgresError, InputError, JournalError, Busy, OSError) as exc:
        outcome.changed = False
        outcome.restored = {}
        return Result("failed", "no table was restored", one_line(exc, login.password), tuple(findings))


def _go(
    site: Site, settings: Settings, check: bool, outcome: Outcome, directory: str, findings: list[Finding]
) -> Result:
    began, measured = time.monotonic(), Measured()
    choice = choose(settings.wanted)
    outcome.backup = choice.backup.path
    findings += choice.findings
    chosen = chosen_tables(settings.tables, choice.entry)
    rows = {(one["schema"], one["name"]): int(one["rows"]) for one in choice.entry["stored_tables"]}
    require_undamaged(choice.backup, settings.opening.public_key)
    journal = open_journal(directory, site)
    left = journal.peek()
    if left is not None and left["phase"] != PHASE:
        raise PostgresError(f"a restore of {site.target!r} was begun and not finished: complete it or roll back first")
    side, schemas = _look(site, settings, choice, chosen, findings)
    outcome.restored = {".".join(table): f"{schemas[table[0]]}.{table[1]}" for table in chosen}
    outcome.planned = [
        {
            "database": site.target,
            "subject": ".".join(table),
            "action": "restore",
            "reason": f"into {outcome.restored['.'.join(table)]}",
            "estimate": {"rows": rows[table]},
        }
        for table in chosen
    ]
    outcome.changed = True
    total = sum(rows[table] for table in chosen)
    if check:
        summary = f"{len(chosen)} tables with {total} rows would be restored beside those in use"
        return ok_or_findings(summary, findings, {}, len(chosen), len(chosen))
    with journal, only_one(site):
        undo(journal, site)
        if set(schemas.values()) & _schemas_in(site):
            raise PostgresError("another run restored tables into the same schema this very second: run it again")
        with site.session() as conn:
            stale = leftovers(conn, site.target)
        for name in stale:
            remove(site, name)
        plan = Plan(side.run, side.name, schemas, {table: rows[table] for table in chosen})
        references = {"phase": PHASE, "target": site.target, "run": side.run, "side": side.name, "schemas": schemas}
        journal.run(_steps(site, plan, RestoreBeside(site, side, measured)), references)
    seconds = round(time.monotonic() - began, 3)
    figures = {"duration_seconds": seconds, "restored_tables": len(chosen), "restored_rows": total}
    figures["rpo_seconds"] = round(age_of(choice.backup), 3)
    where = ", ".join(outcome.restored.values())
    summary = f"{len(chosen)} tables with {total} rows restored from backup {choice.backup.name} into {where}"
    return ok_or_findings(summary, findings, figures, len(chosen), len(chosen))


def chosen_tables(names: t.Sequence[str], entry: t.Mapping[str, t.Any]) -> list[Table]:
    """The tables that are meant: "schema.name", or "name" in the schema public.

    :raises InputError: naming the nearest table of the backup; one that is partitioned has no rows of its own.
    """
    known = {f"{one['schema']}.{one['name']}": (one["schema"], one["name"]) for one in entry["stored_tables"]}
    if not names:
        raise InputError("tables is empty: name at least one table, like public.orders")
    full = [name if name in known or "." in name else f"public.{name}" for name in names]
    refuse_unknown("tables: unknown table %s (of a partitioned one, name the partitions)", full, known)
    return [known[name] for name in dict.fromkeys(full)]


def _look(
    site: Site, settings: Settings, choice: Choice, chosen: t.Sequence[Table], findings: list[Finding]
) -> tuple[Side, dict[str, str]]:
    with site.session() as conn:
        live = by_name(conn, site.target)
        if live is None or not live.allows:
            raise PostgresError(f"there is no database {site.target!r} that could be connected to: restore all of it")
        pg_restore = require_version(choice.backup, server_version(conn), settings.bin_dir)
        extent = Extent(create_roles=True, with_tablespaces=False, with_owners=False)
        needs = look(conn, site.login, choice, settings.opening, live, pg_restore, extent)
        there = _schemas_in(site)

        def is_taken(run: str) -> bool:
            return any(side_schema(schema, run.lower()) in there for schema, _table in chosen)

        run = free_moment(conn, site.target, is_taken)
    findings += needs.findings
    if needs.problems:
        raise PostgresError("; ".join(needs.problems))
    name = side_name(site.target, run)
    schemas = {schema: side_schema(schema, run.lower()) for schema, _table in chosen}
    side = Side(
        name, run, choice.backup, choice.entry, live.tablespace, pg_restore, settings.opening, False, tuple(chosen)
    )
    return side, schemas


def _schemas_in(site: Site) -> set[str]:
    conn = site.inside(site.target)
    try:
        return {name for (name,) in query(conn, "SELECT nspname FROM pg_namespace")}
    finally:
        conn.close()


@dataclasses.dataclass(frozen=True)
class Plan:
    """From where to where, and how many rows each table must have there."""

    run: str
    side: str
    schemas: t.Mapping[str, str]
    rows: t.Mapping[Table, int] = dataclasses.field(default_factory=dict)


def _steps(site: Site, plan: Plan, first: Step) -> list[Step]:
    return [first, CopyTables(site, plan), DropCopy(site, plan)]


def undo(journal: Journal, site: Site) -> None:
    """Take back what a killed run left: tables that nobody was told of help nobody."""
    if journal.references is None:
        return
    left = journal.references
    plan = Plan(left["run"], left["side"], left["schemas"])
    side = Side(left["side"], left["run"], BackupSet("", ""), {}, "", "", Opening())
    journal.abandon(_steps(site, plan, RestoreBeside(site, side, Measured())))


class CopyTables:
    name = "copy the tables"
    point_of_no_return = False

    def __init__(self, site: Site, plan: Plan) -> None:
        self._site, self._plan = site, plan

    def is_done(self) -> bool:
        """They come in one transaction together with their schemas."""
        return set(self._plan.schemas.values()) <= _schemas_in(self._site)

    def do(self) -> None:
        source = self._site.inside(self._plan.side)
        target = self._site.inside(self._site.target)
        try:
            # The rows travel as the server stores them.
            for conn in (source, target):
                conn.set_client_encoding(query(source, "SELECT current_setting('server_encoding')")[0][0])
            query(target, "BEGIN")
            for schema in self._plan.schemas.values():
                query(target, f"CREATE SCHEMA {quote(schema)}")
                comment = f"COMMENT ON SCHEMA {quote(schema).replace('%', '%%')} IS %s"
                query(target, comment, (_OURS + self._plan.run,))
            for table, rows in self._plan.rows.items():
                self._copy(source, target, table, rows)
            query(target, "COMMIT")
        finally:
            source.close()
            target.close()

    def _copy(self, source: t.Any, target: t.Any, table: Table, rows: int) -> None:
        schema, name = table
        columns = query(source, _COLUMNS, (quote(schema, name),))
        kinds = ", ".join(
            f"{quote(column)} {kind}{f' COLLATE {collation}' if collation else ''}{' NOT NULL' if needed else ''}"
            for column, kind, needed, collation in columns
        )
        there = quote(self._plan.schemas[schema], name)
        query(target, f"CREATE TABLE {there} ({kinds})")
        if columns:
            names = ", ".join(quote(column) for column, *_rest in columns)
            rows_there = f"SELECT {names} FROM ONLY {quote(schema, name)}"  # noqa: S608 - quoted
            _pour(source, f"COPY ({rows_there}) TO STDOUT", target, f"COPY {there} FROM STDIN")
        else:  # a table without columns has rows all the same, and COPY cannot carry them
            query(target, f"INSERT INTO {there} SELECT FROM generate_series(1, {int(rows)})")
        found = int(query(target, f"SELECT count(*) FROM {there}")[0][0])  # noqa: S608 - quoted
        if found != rows:
            raise PostgresError(f"{there} has {found} rows instead of {rows}")

    def undo(self) -> None:
        conn = self._site.inside(self._site.target)
        try:
            for schema in self._plan.schemas.values():
                sql = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s"
                if query(conn, sql, (schema,)) == [(_OURS + self._plan.run,)]:
                    query(conn, f"DROP SCHEMA {quote(schema)} CASCADE")
        finally:
            conn.close()


def _pour(source: t.Any, reading: str, target: t.Any, writing: str) -> None:
    """Rows from one connection to another, a block at a time.

    :raises PostgresError: the first error of either side.
    """
    read_end, write_end = os.pipe()
    failed: list[Exception] = []

    def read() -> None:
        with os.fdopen(write_end, "wb") as sink:
            try:
                with source.cursor() as cursor:
                    cursor.copy_expert(reading, sink)
            except Exception as exc:  # noqa: BLE001 - told by the thread that waits
                failed.append(exc)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    refused: Exception | None = None
    with os.fdopen(read_end, "rb") as rows:
        try:
            with target.cursor() as cursor:
                cursor.copy_expert(writing, rows)
        except Exception as exc:  # noqa: BLE001 - told below, when the other side has ended as well
            refused = exc
    thread.join()
    cause = refused or (failed[0] if failed else None)
    if cause is not None:
        raise StatementError(cause) if hasattr(cause, "pgcode") else PostgresError(one_line(cause))


class DropCopy:
    name = "drop the copy"
    point_of_no_return = False

    def __init__(self, site: Site, plan: Plan) -> None:
        self._site, self._plan = site, plan

    def is_done(self) -> bool:
        with self._site.session() as conn:
            return by_name(conn, self._plan.side) is None

    def do(self) -> None:
        with contextlib.suppress(StatementError):  # seen right after this
            remove(self._site, self._plan.side)

    def undo(self) -> None:
        """What is gone was only a means."""
