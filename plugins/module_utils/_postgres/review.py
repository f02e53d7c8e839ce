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
from . import review_databases, review_queries, review_server
from .connection import Login, PostgresError, connect, list_databases, query
from .reviewing import CannotLook, Check, Look, Thresholds

#: The lock timeout of looking: no check needs more than the lightest lock for a moment.
_LOCK_TIMEOUT = "2s"

_FLOOR_MILLISECONDS = 1000


@dataclasses.dataclass
class Review:
    """Collects what the checks say."""

    thresholds: Thresholds
    findings: list[Finding] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    facts: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    looked: int = 0
    of: int = 0

    def run(self, checks: t.Sequence[Check], look: Look, subject: str) -> None:
        for check in checks:
            self.of += 1
            try:
                self.findings += check(look)
                self.looked += 1
            except CannotLook as exc:
                self.findings += exc.found
                self.findings.append(
                    Finding("postgres.review.cannot_look", "low", subject, f"cannot look: {exc}", action=exc.action)
                )
            except PostgresError as exc:
                self.problems.append(f"{subject}: {name_of(check)}: {exc}")

    def result(self, databases: int, seconds: float) -> Result:
        summary = f"review: {self.looked} of {self.of} checks, databases: {databases}, findings: {len(self.findings)}"
        figures = {"duration_seconds": round(seconds, 3), "databases": databases}
        if self.problems:
            reason = "; ".join(self.problems)
            return Result("unknown", summary, reason, tuple(self.findings), figures, self.looked, self.of)
        verdict = "findings" if self.findings else "ok"
        return Result(verdict, summary, "", tuple(self.findings), figures, self.looked, self.of)


def name_of(check: Check) -> str:
    return check.__name__.replace("_", " ")


def _open(login: Login, database: str | None, timeout: int) -> t.Any:
    conn = connect(login, database, "review")
    query(conn, f"SET statement_timeout = {max(_FLOOR_MILLISECONDS, timeout * 1000)}")
    query(conn, f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
    query(conn, "SET default_transaction_read_only = on")
    return conn


def review(login: Login, wanted: t.Sequence[str], thresholds: Thresholds) -> tuple[Result, dict[str, t.Any]]:
    """Review the server and its databases; returns the result and the facts behind it (sizes, slow queries)."""
    started = time.monotonic()
    whole = Review(thresholds)
    try:
        conn = _open(login, None, thresholds.check_timeout)
    except PostgresError as exc:
        return Result("failed", "review could not start", str(exc)), {}
    try:
        server = Look(conn, "", thresholds, whole.facts)
        whole.run(review_server.CHECKS, server, login.place)
        names = list(dict.fromkeys(wanted)) or list_databases(conn)
    except PostgresError as exc:
        return Result("failed", "review broke off", str(exc), tuple(whole.findings)), whole.facts
    finally:
        conn.close()
    details: dict[str, t.Any] = {}
    whole.facts["databases"] = details
    slow = review_queries.SlowQueries()
    for name in names:
        details[name] = {}
        _one_database(login, name, whole, Look(None, name, thresholds, details[name]), slow)
    whole.run([slow.conclude], Look(None, "", thresholds, whole.facts), login.place)
    return whole.result(len(names), time.monotonic() - started), whole.facts


def _one_database(login: Login, name: str, whole: Review, look: Look, slow: review_queries.SlowQueries) -> None:
    try:
        conn = _open(login, name, whole.thresholds.check_timeout)
    except PostgresError as exc:
        whole.of += len(review_databases.CHECKS)
        whole.problems.append(str(exc))
        return
    try:
        look = dataclasses.replace(look, conn=conn)
        whole.run(review_databases.CHECKS, look, name)
        slow.try_here(look)
    finally:
        conn.close()
