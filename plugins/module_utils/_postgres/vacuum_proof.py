# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What VACUUM and ANALYZE did, by the catalog: a return code proves nothing here.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from .._core.sizes import format_size
from . import catalog_tables, sessions
from .catalog_tables import Table
from .session import Session
from .statements import BUDGET, CANCELLED, GAVE_WAY, Ending
from .work import BLOCKED, FORBIDDEN, NotDone, Plan
from .work import BUDGET as TIME_OVER


def moved(before: Table, after: Table, vacuumed: bool, analyzed: bool) -> bool:
    """Whether the statistics say that it happened; VACUUM (ANALYZE) reports its halves one after the other."""
    pairs = []
    if vacuumed:
        pairs.append((before.vacuumed, after.vacuumed))
    if analyzed:
        pairs.append((before.analyzed, after.analyzed))
    return all(new is not None and (old is None or new > old) for old, new in pairs)


def skipped(plan: Plan, after: Table, warnings: tuple[str, ...]) -> NotDone:
    """The server said that it did it, or warned that it did not, and the catalog shows nothing."""
    kind = BLOCKED if after.may_maintain else FORBIDDEN  # not by the warning, which may be in any language
    told = "; ".join(warnings) or "the server reported success, but the catalog shows no effect"
    return NotDone(plan, kind, told)


def kept(plan: Plan, before: Table, after: Table, holder: sessions.Holder | None, severity: str) -> NotDone:
    """It was done, and the rows are still there."""
    who = f"{holder} keeps them" if holder else "what keeps them is not visible to this role"
    left = f"{after.dead} of {before.dead} dead rows are still there"
    reason = f"{left}, oldest row {after.xid_age} transactions old: {who}"
    return NotDone(plan, BLOCKED, reason, holder.advice if holder else "grant pg_monitor to see who", severity)


def ended_early(session: Session, plan: Plan, oid: int, ending: Ending) -> NotDone:
    """Our time was over, or somebody was in the way, or we in somebody's."""
    if ending.kind == BUDGET:
        used_up = session.budget.used_up + (" before it was done" if ending.seconds else "")
        held_back = f": nothing was begun, because {ending.held_back}" if ending.held_back else ""
        advice = "give the run a larger budget, or run it more often"
        return NotDone(plan, TIME_OVER, used_up + held_back, advice)
    if ending.kind == CANCELLED:
        return NotDone(plan, BLOCKED, str(ending.error), "the next run tries again")
    times = f"{ending.attempts} times" if ending.attempts > 1 else "once"
    if ending.kind == GAVE_WAY:
        reason = f"gave way {times}, the last time to {ending.waiter}, who had waited for it longer than allowed"
        return NotDone(plan, BLOCKED, reason, "the next run tries again; a quieter hour would suit it better")
    reason = f"somebody held a lock for {session.politeness.lock_timeout} s, tried {times}"
    prepared = sessions.prepared_lock_holders(session.conn, oid)
    if prepared:
        return NotDone(plan, BLOCKED, f"{reason}, held by {prepared[0]}", prepared[0].advice)
    peers = sessions.lock_holders(session.conn, oid)
    held = f", held by {peers[0]}" if peers else ""
    return NotDone(plan, BLOCKED, f"{reason}{held}", "the next run tries again")


def state(table: Table, analyze: bool) -> str:
    """A table's state for the record, before and after."""
    if analyze:
        changes = table.leaf_modified if table.kind == catalog_tables.PARTITIONED else table.main.modified
        return f"{changes} rows changed since the last analyze"
    ages = f"oldest row {table.xid_age} transactions and {table.mxid_age} multixacts old"
    return f"{table.dead} dead rows, {table.main.inserted} inserted, {format_size(table.bytes)}, {ages}"
