# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drifted collations: their indexes are to be rebuilt, and when every one of them was, the version is refreshed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

This may take several runs. Which indexes were rebuilt and proved is remembered by their files; an index in any other
file counts as not rebuilt.
"""

from __future__ import annotations

import time
import typing as t

from .._core.result import Finding
from . import collations, sessions
from .catalog_indexes import Index
from .collations import Drift
from .connection import StatementError, query, server_version
from .memory import Memory
from .work import BLOCKED, BROKEN, FORBIDDEN, REFUSED, Done, NotDone, Outcome, Plan

_TOLD = 5

#: What a killed run may forget.
_SAVE_SECONDS = 5.0


class CollationDrift:
    """What drifted in one database; nothing when this is not asked for."""

    def __init__(self, conn: t.Any, database: str, memory: Memory, outcome: Outcome, wanted: bool = True) -> None:
        self._conn = conn
        self._database = database
        self._memory = memory
        self._outcome = outcome
        self._saved = float("-inf")
        self._drifts = collations.drifted(conn) if wanted else []
        self._of_index: dict[int, list[Drift]] = {}
        for drift in self._drifts:
            for oid in drift.indexes:
                self._of_index.setdefault(oid, []).append(drift)
        if wanted:
            self._tell_unknowable()

    def _tell_unknowable(self) -> None:
        text, feared = collations.unknowable(self._conn)
        if text:
            action = "REINDEX every index once after the C library was updated: every_index does that"
            severity = "medium" if feared else "info"
            identity = "postgres.reindex.collation_unknown"
            self._outcome.findings.append(Finding(identity, severity, self._database, text, action=action))

    def reason(self, index: Index) -> str:
        """Why an index is to be rebuilt; empty when it depends on no drifted collation, or was rebuilt since."""
        waiting = [drift.change for drift in self._of_index.get(index.oid, ()) if not self._has(drift, index.filenode)]
        return "; ".join(waiting)

    def rebuilt(self, before: Index, after: Index) -> None:
        """Remember that an index was rebuilt and proved."""
        drifts = self._of_index.get(before.oid, ())
        for drift in drifts:
            self._memory.note_rebuilt_file(_key(drift), after.filenode)
        if drifts and time.monotonic() - self._saved > _SAVE_SECONDS:
            self._memory.save()  # not only at the end: when this run is killed, the next one goes on from here
            self._saved = time.monotonic()

    def plans(self) -> list[Plan]:
        """The refreshes that come after the rebuilds."""
        return [self._plan(drift) for drift in self._drifts]

    def refresh(self, plans: t.Sequence[Plan]) -> None:
        """Refresh the versions of which every dependent index, as the catalog has them now, was rebuilt."""
        now = {drift.oid: drift for drift in collations.drifted(self._conn)} if self._drifts else {}
        for drift, plan in zip(self._drifts, plans):
            current = now.get(drift.oid)
            if current is None or _key(current) != _key(drift):
                self._outcome.planned.remove(plan)  # somebody else did it meanwhile, or it drifted once more
                continue
            obstacle = self._obstacle(current, plan)
            if obstacle:
                self._outcome.not_done.append(obstacle)
            elif not self._outcome.check:
                self._refresh(current, plan)

    def _obstacle(self, drift: Drift, plan: Plan) -> NotDone | None:
        if not drift.may_refresh:
            version = server_version(self._conn)
            return NotDone(plan, FORBIDDEN, *sessions.missing_grant(self._conn, version, drift.owner, must_own=True))
        if drift.partitioned:
            tables = ", ".join(drift.partitioned)
            reason = f"rows may lie in the wrong partition now: {tables} is partitioned by ranges of it"
            return NotDone(plan, REFUSED, reason, f"check the partitions of {tables}, then {drift.refresh_sql}", "high")
        if self._outcome.check:
            return None
        rest = self._rest(drift)
        if not rest:
            return None
        shown = ", ".join(rest[:_TOLD]) + (", ..." if len(rest) > _TOLD else "")
        reason = f"{len(rest)} of {len(drift.indexes)} dependent indexes are not rebuilt yet: {shown}"
        advice = f"the next run goes on; when all are rebuilt, {drift.refresh_sql} is what remains"
        return NotDone(plan, BLOCKED, reason, advice)

    def _rest(self, drift: Drift) -> list[str]:
        rows = query(
            self._conn,
            "SELECT n.nspname || '.' || c.relname, coalesce(pg_catalog.pg_relation_filenode(c.oid), 0)::bigint"
            " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE c.oid = ANY (%s::oid[]) ORDER BY 1",
            (list(drift.indexes),),
        )
        return [label for label, file in rows if not self._has(drift, file)]

    def _refresh(self, drift: Drift, plan: Plan) -> None:
        started = time.monotonic()
        try:
            query(self._conn, drift.refresh_sql)
        except StatementError as exc:
            if exc.connection_lost:
                raise
            self._outcome.not_done.append(NotDone(plan, BROKEN, str(exc)))
            return
        if any(found.oid == drift.oid for found in collations.drifted(self._conn)):
            self._outcome.not_done.append(NotDone(plan, BROKEN, "its version is still the old one"))
            return
        self._memory.forget(_key(drift))
        before, after = f"version {drift.recorded}", f"version {drift.actual}, {len(drift.indexes)} indexes rebuilt"
        self._outcome.done.append(Done(plan, before, after, time.monotonic() - started))

    def _plan(self, drift: Drift) -> Plan:
        action = "ALTER DATABASE REFRESH COLLATION VERSION" if drift.default else "ALTER COLLATION REFRESH VERSION"
        estimate = {"indexes": len(drift.indexes), "seconds": 0.0}
        reason = f"{drift.change}, {len(drift.indexes)} indexes depend on it"
        return Plan(self._database, drift.label, action, reason, estimate)

    def _has(self, drift: Drift, file: int) -> bool:
        return file in self._memory.rebuilt_files(_key(drift))


def _key(drift: Drift) -> str:
    return f"drift {drift.oid} {drift.recorded} {drift.actual}"
