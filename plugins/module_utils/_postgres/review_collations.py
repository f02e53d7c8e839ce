# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks: collations that sort otherwise than when their indexes were built.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.result import Finding
from . import collations
from .connection import quote
from .reviewing import CannotLook, Look, some

_PG15 = 150000


def collation_drift(look: Look) -> t.Iterator[Finding]:
    """In one database: its default collation, and every other that something is sorted by."""
    look.hurry()
    drifted = collations.drifted(look.conn)
    known = {index.oid: index for index in look.indexes()} if drifted else {}
    for drift in drifted:
        names = [known[oid].label if oid in known else f"index with oid {oid}" for oid in drift.indexes]
        message = f"{drift.change}: text may sort otherwise than in {len(names)} indexes"
        message += f" ({some(names)})" if names else ""
        if drift.partitioned:
            message += f", and rows may lie in wrong partitions of {some(drift.partitioned)}"
        action = drift.refresh_sql
        if names:
            rebuild = [known[oid].sql_name for oid in drift.indexes if oid in known]
            action = f"first REINDEX INDEX CONCURRENTLY {some(rebuild)}, then {action}: postgres_reindex does both"
        severity = "high" if names or drift.partitioned else "low"
        yield look.finding("collation", severity, drift.label, message, action, drift.actual, drift.recorded)
    doubt, feared = collations.unknowable(look.conn)
    if feared:
        action = "REINDEX every index over text, in a window, and upgrade to PostgreSQL 15 or newer"
        yield look.finding("collation", "high", "default collation", doubt, action)
    elif doubt:
        if look.version >= _PG15:
            action = (
                f"ALTER DATABASE {quote(look.database)} REFRESH COLLATION VERSION, after a REINDEX of indexes over text"
            )
        else:
            action = (
                "after an upgrade of the operating system REINDEX every index over text, until PostgreSQL 15 or newer"
            )
        raise CannotLook(f"collation drift: {doubt}", action, "info")


def collations_of_other_databases(look: Look) -> t.Iterator[Finding]:
    """Templates and databases that refuse connections; nobody is connected to them for it."""
    if look.version < _PG15:
        return
    rows = look.query(
        """
SELECT datname::text, datcollversion, pg_catalog.pg_database_collation_actual_version(oid)
FROM pg_catalog.pg_database WHERE datistemplate OR NOT datallowconn ORDER BY 1"""
    )
    for name, recorded, actual in rows:
        if recorded and actual and recorded != actual:
            message = f"its default collation went from version {recorded} to {actual}: copies of it inherit the doubt"
            action = f"REINDEX what is in it, then ALTER DATABASE {quote(name)} REFRESH COLLATION VERSION"
            yield look.finding("collation", "medium", f"database {name}", message, action, actual, recorded)
