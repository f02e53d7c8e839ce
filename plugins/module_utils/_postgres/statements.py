# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job asks of the crew, and what it gets back.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A job is a generator. It yields a :class:`Statement`, a :class:`Pause` or an :class:`Ask`, and is given an
:class:`Ending`, nothing, or the answer.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import sessions
from .connection import StatementError
from .session import Politeness

DONE = "done"
LOCK = "lock"  # somebody held a lock longer than lock_timeout
GAVE_WAY = "gave_way"  # we cancelled it ourselves: somebody waited for us
BUDGET = "budget"  # we cancelled it ourselves, or did not begin: the time was over
CANCELLED = "cancelled"  # somebody else cancelled it
STALE = "stale"  # not begun: it waited for its turn longer than `fresh_for`
ERROR = "error"

#: Pauses grow from one attempt to the next, up to this many seconds.
_LONGEST_PAUSE = 30.0


@dataclasses.dataclass(frozen=True)
class Statement:
    """One statement for a worker."""

    sql: str
    settings: t.Mapping[str, str] = dataclasses.field(default_factory=dict)  # of the session, only for this statement
    weight: int = 0  # bytes, for the progress
    grace: float = 0.0  # seconds it may take although the budget is used up: cleaning up after ourselves
    gives_way: bool = True
    fresh_for: float = 0.0  # seconds that it may wait for its turn before the job must look again; 0: any time


@dataclasses.dataclass(frozen=True)
class Pause:
    """Let others work for so many seconds; ends early when the budget does."""

    seconds: float


@dataclasses.dataclass(frozen=True)
class Ask:
    """A question that is answered together with those of other jobs; what is not in the answer is None."""

    key: t.Hashable
    hurries: bool = True  # whether a worker may get something to do by it


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a statement ended."""

    kind: str
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    error: StatementError | None = None
    waiter: sessions.Peer | None = None  # for whom we gave way
    attempts: int = 1
    rows: tuple[t.Any, ...] = ()  # what a query gave
    held_back: str = ""  # BUDGET: why it was not begun, when something else than the time kept it

    @property
    def in_the_way(self) -> bool:
        """Whether trying again may help."""
        return self.kind in (LOCK, GAVE_WAY)


Request = t.Union[Statement, Pause, Ask]
Job = t.Generator[Request, t.Any, None]
Clean = t.Callable[[], t.Generator[Request, t.Any, None]]


def persist(
    statement: Statement, politeness: Politeness, clean: Clean | None = None
) -> t.Generator[Request, t.Any, Ending]:
    """`ending = yield from persist(...)`: tries again, with growing pauses, while somebody is in the way.

    Between two attempts `clean` removes what the first one left behind. When the time is over before the next attempt
    has begun, the ending of the last one is given: what was in the way says more than that the time was over.
    """
    attempt, pause = 1, politeness.pause
    last: Ending = yield statement
    while last.in_the_way and attempt < politeness.attempts:
        if clean:
            yield from clean()
        yield Pause(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        ending: Ending = yield dataclasses.replace(statement, fresh_for=0.0)
        if ending.kind == BUDGET and not ending.seconds:
            break
        attempt += 1
        last = ending
    return dataclasses.replace(last, attempts=attempt)
