# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first half of a restore: a proved copy beside the database in use, which nobody notices.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.journal import Step
from .connection import PostgresError, query
from .proofs import Compared
from .restore_catalog import Properties, Site, by_name, saved_properties
from .restore_dressing import differences, dress
from .restore_naming import FILLED, PROVED
from .restore_roles import create_roles, drop_roles, missing
from .restore_side import Side, create, fill, prove, remove, seal, state_of

PHASE = "beside"


@dataclasses.dataclass
class Measured:
    """Seconds, as far as this very run has seen them."""

    restore: float | None = None
    verify: float | None = None
    swap: float | None = None
    stop_began: float | None = None
    start_ended: float | None = None
    compared: Compared = dataclasses.field(default_factory=Compared)

    @property
    def stopped(self) -> float | None:
        if self.stop_began is None or self.start_ended is None:
            return None
        return self.start_ended - self.stop_began


def references_of(site: Site, path: str, side: Side, roles: t.Sequence[str]) -> dict[str, t.Any]:
    """What a later process needs to take this up."""
    return {
        "phase": PHASE,
        "target": site.target,
        "path": path,
        "backup": side.backup.name,
        "run": side.run,
        "side": side.name,
        "roles": list(roles),
        "tablespace": side.tablespace,
        "with_tablespaces": side.with_tablespaces,
    }


def steps(site: Site, side: Side, roles: t.Sequence[str], measured: Measured) -> list[Step]:
    return [
        CreateRoles(site, side, roles),
        RestoreBeside(site, side, measured),
        ProveCopy(site, side, measured),
        CarryOver(site, side),
    ]


def model_for(conn: t.Any, site: Site, entry: t.Mapping[str, t.Any]) -> Properties:
    """Whose properties count: those of the database in use, or of the backup where there is none."""
    live = by_name(conn, site.target)
    return live.properties if live else saved_properties(conn, entry)


class CreateRoles:
    name = "create the roles"
    point_of_no_return = False

    def __init__(self, site: Site, side: Side, roles: t.Sequence[str]) -> None:
        self._site, self._side, self._roles = site, side, roles

    def is_done(self) -> bool:
        with self._site.session() as conn:
            return not missing(conn, self._roles)

    def do(self) -> None:
        with self._site.session() as conn:
            create_roles(conn, self._side.backup, self._side.opening, missing(conn, self._roles))

    def undo(self) -> None:
        with self._site.session() as conn:
            drop_roles(conn, self._roles)


class RestoreBeside:
    name = "restore beside"
    point_of_no_return = False

    def __init__(self, site: Site, side: Side, measured: Measured) -> None:
        self._site, self._side, self._measured = site, side, measured

    def is_done(self) -> bool:
        with self._site.session() as conn:
            return state_of(conn, self._side) in (FILLED, PROVED)

    def do(self) -> None:
        began = time.monotonic()
        create(self._site, self._side)
        fill(self._site, self._side)
        self._measured.restore = time.monotonic() - began

    def undo(self) -> None:
        remove(self._site, self._side.name)


class ProveCopy:
    name = "prove the copy"
    point_of_no_return = False

    def __init__(self, site: Site, side: Side, measured: Measured) -> None:
        self._site, self._side, self._measured = site, side, measured

    def is_done(self) -> bool:
        with self._site.session() as conn:
            return state_of(conn, self._side) == PROVED

    def do(self) -> None:
        began = time.monotonic()
        prove(self._site, self._side, self._measured.compared)
        seal(self._site, self._side)
        self._measured.verify = time.monotonic() - began

    def undo(self) -> None:
        """The copy goes away with the step that made it."""


class CarryOver:
    name = "carry over the properties"
    point_of_no_return = False

    def __init__(self, site: Site, side: Side) -> None:
        self._site, self._side = site, side

    def is_done(self) -> bool:
        with self._site.session() as conn:
            found = by_name(conn, self._side.name)
            if found is None:
                return False
            return not differences(found.properties, model_for(conn, self._site, self._side.entry))

    def do(self) -> None:
        with self._site.session() as conn:
            query(conn, "BEGIN")
            found = by_name(conn, self._side.name)
            if found is None:
                raise PostgresError(f"database {self._side.name!r} is gone: somebody dropped it")
            dress(conn, found.oid, model_for(conn, self._site, self._side.entry))
            query(conn, "COMMIT")

    def undo(self) -> None:
        """The copy goes away with the step that made it."""
