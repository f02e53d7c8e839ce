# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The review of a server and its databases: looks at everything once, changes nothing, says what to do.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A check that this installation cannot do (an extension that is not there) is told as a finding and counted as not looked
at. A check that went wrong, or took too long, makes the verdict `unknown`; what the others found stands.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.result import Finding, Result
from . import review_checks, review_queries
from .connection import Login, PostgresError, connect, list_databases, query, quote
from .review_sizes import Previous, Sizes
from .review_unused import UnusedIndexes
from .reviewing import CannotLook, Check, Look, Thresholds

#: The lock timeout of looking: no check needs more than the lightest lock for a moment.
_LOCK_TIMEOUT = "2s"


@dataclasses.dataclass(frozen=True)
class Scope:
    """What to review, and what to compare with. No names of databases: all that accept connections."""

    databases: t.Sequence[str] = ()
    standbys: t.Sequence[Login] = ()
    previous: Previous = dataclasses.field(default_factory=Previous)


@dataclasses.dataclass
class Review:
    """Collects what the checks say."""

    findings: list[Finding] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    facts: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    looked: int = 0
    of: int = 0

    def run(self, checks: t.Sequence[Check], look: Look, subject: str) -> None:
        for number, check in enumerate(checks):
            if look.conn is not None and look.conn.closed:
                self.of += len(checks) - number
                names = ", ".join(name_of(rest) for rest in checks[number:])
                self.problems.append(f"{subject}: the connection was lost before: {names}")
                return
            self.of += 1
            look.begin()
            try:
                for finding in check(look):
                    self.findings.append(finding)
                self.looked += 1
            except CannotLook as exc:
                self._cannot_look(subject, str(exc), exc.action, exc.severity)
            except PostgresError as exc:
                self.problems.append(f"{subject}: {name_of(check)}: {exc}")

    def cannot_look(self, checks: int, subject: str, reason: str, action: str) -> None:
        """Not one of so many checks can be done."""
        self.of += checks
        self._cannot_look(subject, reason, action, "low")

    def _cannot_look(self, subject: str, reason: str, action: str, severity: str) -> None:
        told = f"cannot look: {reason}"
        self.findings.append(Finding("postgres.review.cannot_look", severity, subject, told, action=action))

    def result(self, databases: int, figures: dict[str, float]) -> Result:
        summary = f"review: {self.looked} of {self.of} checks, databases: {databases}, findings: {len(self.findings)}"
        if self.problems:
            reason = "; ".join(self.problems)
            return Result("unknown", summary, reason, tuple(self.findings), figures, self.looked, self.of)
        verdict = "findings" if self.findings else "ok"
        return Result(verdict, summary, "", tuple(self.findings), figures, self.looked, self.of)


def name_of(check: Check) -> str:
    return check.__name__.replace("_", " ")


def _open(login: Login, database: str | None) -> t.Any:
    conn = connect(login, database, "review")
    query(conn, f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
    query(conn, "SET default_transaction_read_only = on")
    return conn


def review(login: Login, scope: Scope, thresholds: Thresholds) -> tuple[Result, dict[str, t.Any]]:
    """Review the server and its databases; returns the result and the facts behind it (sizes, slow queries)."""
    started = time.monotonic()
    whole = Review()
    sizes, slow = Sizes(scope.previous), review_queries.SlowQueries()
    try:
        conn = _open(login, None)
    except PostgresError as exc:
        return Result("failed", "review could not start", str(exc)), {}
    try:
        look = Look(conn, "", thresholds, whole.facts, login)
        whole.run((*review_checks.SERVER, sizes.database_sizes), look, login.place)
        names = list_databases(conn, scope.databases)
        here = str(query(conn, "SELECT pg_catalog.current_database()::text")[0][0])
        checks = (
            *review_checks.DATABASE,
            UnusedIndexes(scope.standbys).unused_indexes,
            sizes.relation_sizes,
        )
        details = whole.facts["databases"] = {name: {} for name in names}
        closed = _without_grant(conn, names)
        for name in names:
            if name in closed:
                whole.cannot_look(len(checks), name, *closed[name])
                continue
            look = Look(conn if name == here else None, name, thresholds, details[name], login)
            _one_database(login, look, whole, checks, slow)
    except PostgresError as exc:
        return Result("failed", "review broke off", str(exc), tuple(whole.findings)), whole.facts
    finally:
        conn.close()
    whole.run([slow.conclude, sizes.growth], Look(None, "", thresholds, whole.facts, login), login.place)
    figures = {"duration_seconds": round(time.monotonic() - started, 3), "databases": len(names), **sizes.figures}
    return whole.result(len(names), figures), whole.facts


def _without_grant(conn: t.Any, names: t.Sequence[str]) -> dict[str, tuple[str, str]]:
    """The databases that this role may not connect to: why, and what would let it."""
    rows = query(
        conn,
        "SELECT datname::text, current_user::text FROM pg_catalog.pg_database"
        " WHERE datname = ANY (%s) AND NOT pg_catalog.has_database_privilege(oid, 'CONNECT')",
        (list(names),),
    )
    return {
        name: (
            f"role {role} may not connect to database {name}",
            f"GRANT CONNECT ON DATABASE {quote(name)} TO {quote(role)}",
        )
        for name, role in rows
    }


def _one_database(
    login: Login, look: Look, whole: Review, checks: t.Sequence[Check], slow: review_queries.SlowQueries
) -> None:
    """One connection a database: that of the server's checks serves its own database as well."""
    ours = None
    try:
        if look.conn is None:
            look.conn = ours = _open(login, look.database)
    except PostgresError as exc:
        whole.of += len(checks)
        whole.problems.append(str(exc))
        return
    try:
        whole.run(checks, look, look.database)
        if not look.conn.closed:
            look.begin()
            slow.try_here(look)
        size = (whole.facts.get("database_bytes") or {}).get(look.database)
        if size is not None:
            look.facts["size_bytes"] = size
    finally:
        if ours is not None:
            ours.close()
