# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server the rows are read from: a standby spares the primary the work, as long as it is near enough.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.durations import format_duration
from .._core.result import Finding
from .connection import Login, PostgresError, connect, is_standby, one_line, query

_SYSTEM = "SELECT system_identifier::text FROM pg_control_system()"
_POSITION = "SELECT pg_current_wal_lsn()::text"

# A standby that has replayed all that the primary had written is up to date, however long ago that was.
_LAG = """
SELECT CASE WHEN pg_last_wal_replay_lsn() >= %s::pg_lsn THEN 0
  ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8"""

#: One that was just started has replayed no transaction yet, and will be up to date in a moment.
_PATIENCE = 5.0


@dataclasses.dataclass(frozen=True)
class Source:
    """Where to dump from, and what somebody should know about that."""

    login: Login
    is_standby: bool
    lag_seconds: float = 0
    finding: Finding | None = None


def choose_source(primary: Login, conn: t.Any, standby: Login | None, most_lag: int) -> Source:
    """The standby when it is one of this primary and lags no more than `most_lag` seconds; else the primary.

    :param conn: a connection to the primary.
    """
    if standby is None:
        return Source(primary, is_standby(conn))
    try:
        lag = _lag(conn, standby)
    except PostgresError as exc:
        return Source(primary, False, finding=_instead(standby, one_line(exc, standby.password)))
    if lag is None or lag > most_lag:
        behind = "it does not know how far it is" if lag is None else f"it is {format_duration(lag)} behind"
        told = f"{behind}, and {format_duration(most_lag)} are allowed"
        return Source(primary, False, finding=_instead(standby, told))
    return Source(standby, True, lag)


def _lag(conn: t.Any, standby: Login) -> float | None:
    """:raises PostgresError: when it cannot be reached, or is no standby of this primary."""
    ((system,),) = query(conn, _SYSTEM)
    ((position,),) = query(conn, _POSITION)
    other = connect(standby, application="backup")
    try:
        if not is_standby(other):
            raise PostgresError(f"{standby.place} is no standby")
        ((found,),) = query(other, _SYSTEM)
        if found != system:
            raise PostgresError(f"{standby.place} is a standby of another server (system identifier {found})")
        deadline = time.monotonic() + _PATIENCE
        while True:
            ((lag,),) = query(other, _LAG, (position,))
            if lag is not None:
                return float(lag)
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.2)
    finally:
        other.close()


def _instead(standby: Login, why: str) -> Finding:
    message = f"the backup was made from the primary instead: {why}"
    return Finding("backup-not-from-standby", "medium", standby.place, message, action="look after the standby")
