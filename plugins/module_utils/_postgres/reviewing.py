# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of a review share.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A check is a function that yields findings. What it yielded before it ran out of time, or into an error, stands.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.result import Finding
from . import catalog_indexes, catalog_tables, sessions
from .connection import Login, PostgresError, query, quote, server_version

_FLOOR_MILLISECONDS = 1000

#: The timeout of the server is set anew when less than this share of it is left: not before every statement.
_STILL_GOOD = 0.9

_T = t.TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """From where on something is told."""

    slow_mean_ms: int = 500
    slow_share_percent: int = 25
    bloat_percent: int = 40
    table_bloat_percent: int = 40
    minimum_bytes: int = 1024 * 1024
    dead_percent: int = 20
    cache_hit_percent: int = 90
    connections_percent: int = 80
    transaction_age: int = 3600
    blocked_after: int = 10
    unused_after: int = 30 * 86400
    sequence_percent: int = 80
    slot_bytes: int = 1024**3
    replication_lag_bytes: int = 256 * 1024**2
    replication_lag: int = 300
    growth_percent: int = 50
    growth_bytes: int = 1024**3
    check_timeout: int = 30
    yield_after: int = 2


class CannotLook(Exception):
    """The installation does not offer what a check needs, or the role may not use it; `action` says what would help."""

    def __init__(self, reason: str, action: str, severity: str = "low") -> None:
        super().__init__(reason)
        self.action = action
        self.severity = severity


@dataclasses.dataclass
class Look:
    """What a check is given: a connection, what to call the place, and where to leave facts."""

    conn: t.Any
    database: str
    thresholds: Thresholds
    facts: dict[str, t.Any]
    login: Login
    _memory: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    _deadline: float = 0.0
    _limit: float = 0.0

    # -- time --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the clock of a check."""
        self._deadline = time.monotonic() + self.thresholds.check_timeout
        self._limit = 0.0

    @property
    def seconds_left(self) -> float:
        """Of the check's time."""
        return self._deadline - time.monotonic()

    def hurry(self) -> None:
        """Give the next statement what is left of the check's time.

        :raises PostgresError: when nothing is left.
        """
        left = self.seconds_left
        if left <= 0:
            raise PostgresError(f"check timeout: not done after {self.thresholds.check_timeout} s")
        if self._limit and left > self._limit * _STILL_GOOD:
            return
        self._limit = left
        query(self.conn, f"SET statement_timeout = {max(_FLOOR_MILLISECONDS, int(left * 1000))}")

    def query(self, sql: str, parameters: t.Any = None) -> list[t.Any]:
        self.hurry()
        return query(self.conn, sql, parameters)

    # -- what several checks need is asked once ------------------------------------------------------------------

    def once(self, name: str, ask: t.Callable[[], _T]) -> _T:
        if name not in self._memory:
            self.hurry()
            self._memory[name] = ask()
        return t.cast(_T, self._memory[name])

    @property
    def version(self) -> int:
        return server_version(self.conn)

    def tables(self) -> list[catalog_tables.Table]:
        return self.once("tables", lambda: catalog_tables.tables(self.conn))

    def table_sizes(self) -> dict[int, int]:
        """Of the users' tables, with their TOAST tables."""
        wanted = [table.oid for table in self.tables() if not table.system]
        return self.once("table_sizes", lambda: catalog_tables.sizes(self.conn, wanted))

    def indexes(self) -> list[catalog_indexes.Index]:
        return self.once("indexes", lambda: catalog_indexes.indexes(self.conn))

    def role(self) -> str:
        return str(self.once("role", lambda: query(self.conn, "SELECT current_user::text"))[0][0])

    # -- what it may see -----------------------------------------------------------------------------------------

    def monitors(self) -> bool:
        """Whether this role is told what other users' sessions and statements do."""
        return self.once("monitors", lambda: sessions.sees_other_sessions(self.conn))

    def must_monitor(self, what: str) -> None:
        """:raises CannotLook: naming the grant without which `what` cannot be seen."""
        if not self.monitors():
            role = self.role()
            raise CannotLook(f"role {role} does not see {what}", f"GRANT pg_monitor TO {quote(role)}")

    def is_gone(self, oid: int) -> bool:
        """Whether a relation was dropped meanwhile: then nothing about it is amiss."""
        return not self.query("SELECT 1 FROM pg_catalog.pg_class WHERE oid = %s::oid", (oid,))

    # -- what it says --------------------------------------------------------------------------------------------

    def finding(
        self,
        what: str,
        severity: str,
        subject: str,
        message: str,
        action: str,
        value: t.Any = None,
        limit: t.Any = None,
    ) -> Finding:
        where = f"{self.database}: {subject}" if self.database and subject != self.database else subject
        return Finding(f"postgres.review.{what}", severity, where, message, value, limit, action)


Check = t.Callable[[Look], t.Iterable[Finding]]


def some(labels: t.Sequence[str], most: int = 3) -> str:
    """The first few of many, for a sentence."""
    rest = len(labels) - most
    return ", ".join(labels[:most]) + (f" and {rest} more" if rest > 0 else "")
