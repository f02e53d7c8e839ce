# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring for a review: what reads a whole table or index, and gives way to whoever waits for it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

It runs on a second connection, while the review's own looks who waits. That second connection is only made where
there is something large enough to be measured.
"""

from __future__ import annotations

import typing as t

from . import statements
from .connection import PostgresError
from .crew import Crew
from .reviewing import Look
from .session import Politeness, Session
from .statements import Ending, Job, Pause, Statement
from .work import Budget

#: As short as the review's own: no measuring needs more than the lightest lock.
_LOCK_SECONDS = 2

#: Whoever made us give way is done after a moment, as a rule.
_PAUSE_SECONDS = 1.0


class Measured:
    """What came of measuring: `rows` for each object that could be measured, the others are told by `conclude`."""

    def __init__(self, look: Look, endings: t.Mapping[int, Ending]) -> None:
        self._look = look
        self._endings = endings
        self._told: list[str] = []
        self._is_late = False

    def rows(self, oid: int, label: str) -> t.Sequence[t.Any] | None:
        """The answer of one object's query; None when there is none. One that was dropped meanwhile is forgotten."""
        ending = self._endings[oid]
        if ending.kind == statements.DONE:
            return ending.rows
        if ending.kind == statements.BUDGET:
            self._is_late = True
        elif not self._look.is_gone(oid):
            self._told.append(f"{label}: {_why(ending)}")
        return None

    def conclude(self) -> None:
        """:raises PostgresError: when anything could not be measured."""
        told = [f"{len(self._told)} could not be measured, first of all {self._told[0]}"] if self._told else []
        if self._is_late:
            told.append(f"check timeout: not done after {self._look.thresholds.check_timeout} s")
        if told:
            raise PostgresError("; ".join(told))


def measure(look: Look, wanted: t.Mapping[int, str]) -> Measured:
    """Run the query of each object, by its oid, in what is left of the check's time.

    :raises PostgresError: when a connection was lost, or could not be made.
    """
    endings: dict[int, Ending] = {}
    if wanted:
        politeness = Politeness(_LOCK_SECONDS, yield_after=look.thresholds.yield_after, replica_lag_bytes=0)
        session = Session.over(look.conn, "review", politeness, Budget(look.seconds_left))
        look.hurry()
        crew = Crew(session, look.login, look.database, jobs=1)
        crew.run((_one(oid, sql, endings) for oid, sql in wanted.items()), lambda _asked: {})
    return Measured(look, endings)


def _one(oid: int, sql: str, endings: dict[int, Ending]) -> Job:
    """Once more when it gave way; whoever holds a lock would only make everything else late."""
    ending: Ending = yield Statement(sql)
    if ending.kind == statements.GAVE_WAY:
        yield Pause(_PAUSE_SECONDS)
        ending = yield Statement(sql)
    endings[oid] = ending


def _why(ending: Ending) -> str:
    if ending.kind == statements.GAVE_WAY:
        return f"the measuring gave way to {ending.waiter}"
    return str(ending.error or ending.kind)
