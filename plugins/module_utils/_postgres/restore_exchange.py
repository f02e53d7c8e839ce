# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second half of a restore, and the whole of a rollback: stop, close, exchange, start, ask whether all is well.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Nothing in it is final. When a step fails, the check of the application's health among them, the steps are taken back in
reverse order: the application is stopped, the names are exchanged again, the application is started.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.application import Application
from .._core.clock import utc_now, write_time
from .._core.health import Health
from .._core.journal import Step
from .connection import PostgresError
from .restore_beside import Measured
from .restore_catalog import Database, Site, by_oid
from .restore_naming import OLD, ROLLED_BACK, Mark
from .restore_swap import Entering, Leaving, close, exchange, is_closed, open_again

PHASE = "exchange"


@dataclasses.dataclass(frozen=True)
class Change:
    """Which database gives the name to which; all of it goes into the journal, as references."""

    target: str
    path: str
    backup: str
    run: str
    entering_oid: int
    entering_name: str  # before the exchange
    entering_mark: str
    leaving_oid: int  # 0: nobody has the name
    leaving_name: str  # after the exchange
    leaving_allowed: bool = True
    #: Whether the one that enters gets the properties of the one that leaves; else it keeps its own.
    carries_over: bool = True
    #: What comes with a name that nobody has, from the manifest.
    saved_comment: str | None = None
    saved_limit: int = -1

    @property
    def references(self) -> dict[str, t.Any]:
        return {"phase": PHASE, **dataclasses.asdict(self)}


def change_from(references: t.Mapping[str, t.Any]) -> Change:
    return Change(**{name: value for name, value in references.items() if name != "phase"})


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What stands around the database: who uses it, how to see that all is well, how long sessions may linger."""

    application: Application
    health: Health
    patience: float = 15


def steps(site: Site, change: Change, around: Surroundings, measured: Measured) -> list[Step]:
    swap = Swap(site, change, around, measured)
    return [
        StopApplication(swap, around, measured),
        CloseDatabase(site, change, swap, around),
        swap,
        StartApplication(around, measured),
        CheckHealth(around),
    ]


class Swap:
    name = "exchange the names"
    point_of_no_return = False

    def __init__(self, site: Site, change: Change, around: Surroundings, measured: Measured) -> None:
        self._site, self._change, self._around, self._measured = site, change, around, measured

    def is_done(self) -> bool:
        with self._site.session() as conn:
            entering = by_oid(conn, self._change.entering_oid)
            return entering is not None and entering.name == self._change.target

    def do(self) -> None:
        change = self._change
        with self._site.session() as conn:
            leaving = self._require(by_oid(conn, change.leaving_oid), change.target) if change.leaving_oid else None
            entering = self._require(by_oid(conn, change.entering_oid), change.entering_name)
            seconds = exchange(
                conn, self._leaves(leaving) if leaving else None, self._enters(entering, leaving), self._around.patience
            )
        self._measured.swap = seconds

    @staticmethod
    def _require(database: Database | None, name: str) -> Database:
        if database is None or database.name != name:
            now = f"is called {database.name!r} now" if database else "is gone"
            raise PostgresError(f"database {name!r} {now}: somebody else changed it")
        return database

    def _leaves(self, leaving: Database) -> Leaving:
        change = self._change
        mark = Mark(
            OLD,
            change.target,
            leaving.oid,
            change.run,
            state="" if change.carries_over else ROLLED_BACK,
            since=write_time(utc_now()),
            replaced_by=change.entering_oid,
            comment=leaving.properties.comment,
        )
        return Leaving(leaving.oid, change.leaving_name, mark.text())

    def _enters(self, entering: Database, leaving: Database | None) -> Entering:
        change = self._change
        if not change.carries_over:
            own = entering.mark.comment if entering.mark else entering.properties.comment
            return Entering(entering.oid, change.target, own)
        if leaving is None:
            return Entering(entering.oid, change.target, change.saved_comment, change.saved_limit)
        model = leaving.properties
        return Entering(entering.oid, change.target, model.comment, model.limit, model=model)

    def undo(self) -> None:
        if not self.is_done():
            return
        change = self._change
        with self._site.session() as conn:
            if not change.leaving_oid:
                back = Entering(change.entering_oid, change.entering_name, change.entering_mark, allows=False)
                exchange(conn, None, back, self._around.patience)
                return
            leaving = self._require(by_oid(conn, change.leaving_oid), change.leaving_name)
            own = leaving.mark.comment if leaving.mark else leaving.properties.comment
            exchange(
                conn,
                Leaving(change.entering_oid, change.entering_name, change.entering_mark),
                Entering(change.leaving_oid, change.target, own, allows=False),
                self._around.patience,
            )


class StopApplication:
    name = "stop the application"
    point_of_no_return = False

    def __init__(self, swap: Swap, around: Surroundings, measured: Measured) -> None:
        self._swap, self._around, self._measured = swap, around, measured

    def is_done(self) -> bool:
        # Behind the exchange it may run again, and must not be stopped once more.
        return self._swap.is_done() or self._around.application.is_stopped()

    def do(self) -> None:
        self._measured.stop_began = time.monotonic()
        self._around.application.stop()

    def undo(self) -> None:
        self._around.application.start()


class CloseDatabase:
    name = "close the database"
    point_of_no_return = False

    def __init__(self, site: Site, change: Change, swap: Swap, around: Surroundings) -> None:
        self._site, self._change, self._swap, self._around = site, change, swap, around

    def is_done(self) -> bool:
        if not self._change.leaving_oid or self._swap.is_done():
            return True
        with self._site.session() as conn:
            return is_closed(conn, self._change.leaving_oid)

    def do(self) -> None:
        with self._site.session() as conn:
            close(conn, self._change.leaving_oid, self._around.patience)

    def undo(self) -> None:
        if self._change.leaving_oid and self._change.leaving_allowed:
            with self._site.session() as conn:
                open_again(conn, self._change.leaving_oid)


class StartApplication:
    name = "start the application"
    point_of_no_return = False

    def __init__(self, around: Surroundings, measured: Measured) -> None:
        self._around, self._measured = around, measured

    def is_done(self) -> bool:
        return self._around.application.is_running()

    def do(self) -> None:
        self._around.application.start()
        self._measured.start_ended = time.monotonic()

    def undo(self) -> None:
        self._around.application.stop()


class CheckHealth:
    name = "check the application's health"
    point_of_no_return = False

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def is_done(self) -> bool:
        return not self._around.health.problem()

    def do(self) -> None:
        wrong = self._around.health.wait()
        if wrong:
            raise PostgresError(f"the application is not well: {wrong}")

    def undo(self) -> None:
        """Asking changes nothing."""
