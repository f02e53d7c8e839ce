# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database restored from a backup: beside the one in use, proved, exchanged for it, and back when all is not well.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import typing as t

from .._core.application import ApplicationError
from .._core.durations import format_duration
from .._core.journal import Journal, JournalError, StepFailed
from .._core.locks import Busy
from .._core.result import Finding, Result, ok_or_findings
from .._core.sizes import format_size
from .._core.suggest import InputError
from . import restore_beside as beside
from . import restore_exchange as exchange
from .backup_plan import age_of
from .connection import Login, PostgresError, one_line, server_version
from .restore_beside import Measured
from .restore_catalog import Database, Site, by_name, free_moment, site_for
from .restore_choice import Choice, Wanted, choose, require_undamaged, rows_of
from .restore_exchange import Change, Surroundings
from .restore_journal import as_account, only_one, open_journal, state_directory
from .restore_left import require_same_backup, take_up
from .restore_naming import old_name, side_name
from .restore_needs import Extent, Needs, look, require_no_prepared, require_version, stays_behind, tablespace_for
from .restore_opening import Opening
from .restore_roles import drop_roles
from .restore_side import Side, leftovers, remove


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to restore, beside what is chosen."""

    wanted: Wanted
    create_roles: bool = False
    ignore_tablespaces: bool = False
    opening: Opening = dataclasses.field(default_factory=Opening)
    bin_dir: str = ""
    state_dir: str = ""
    os_user: str = ""


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    backup: str = ""
    kept: str = ""
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        lines = {"before": self.before, "after": self.after}
        diff = {name: "".join(f"{line}\n" for line in text) for name, text in lines.items()}
        return {"backup": self.backup, "kept": self.kept, "planned": self.planned, "diff": diff}


def restore(login: Login, settings: Settings, around: Surroundings, check: bool, outcome: Outcome) -> Result:
    """Restore the database; whatever goes wrong is in the result, and says how production stands."""
    run = _Restore(site_for(login, settings.wanted.database), settings, around, outcome)
    try:
        directory = state_directory(settings.state_dir)
        with as_account(settings.os_user, directory, check):
            return run.go(check, directory)
    except StepFailed as exc:
        outcome.changed = not exc.undone
        stands = (
            "all is as it was before" if exc.undone else "it is not finished; run it again when the cause is mended"
        )
        summary = f"database {settings.wanted.database!r} was not restored: {stands}"
        return Result("failed", summary, one_line(exc, login.password), tuple(run.findings), run.figures())
    except (PostgresError, ApplicationError, InputError, JournalError, Busy, OSError) as exc:
        outcome.after = outcome.before
        summary = f"database {settings.wanted.database!r} was not restored: {run.stands}"
        return Result("failed", summary, one_line(exc, login.password), tuple(run.findings), run.figures())


class _Restore:
    def __init__(self, site: Site, settings: Settings, around: Surroundings, outcome: Outcome) -> None:
        self.site = site
        self.settings = settings
        self.around = around
        self.outcome = outcome
        self.measured = Measured()
        self.needs = Needs()
        self.began = time.monotonic()
        #: How production stands when an error comes from outside of the steps.
        self.stands = "the database in use was not touched"
        self._found: list[Finding] = []
        self._rehash: float | None = None
        self._age: float | None = None

    @property
    def findings(self) -> list[Finding]:
        return [*self._found, *self.needs.findings, *self.measured.compared.findings]

    def go(self, check: bool, directory: str) -> Result:
        if check:
            return self._foretell(directory)
        with open_journal(directory, self.site) as journal, only_one(self.site):
            if journal.references is not None:
                return self._go_on(journal)
            return self._anew(journal)

    def _look(self, choice: Choice) -> Side:
        """Everything that can be known before anything is touched.

        :raises PostgresError: naming all that is missing.
        """
        began = time.monotonic()
        require_undamaged(choice.backup, self.settings.opening.public_key)
        self._rehash = time.monotonic() - began
        self._age = age_of(choice.backup)
        settings = self.settings
        with self.site.session() as conn:
            pg_restore = require_version(choice.backup, server_version(conn), settings.bin_dir)
            live = by_name(conn, self.site.target)
            require_no_prepared(conn, live)
            self._found = [*choice.findings, *stays_behind(conn, live)]
            keeps = not settings.ignore_tablespaces
            self.needs = look(
                conn,
                self.site.login,
                choice,
                settings.opening,
                live,
                pg_restore,
                Extent(settings.create_roles, with_tablespaces=keeps),
            )
            run = free_moment(conn, self.site.target)
        if self.needs.problems:
            raise PostgresError("; ".join(self.needs.problems))
        # Whoever cannot see the application could neither stop it nor tell that it stopped.
        self.around.application.is_running()
        self._plan(choice, live, run)
        tablespace = tablespace_for(choice, live, keeps)
        name = side_name(self.site.target, run)
        return Side(name, run, choice.backup, choice.entry, tablespace, pg_restore, settings.opening, keeps)

    def _plan(self, choice: Choice, live: Database | None, run: str) -> None:
        target, entry = self.site.target, choice.entry
        estimate: dict[str, t.Any] = {"bytes": self.needs.needed_bytes, "rows": rows_of(entry)}
        proof = choice.backup.verified or {}
        if "restore_seconds" in proof:
            estimate["seconds"] = proof["restore_seconds"]
        reason = f"from backup {choice.backup.name}, whose data is {format_duration(age_of(choice.backup))} old"
        side = side_name(target, run)
        plan = [
            ("create role", role, "missing on the server, in the backup's globals") for role in self.needs.missing_roles
        ]
        plan.append(("restore", side, reason))
        plan += [("stop", part.name, "it uses the database") for part in self.around.application.parts]
        if live:
            plan.append(("rename", f"{target} -> {old_name(target, run)}", "kept until it is retired"))
        plan.append(("rename", f"{side} -> {target}", "restored and compared with the manifest by then"))
        plan += [("start", part.name, "it was stopped") for part in self.around.application.parts]
        if self.around.health.asks:
            plan.append(("check", self.around.health.question, "else all of it is taken back"))
        self.outcome.planned = [
            {
                "database": target,
                "subject": subject,
                "action": action,
                "reason": why,
                "estimate": estimate if action == "restore" else {},
            }
            for action, subject, why in plan
        ]
        now = f"{target}: as it is now" if live else f"{target}: not there"
        self.outcome.before = [now]
        self.outcome.after = [f"{one['action']} {one['subject']} ({one['reason']})" for one in self.outcome.planned]
        self.outcome.after.append(f"{target}: {rows_of(entry)} rows, {format_size(int(entry['bytes']))}, {reason}")

    def _foretell(self, directory: str) -> Result:
        left = open_journal(directory, self.site).peek()
        if left is not None:
            require_same_backup(left, self.settings.wanted)
            summary = (
                f"the restore of {self.site.target!r} from backup {left['backup']} that was begun would be completed"
            )
            self.outcome.changed = True
            return ok_or_findings(summary, self.findings, {}, 1, 1)
        choice = self._choose()
        self._look(choice)
        self.outcome.changed = True
        entry = choice.entry
        summary = (
            f"database {self.site.target!r} would be restored from backup {choice.backup.name}:"
            f" {len(entry['stored_tables'])} tables, {rows_of(entry)} rows,"
            f" about {format_size(self.needs.needed_bytes)}"
        )
        return ok_or_findings(summary, self.findings, self.figures(), 1, 1)

    def _restore_beside(self, journal: Journal, side: Side) -> None:
        with self.site.session() as conn:
            stale = leftovers(conn, self.site.target)
        for name in stale:
            remove(self.site, name)
        roles = self.needs.missing_roles
        references = beside.references_of(self.site, self.settings.wanted.path, side, roles)
        journal.run(beside.steps(self.site, side, roles, self.measured), references)

    def _exchange(self, journal: Journal, side: Side) -> Result:
        change = self._change(side)
        self.stands = "it is not finished; run it again when the cause is mended"
        try:
            journal.run(exchange.steps(self.site, change, self.around, self.measured), change.references)
        except StepFailed as exc:
            if exc.undone:
                self._discard(side.name, self.needs.missing_roles)
            raise
        return self._told(change, taken_up=False)

    def _change(self, side: Side) -> Change:
        with self.site.session() as conn:
            live = by_name(conn, self.site.target)
            copy = by_name(conn, side.name)
            if copy is None:
                raise PostgresError(f"database {side.name!r} is gone: somebody dropped it")
            return Change(
                target=self.site.target,
                path=self.settings.wanted.path,
                backup=side.backup.name,
                run=side.run,
                entering_oid=copy.oid,
                entering_name=side.name,
                entering_mark=copy.properties.comment or "",
                leaving_oid=live.oid if live else 0,
                leaving_name=old_name(self.site.target, side.run) if live else "",
                leaving_allowed=live.allows if live else True,
                saved_comment=side.entry["comment"],
                saved_limit=side.entry["connection_limit"],
            )

    def _go_on(self, journal: Journal) -> Result:
        """Complete what a killed run began, and nothing else."""
        left = dict(journal.references or {})
        self.stands = "what a killed run began is still not finished"
        require_same_backup(left, self.settings.wanted)
        if "path" in left:
            self.outcome.backup = os.path.join(left["path"], left["backup"])
        taken = take_up(journal, self.site, self.settings.opening, self.settings.bin_dir, self.around, self.measured)
        if taken.undone:
            self._discard(taken.side, taken.roles)
            reason = "a run that was killed had failed before, and what it did was taken back: see why, and start again"
            return Result("failed", f"database {self.site.target!r} was not restored: all is as it was before", reason)
        if taken.copy is not None:
            self._age = age_of(taken.copy.backup)
            self.needs.missing_roles = list(taken.roles)
            return self._exchange(journal, taken.copy)
        if taken.change is None:  # something else was open, and is done now: what was asked for is still to be done
            return self._anew(journal)
        return self._told(taken.change, taken_up=True)

    def _choose(self) -> Choice:
        choice = choose(self.settings.wanted)
        self.outcome.backup = choice.backup.path
        return choice

    def _anew(self, journal: Journal) -> Result:
        side = self._look(self._choose())
        self._restore_beside(journal, side)
        return self._exchange(journal, side)

    def _discard(self, side: str, roles: t.Sequence[str]) -> None:
        """The copy was not taken into use: it and the roles that were made for it go away."""
        try:
            if side:
                remove(self.site, side)
            with self.site.session() as conn, contextlib.suppress(PostgresError):
                drop_roles(conn, roles)
        except PostgresError as exc:
            action = f"drop database {side}; the next restore does it, too"
            self._found.append(
                Finding("restore-copy-left", "low", side, f"not dropped: {one_line(exc)}", action=action)
            )

    def figures(self) -> dict[str, float]:
        measured = {
            "duration_seconds": time.monotonic() - self.began,
            "rehash_seconds": self._rehash,
            "restore_seconds": self.measured.restore,
            "verify_seconds": self.measured.verify,
            "swap_seconds": self.measured.swap,
            "stopped_seconds": self.measured.stopped,
            "rpo_seconds": self._age,
        }
        figures = {name: round(value, 3) for name, value in measured.items() if value is not None}
        if self.measured.compared.databases:
            figures["restored_tables"] = self.measured.compared.tables
            figures["restored_rows"] = self.measured.compared.rows
        if self.needs.needed_bytes:
            figures["needed_bytes"] = self.needs.needed_bytes
        return figures

    def _told(self, change: Change, taken_up: bool) -> Result:
        """Look at it once more from outside, as an application would."""
        conn = self.site.inside(change.target)
        conn.close()
        self.outcome.changed = True
        self.outcome.kept = change.leaving_name
        figures = self.figures()
        how = "the restore that a killed run began was completed" if taken_up else "restored"
        took = f" in {format_duration(figures['restore_seconds'])}" if "restore_seconds" in figures else ""
        stopped = (
            f"; the application stood for {format_duration(self.measured.stopped)}" if self.measured.stopped else ""
        )
        kept = f"; the old one is kept as {change.leaving_name}" if change.leaving_name else ""
        summary = f"database {change.target!r} {how} from backup {change.backup}{took}{stopped}{kept}"
        return ok_or_findings(summary, self.findings, figures, 1, 1)
