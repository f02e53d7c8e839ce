# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring indexes as politely as everything else is done.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

pgstatindex reads a whole index and holds a lock on it meanwhile, for minutes if it is large. A DROP INDEX would wait
for it, and everybody else for the DROP: so the crew does it, side by side, within the budget, and gives way.
"""

from __future__ import annotations

import typing as t

from . import statements
from .bloat import Bloat, BloatMeter
from .catalog_indexes import Index
from .connection import Login
from .crew import Crew
from .session import Session
from .statements import Ending, Job, Statement, persist
from .tally import Tally


class Measure:
    """Finds the bloat of many indexes of one database."""

    def __init__(self, session: Session, login: Login, database: str, jobs: int) -> None:
        self.meter = BloatMeter(session.conn)
        self._session = session
        self._login = login
        self._database = database
        self._jobs = jobs

    def __call__(self, indexes: t.Sequence[Index]) -> dict[int, Bloat]:
        """The bloat by the oid of the index; each one is answered, if only with why it could not be found out."""
        found: dict[int, Bloat] = {}
        if indexes:
            largest_first = sorted(indexes, key=lambda index: -index.bytes)
            tally = Tally(
                "reindex", self._database, "indexes measured", len(indexes), sum(index.bytes for index in indexes)
            )
            crew = Crew(self._session, self._login, self._database, self._jobs, tally)
            crew.run((self._one(index, found) for index in largest_first), lambda _asked: {})
        return found

    def _one(self, index: Index, found: dict[int, Bloat]) -> Job:
        statement = Statement(self.meter.sql(index), weight=index.bytes)
        ending: Ending = yield from persist(statement, self._session.politeness)
        if ending.kind == statements.DONE:
            found[index.oid] = self.meter.judge(index, ending.rows)
        else:
            found[index.oid] = Bloat(None, self.meter.method, self._why_not(ending))

    def _why_not(self, ending: Ending) -> str:
        if ending.kind == statements.BUDGET:
            return self._session.budget.used_up
        if ending.kind == statements.GAVE_WAY:
            return f"the measuring gave way to {ending.waiter}"
        return str(ending.error or ending.kind)
