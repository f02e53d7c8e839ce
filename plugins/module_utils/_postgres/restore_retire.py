# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases that a restore put aside, dropped when their time is over and the one in use is well.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.durations import format_duration
from .._core.health import Health
from .._core.journal import JournalError, Step, StepFailed
from .._core.locks import Busy
from .._core.result import Finding, Result, ok_or_findings
from .._core.sizes import format_size
from .._core.suggest import InputError
from .backup_sets import read_sets, until
from .connection import Login, PostgresError, connect, is_standby, one_line, query, quote
from .restore_catalog import Database, Site, by_name, by_oid, databases, inside, site_for
from .restore_journal import as_account, only_one, open_journal, state_directory
from .restore_naming import OLD, Mark

PHASE = "retire"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long what was put aside is kept, in seconds, and what has to be true before it goes."""

    keep: int
    path: str = ""
    database: str = ""
    state_dir: str = ""
    os_user: str = ""


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    dropped: list[str] = dataclasses.field(default_factory=list)
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        lines = {"before": self.before, "after": self.after}
        diff = {name: "".join(f"{line}\n" for line in text) for name, text in lines.items()}
        return {"dropped": self.dropped, "planned": self.planned, "diff": diff}


@dataclasses.dataclass(frozen=True)
class Old:
    """One that was put aside; with a `why`, it stays."""

    database: Database
    mark: Mark
    bytes: int
    due: bool
    why: str


def steps(site: Site, listed: t.Sequence[t.Mapping[str, t.Any]]) -> list[Step]:
    return [DropOld(site, one["oid"], one["name"]) for one in listed]


class DropOld:
    """Nothing brings it back, so everything was asked before."""

    point_of_no_return = True

    def __init__(self, site: Site, oid: int, name: str) -> None:
        self.name = f"drop {name}"
        self._site, self._oid, self._database = site, oid, name

    def is_done(self) -> bool:
        with self._site.session() as conn:
            return by_oid(conn, self._oid) is None

    def do(self) -> None:
        with self._site.session() as conn:
            found = by_oid(conn, self._oid)
            if found is None:
                return
            mark = found.mark
            if found.name != self._database or not mark or mark.kind != OLD or found.name == mark.of:
                raise PostgresError(f"database {found.name!r} is no longer what was put aside: it is left alone")
            query(conn, f"DROP DATABASE {quote(found.name)}")

    def undo(self) -> None:
        """A database that could not be dropped is as it was."""


def retire(login: Login, settings: Settings, health: Health, check: bool, outcome: Outcome) -> Result:
    """Drop what is due; whatever goes wrong is in the result."""
    try:
        directory = state_directory(settings.state_dir)
        with as_account(settings.os_user, directory, check):
            return _Retire(login, settings, health, outcome, directory).go(check)
    except (PostgresError, InputError, JournalError, Busy, OSError) as exc:
        return Result("unknown", "retired databases could not be looked at", one_line(exc, login.password))


class _Retire:
    def __init__(self, login: Login, settings: Settings, health: Health, outcome: Outcome, directory: str) -> None:
        self._login, self._settings, self._health = login, settings, health
        self._outcome, self._directory = outcome, directory
        self._now = utc_now()
        self._findings: list[Finding] = []
        self._failed: list[str] = []

    def go(self, check: bool) -> Result:
        found = self._look()
        if found is None:
            reason = f"the server at {self._login.place} is a standby: what is dropped on its primary goes here as well"
            return Result("skipped", "nothing is dropped on a standby", reason)
        self._outcome.before = self._outcome.after = [_line(old) for old in found]
        going = [old for old in found if old.due and not old.why]
        for old in found:
            if old.due and old.why:
                self._tell_kept(old)
        self._outcome.planned = [_planned(old) for old in going]
        if check:
            self._outcome.changed = bool(going)
            self._outcome.dropped = [old.database.name for old in going]
            self._outcome.after = [_line(old) for old in found if old not in going]
            return self._told(found, going, "would be dropped")
        gone = [old for old in going if self._drop(old)]
        self._outcome.changed = bool(gone)
        self._outcome.dropped = [old.database.name for old in gone]
        self._outcome.after = [_line(old) for old in found if old not in gone]
        return self._told(found, gone, "dropped")

    def _look(self) -> list[Old] | None:
        conn = connect(self._login, application="restore")
        try:
            if is_standby(conn):
                return None
            found = []
            for database in databases(conn):
                mark = database.mark
                chosen = not self._settings.database or (mark and mark.of == self._settings.database)
                # One that has its name back is in use, whatever its comment says.
                if mark and mark.kind == OLD and mark.since and chosen and database.name != mark.of:
                    found.append(self._judge(conn, database, mark))
            return found
        finally:
            conn.close()

    def _judge(self, conn: t.Any, database: Database, mark: Mark) -> Old:
        size = int(query(conn, "SELECT pg_database_size(%s::oid)", (database.oid,))[0][0])
        age = (self._now - parse_time(mark.since)).total_seconds()
        due = age >= self._settings.keep
        return Old(database, mark, size, due, self._why_not(conn, mark) if due else "")

    def _why_not(self, conn: t.Any, mark: Mark) -> str:
        """What speaks against dropping it: an old copy is all that there is when the new one is not in use and well."""
        live = by_name(conn, mark.of)
        if live is None:
            return f"there is no database {mark.of!r}: it may be the last one"
        if not live.allows:
            return f"database {mark.of!r} lets nobody in"
        if open_journal(self._directory, site_for(self._login, mark.of)).peek():
            return f"a restore of {mark.of!r} was begun and not finished"
        wrong = self._health.problem()
        if wrong:
            return f"the application is not well: {wrong}"
        if not self._health.asks and not inside(conn, live.oid):
            return f"nobody is connected to {mark.of!r}, so that nothing shows that it is in use"
        try:
            connect(self._login, mark.of, "restore").close()
        except PostgresError as exc:
            return str(exc)
        return self._why_no_backup(mark, parse_time(mark.since))

    def _why_no_backup(self, mark: Mark, since: datetime.datetime) -> str:
        if not self._settings.path:
            return ""
        # One that bears a date in the future may be older than what is to be dropped.
        for backup in until(read_sets(self._settings.path), self._now):
            if backup.is_verified and backup.started > since and mark.of in backup.databases:
                return ""
        return f"no verified backup in {self._settings.path} holds {mark.of!r} as it is since {mark.since}"

    def _drop(self, old: Old) -> bool:
        site = site_for(self._login, old.mark.of)
        listed = [{"oid": old.database.oid, "name": old.database.name}]
        try:
            with open_journal(self._directory, site) as journal, only_one(site):
                if journal.references is not None:
                    if journal.references["phase"] != PHASE:
                        raise PostgresError(f"a restore of {old.mark.of!r} was begun and not finished")
                    journal.resume(steps(site, journal.references["databases"]))
                references = {"phase": PHASE, "target": old.mark.of, "databases": listed}
                journal.run(steps(site, listed), references)
        except (StepFailed, JournalError, PostgresError, Busy, OSError) as exc:
            self._failed.append(f"database {old.database.name!r}: {one_line(exc, self._login.password)}")
            return False
        return True

    def _tell_kept(self, old: Old) -> None:
        message = f"its time was over {format_duration(self._overdue(old))} ago, but {old.why}"
        action = "see to it; or drop it by hand when it is not needed any more"
        self._findings.append(Finding("restore-old-kept", "low", old.database.name, message, old.bytes, action=action))

    def _overdue(self, old: Old) -> float:
        return (self._now - parse_time(old.mark.since)).total_seconds() - self._settings.keep

    def _told(self, found: t.Sequence[Old], gone: t.Sequence[Old], verb: str) -> Result:
        kept = [old for old in found if old not in gone]
        figures = {
            "dropped_databases": len(gone),
            "dropped_bytes": sum(old.bytes for old in gone),
            "kept_databases": len(kept),
            "kept_bytes": sum(old.bytes for old in kept),
        }
        summary = f"{len(gone)} retired databases {verb} ({format_size(figures['dropped_bytes'])}), {len(kept)} kept"
        looked = len(found) - len(self._failed)
        if self._failed:
            reason = "; ".join(self._failed)
            return Result("failed", summary, reason, tuple(self._findings), figures, looked, len(found))
        return ok_or_findings(summary, self._findings, figures, looked, len(found))


def _line(old: Old) -> str:
    return f"{old.database.name} ({format_size(old.bytes)}), was {old.mark.of} until {old.mark.since}"


def _planned(old: Old) -> dict[str, t.Any]:
    return {
        "database": old.mark.of,
        "subject": old.database.name,
        "action": "drop",
        "reason": f"put aside at {write_time(parse_time(old.mark.since))}; the one in use is well and backed up",
        "estimate": {"bytes": old.bytes},
    }
