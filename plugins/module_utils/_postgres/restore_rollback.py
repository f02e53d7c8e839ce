# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: the database that a restore put aside takes its name again.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.application import ApplicationError
from .._core.durations import format_duration
from .._core.journal import JournalError, StepFailed
from .._core.locks import Busy
from .._core.result import Finding, Result, ok_or_findings
from .._core.suggest import InputError, did_you_mean
from . import restore_exchange as exchange
from .connection import Login, PostgresError, one_line
from .restore import Outcome
from .restore_beside import Measured
from .restore_catalog import Database, Site, by_name, databases, free_moment, site_for
from .restore_exchange import Change, Surroundings
from .restore_journal import as_account, only_one, open_journal, state_directory
from .restore_left import give_up
from .restore_naming import OLD, ROLLED_BACK, old_name
from .restore_needs import require_no_prepared
from .restore_side import remove


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to go back to: the newest that was put aside, or the one of this name."""

    database: str
    kept: str = ""
    state_dir: str = ""
    os_user: str = ""


def roll_back(login: Login, settings: Settings, around: Surroundings, check: bool, outcome: Outcome) -> Result:
    """Exchange the names again; whatever goes wrong is in the result, and says how production stands."""
    site = site_for(login, settings.database)
    try:
        directory = state_directory(settings.state_dir)
        with as_account(settings.os_user, directory, check):
            return (
                _go(site, settings, around, outcome, directory)
                if not check
                else _foretell(site, settings, around, outcome, directory)
            )
    except StepFailed as exc:
        outcome.changed = not exc.undone
        stands = (
            "all is as it was before" if exc.undone else "it is not finished; run it again when the cause is mended"
        )
        summary = f"database {settings.database!r} was not rolled back: {stands}"
        return Result("failed", summary, one_line(exc, login.password))
    except (PostgresError, ApplicationError, InputError, JournalError, Busy, OSError) as exc:
        return Result("failed", f"database {settings.database!r} was not rolled back", one_line(exc, login.password))


def _go(site: Site, settings: Settings, around: Surroundings, outcome: Outcome, directory: str) -> Result:
    began, measured = time.monotonic(), Measured()
    with open_journal(directory, site) as journal, only_one(site):
        if journal.references is not None and journal.references["phase"] == exchange.PHASE:
            change = exchange.change_from(journal.references)
            if not change.carries_over:  # a rollback that was killed is completed, not taken back
                how = journal.resume(exchange.steps(site, change, around, measured))
                if how == "undone":
                    raise PostgresError("a rollback that was killed had failed and was taken back: all is as before it")
                return _told(change, measured, began, outcome)
        if journal.references is not None:
            copy = give_up(journal, site, around)
            if copy:
                remove(site, copy)
            outcome.changed = True
            summary = f"the restore of {site.target!r} that was begun and not finished was taken back"
            return ok_or_findings(summary, (), {"duration_seconds": round(time.monotonic() - began, 3)}, 1, 1)
        wanted = _change(site, settings)
        if wanted is None:
            return _nothing_to_do(site, began)
        around.application.is_running()  # who cannot see it can neither stop it nor tell that it stopped
        journal.run(exchange.steps(site, wanted, around, measured), wanted.references)
    return _told(wanted, measured, began, outcome)


def _foretell(site: Site, settings: Settings, around: Surroundings, outcome: Outcome, directory: str) -> Result:
    left = open_journal(directory, site).peek()
    outcome.changed = True
    if left is not None:
        completed = left["phase"] == exchange.PHASE and not left["carries_over"]
        what = "completed" if completed else "taken back"
        return ok_or_findings(f"what was begun with {site.target!r} and not finished would be {what}", (), {}, 1, 1)
    change = _change(site, settings)
    if change is None:
        outcome.changed = False
        return _nothing_to_do(site, time.monotonic())
    around.application.is_running()
    outcome.kept = change.leaving_name
    outcome.before = [f"{site.target}: the restored one", f"{change.entering_name}: kept"]
    outcome.after = [f"{site.target}: what is {change.entering_name} now"]
    outcome.after += [f"{change.leaving_name}: the restored one, kept"] if change.leaving_oid else []
    outcome.planned = [
        {
            "database": site.target,
            "subject": f"{change.entering_name} -> {site.target}",
            "action": "rename",
            "reason": "it was put aside by a restore",
            "estimate": {},
        }
    ]
    return ok_or_findings(f"{change.entering_name!r} would become {site.target!r} again", (), {}, 1, 1)


def _nothing_to_do(site: Site, began: float) -> Result:
    summary = f"database {site.target!r} was rolled back before; name the restored one in `kept` to take it again"
    return ok_or_findings(summary, (), {"duration_seconds": round(time.monotonic() - began, 3)}, 1, 1)


def _change(site: Site, settings: Settings) -> Change | None:
    """What is to be exchanged for what; None when that was done already."""
    with site.session() as conn:
        live = by_name(conn, site.target)
        require_no_prepared(conn, live)
        kept = _kept(conn, site.target, live)
        if settings.kept:
            chosen = [one for one in kept if one.name == settings.kept]
            if not chosen:
                near = did_you_mean(settings.kept, [one.name for one in kept])
                raise InputError(f"kept: {settings.kept!r} was not put aside by a restore of {site.target!r}; {near}")
        else:
            # What an even earlier restore put aside is not what this one replaced.
            chosen = [one for one in kept if not live or (one.mark and one.mark.replaced_by == live.oid)]
            if live and chosen and chosen[0].mark and chosen[0].mark.state == ROLLED_BACK:
                return None
        if not chosen:
            raise PostgresError(
                f"there is nothing to go back to: no database was put aside for the present {site.target!r}"
            )
        run = free_moment(conn, site.target)  # a restore of this very second may have taken the name
        return Change(
            target=site.target,
            path="",
            backup="",
            run=run,
            entering_oid=chosen[0].oid,
            entering_name=chosen[0].name,
            entering_mark=chosen[0].properties.comment or "",
            leaving_oid=live.oid if live else 0,
            leaving_name=old_name(site.target, run) if live else "",
            leaving_allowed=live.allows if live else True,
            carries_over=False,
        )


def _kept(conn: t.Any, target: str, live: Database | None) -> list[Database]:
    """The databases that were put aside for this name, the last one first."""
    found = []
    for database in databases(conn):
        mark = database.mark
        if mark and mark.kind == OLD and mark.of == target and (not live or database.oid != live.oid):
            found.append((mark.since, database))
    return [database for _since, database in sorted(found, key=lambda one: one[0], reverse=True)]


def _told(change: Change, measured: Measured, began: float, outcome: Outcome) -> Result:
    outcome.changed = True
    outcome.kept = change.leaving_name
    figures = {"duration_seconds": time.monotonic() - began, "swap_seconds": measured.swap}
    figures["stopped_seconds"] = measured.stopped
    stopped = f"; the application stood for {format_duration(measured.stopped)}" if measured.stopped else ""
    findings = []
    if change.leaving_name:
        message = f"what was written since the restore is in {change.leaving_name}, and not in {change.target}"
        action = (
            f"look whether something in it is needed; it is dropped like every kept database ({change.leaving_name})"
        )
        findings.append(Finding("restore-written-since", "info", change.target, message, action=action))
    return ok_or_findings(
        f"database {change.target!r} is again what was kept as {change.entering_name}{stopped}",
        findings,
        {name: round(value, 3) for name, value in figures.items() if value is not None},
        1,
        1,
    )
