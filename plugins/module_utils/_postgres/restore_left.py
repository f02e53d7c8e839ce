# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed run left behind: completed, or taken back.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.journal import Journal
from . import restore_beside as beside
from . import restore_exchange as exchange
from . import restore_retire as retire
from . import restore_tables as tables
from .backup_sets import BackupSet, read_sets
from .connection import PostgresError, server_version
from .restore_beside import Measured
from .restore_catalog import Site
from .restore_choice import Wanted, parse_moment, require_undamaged
from .restore_exchange import Change, Surroundings
from .restore_needs import require_version
from .restore_opening import Opening
from .restore_side import Side


@dataclasses.dataclass(frozen=True)
class TakenUp:
    """How it ended. With a copy, that is proved and waits to be exchanged; with a change, that is done."""

    undone: bool = False
    side: str = ""
    roles: tuple[str, ...] = ()
    copy: Side | None = None
    change: Change | None = None


def require_same_backup(left: t.Mapping[str, t.Any], wanted: Wanted) -> None:
    """A restore is only completed for somebody who does not ask for another one.

    :raises PostgresError: naming both ways on.
    """
    begun = left.get("backup")
    if left["phase"] not in (beside.PHASE, exchange.PHASE) or not begun:
        return
    other = wanted.backup and wanted.backup != begun
    if wanted.at:
        named = [backup for backup in read_sets(left["path"]) if backup.name == begun]
        other = not named or named[0].started > parse_moment(wanted.at)
    if other:
        raise PostgresError(
            f"a restore from backup {begun} was begun and not finished: ask for that one to complete it,"
            " or roll back to undo it, and then restore the other one"
        )


def take_up(
    journal: Journal, site: Site, opening: Opening, bin_dir: str, around: Surroundings, measured: Measured
) -> TakenUp:
    """Complete what was begun, forwards as a rule, backwards when it was being taken back.

    :raises StepFailed: as a run does.
    """
    left = dict(journal.references or {})
    if left["phase"] == exchange.PHASE:
        change = exchange.change_from(left)
        how = journal.resume(exchange.steps(site, change, around, measured))
        side = change.entering_name if change.carries_over else ""
        return TakenUp(undone=True, side=side) if how == "undone" else TakenUp(change=change)
    if left["phase"] == beside.PHASE:
        copy = side_from(site, left, opening, bin_dir)
        how = journal.resume(beside.steps(site, copy, left["roles"], measured))
        roles = tuple(left["roles"])
        return TakenUp(undone=how == "undone", side=left["side"], roles=roles, copy=None if how == "undone" else copy)
    if left["phase"] == tables.PHASE:
        tables.undo(journal, site)
    else:
        journal.resume(retire.steps(site, left["databases"]))
    return TakenUp()


def give_up(journal: Journal, site: Site, around: Surroundings) -> str:
    """Take back what was begun and not finished; returns the name of the copy that is no longer needed."""
    left = dict(journal.references or {})
    if left["phase"] == exchange.PHASE:
        change = exchange.change_from(left)
        journal.abandon(exchange.steps(site, change, around, Measured()))
        return change.entering_name if change.carries_over else ""
    if left["phase"] == beside.PHASE:
        journal.abandon(beside.steps(site, unread_side(left), left["roles"], Measured()))
        return str(left["side"])
    if left["phase"] == tables.PHASE:
        tables.undo(journal, site)
        return ""
    raise PostgresError("databases were being retired, which cannot be taken back: run that again")


def side_from(site: Site, left: t.Mapping[str, t.Any], opening: Opening, bin_dir: str) -> Side:
    """:raises PostgresError: when the backup is no longer there, or no longer what it was."""
    named = [backup for backup in read_sets(left["path"]) if backup.name == left["backup"]]
    if not named:
        raise PostgresError(f"backup {left['backup']} is no longer in {left['path']}: roll back to undo what was begun")
    if named[0].damage:
        raise PostgresError(f"backup {left['backup']} is damaged: {named[0].damage}")
    require_undamaged(named[0], opening.public_key)
    entry = next(entry for entry in named[0].manifest["databases"] if entry["name"] == left["target"])
    with site.session() as conn:
        pg_restore = require_version(named[0], server_version(conn), bin_dir)
    return _side(left, named[0], entry, pg_restore, opening)


def unread_side(left: t.Mapping[str, t.Any]) -> Side:
    """Enough of it to be taken back, when the backup may be gone."""
    return _side(left, BackupSet(left["backup"], left["path"]), {}, "", Opening())


def _side(
    left: t.Mapping[str, t.Any], backup: BackupSet, entry: t.Mapping[str, t.Any], pg_restore: str, opening: Opening
) -> Side:
    return Side(
        left["side"], left["run"], backup, entry, left["tablespace"], pg_restore, opening, left["with_tablespaces"]
    )
