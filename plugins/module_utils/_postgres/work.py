# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What maintenance planned, did and did not do, and the result that follows from it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
import typing as t

from .._core.durations import format_duration
from .._core.result import Finding, Result, merge
from .._core.sizes import format_size
from .._core.suggest import InputError
from .connection import Login, PostgresError, connect, is_standby, list_databases, query, quote

#: Why a needed action was not done -> how bad that is, and whether the whole activity failed by it.
BLOCKED = "blocked"  # by somebody else: a lock, an old transaction, another run
BUDGET = "budget"  # our own time was over
REFUSED = "refused"  # the server's version or the kind of object does not allow it
FORBIDDEN = "forbidden"  # a privilege is missing
BROKEN = "broken"  # it was tried and went wrong
_FAILURES = (FORBIDDEN, BROKEN)
_SEVERITIES = {BLOCKED: "medium", BUDGET: "low", REFUSED: "low", FORBIDDEN: "medium", BROKEN: "high"}


_DROP_SECONDS = 2.0

#: How many reasons are told in one line; the findings hold them all.
_TOLD = 5


@dataclasses.dataclass(frozen=True)
class Plan:
    """One action that is needed."""

    database: str
    subject: str
    action: str
    reason: str
    estimate: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, t.Any]:
        return dict(vars(self), estimate=dict(self.estimate))

    @property
    def outlook(self) -> str:
        """What would be done, and the estimate where there is one: "VACUUM would be done, 12.3 MB, about 1.2 s"."""
        told = [f"{self.action} would be done"]
        if "bytes" in self.estimate:
            told.append(format_size(self.estimate["bytes"]))
        if "seconds" in self.estimate:
            told.append(f"about {format_duration(self.estimate['seconds'])}")
        return ", ".join(told)


@dataclasses.dataclass(frozen=True)
class Done:
    """One action whose effect was read back from the catalog."""

    plan: Plan
    before: str
    after: str
    seconds: float
    reclaimed_bytes: int = 0

    def to_dict(self) -> dict[str, t.Any]:
        return {
            "database": self.plan.database,
            "subject": self.plan.subject,
            "action": self.plan.action,
            "reason": self.plan.reason,
            "before": self.before,
            "after": self.after,
            "duration_seconds": round(self.seconds, 3),
            "reclaimed_bytes": self.reclaimed_bytes,
        }


@dataclasses.dataclass(frozen=True)
class NotDone:
    """One needed action that did not happen, and why."""

    plan: Plan
    kind: str
    reason: str
    advice: str = ""
    severity: str = ""

    def to_dict(self) -> dict[str, t.Any]:
        return {
            "database": self.plan.database,
            "subject": self.plan.subject,
            "action": self.plan.action,
            "reason": self.reason,
            "kind": self.kind,
        }

    def finding(self, task: str) -> Finding:
        return Finding(
            id=f"postgres.{task}.{self.kind}",
            severity=self.severity or _SEVERITIES[self.kind],
            subject=f"{self.plan.database}: {self.plan.subject}",
            message=f"{self.plan.action} is needed ({self.plan.reason}) but was not done: {self.reason}",
            action=self.advice,
        )


@dataclasses.dataclass
class Outcome:
    """Collects what happened in one database, or in all of them."""

    task: str
    check: bool = False
    planned: list[Plan] = dataclasses.field(default_factory=list)
    done: list[Done] = dataclasses.field(default_factory=list)
    not_done: list[NotDone] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    looked: int = 0
    of: int = 0
    seconds: float = 0.0

    @property
    def changed(self) -> bool:
        """Whether the catalog shows an effect; in check mode, whether anything would be done."""
        if not self.check:
            return bool(self.done)
        blocked = {id(item.plan) for item in self.not_done}
        return any(id(plan) not in blocked for plan in self.planned)

    def result(self, noun: str) -> Result:
        """The result of one database: `noun` is what was looked at ("tables", "indexes")."""
        findings = tuple(self.findings) + tuple(item.finding(self.task) for item in self.not_done)
        figures: dict[str, float] = {
            "duration_seconds": round(self.seconds, 3),
            f"needed_{noun}": len(self.planned),
            "done": len(self.done),
            "not_done": len(self.not_done),
            "reclaimed_bytes": sum(item.reclaimed_bytes for item in self.done),
        }
        kinds = {item.kind for item in self.not_done}
        reasons = list(dict.fromkeys(f"{item.plan.subject}: {item.reason}" for item in self.not_done))
        more = [f"and {len(reasons) - _TOLD} more"] if len(reasons) > _TOLD else []
        reason = "; ".join(reasons[:_TOLD] + more)
        if kinds.intersection(_FAILURES):
            verdict = "failed"
        elif self.not_done and not self.done and not self.check:
            verdict = "skipped"
        else:
            verdict = "findings" if findings else "ok"
        return Result(verdict, self.summary(noun), reason, findings, figures, self.looked, self.of)

    def add(self, part: Outcome) -> None:
        """Take in what happened in one database."""
        self.planned += part.planned
        self.done += part.done
        self.not_done += part.not_done
        self.findings += part.findings
        self.looked += part.looked
        self.of += part.of
        self.seconds += part.seconds

    def summary(self, noun: str) -> str:
        looked = f"{self.looked} {noun} looked at"
        if not self.planned:
            return f"{self.task}: nothing needed, {looked}"
        if self.check:
            return f"{self.task}: {len(self.planned)} actions needed, {looked}"
        skipped = f", {len(self.not_done)} not done" if self.not_done else ""
        return f"{self.task}: {len(self.done)} of {len(self.planned)} needed actions done{skipped}, {looked}"

    def beside(self) -> dict[str, t.Any]:
        """The keys that the modules return beside the result shape."""
        return {
            "planned": [plan.to_dict() for plan in self.planned],
            "done": [item.to_dict() for item in self.done],
            "not_done": [item.to_dict() for item in self.not_done],
            "diff": self._diff(),
        }

    def _diff(self) -> dict[str, str]:
        label = f"postgres {self.task}"
        if self.check:
            before = [f"{plan.database} {plan.subject}: {plan.reason}\n" for plan in self.planned]
            after = [f"{plan.database} {plan.subject}: {plan.outlook}\n" for plan in self.planned]
        else:
            before = [f"{item.plan.database} {item.plan.subject}: {item.before}\n" for item in self.done]
            after = [f"{item.plan.database} {item.plan.subject}: {item.after}\n" for item in self.done]
        return {"before_header": label, "after_header": label, "before": "".join(before), "after": "".join(after)}


class Budget:
    """The time that one run may take, over all databases: so many seconds, and not beyond a deadline."""

    def __init__(self, seconds: float, deadline: datetime.datetime | None = None) -> None:
        self.seconds = seconds
        self.deadline = deadline
        self._ends = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, min(self._ends - time.monotonic(), self._until_deadline()))

    @property
    def used_up(self) -> str:
        """For people, when nothing is left: which of the two it was."""
        if self.deadline is not None and self._until_deadline() < self._ends - time.monotonic():
            return f"the deadline {self.deadline.isoformat(' ', 'seconds')} was reached"
        return f"the budget of {int(self.seconds)} s was used up"

    def _until_deadline(self) -> float:
        # By the wall clock each time: it may be set right while we work.
        if self.deadline is None:
            return float("inf")
        return (self.deadline - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


Work = t.Callable[[str, Outcome], None]


#: Looks at the server and at the names of the databases before anything is touched; raises InputError.
Check = t.Callable[[t.Any, t.List[str]], None]


def over_databases(
    login: Login, wanted: t.Sequence[str], total: Outcome, noun: str, work: Work, check: Check | None = None
) -> Result:
    """Do `work` in every database, collect in `total` and return the joined result.

    A database that fails does not hide the others. On a standby nothing can be done and the result says so. When the
    server cannot be reached at all, it is `failed`.
    """
    try:
        existing, usable, closed = _databases(login)
    except PostgresError as exc:
        return Result("failed", f"{total.task} could not start", str(exc))
    if existing is None:
        reason = f"the server at {login.place} is a standby: it replays its primary, where the maintenance is to be run"
        return Result("skipped", f"{total.task}: nothing to do on a standby", reason)
    names = list(dict.fromkeys(wanted)) or usable
    if not names:
        return Result("failed", f"{total.task} could not start", f"no database to work on at {login.place}")
    try:
        if check:
            _check(login, check, [name for name in names if name in existing])
    except (InputError, PostgresError) as exc:
        return Result("failed", f"{total.task} could not start", str(exc))
    results = [_closed_database(name, total) for name in ([] if wanted else closed)]
    for name in names:
        if name in existing:
            results.append(_one_database(login, name, total, noun, work))
        else:
            missing = f"database {name!r} does not exist; there are: {', '.join(existing)}"
            results.append(Result("failed", f"{total.task} failed in database {name}", missing))
    return merge(results, total.summary(noun) + (f" in {len(names)} databases" if len(names) > 1 else ""))


def _databases(login: Login) -> tuple[list[str] | None, list[str], list[str]]:
    """All databases (None on a standby), those that are worked on when none are asked for, and those that cannot be."""
    conn = connect(login, application="list")
    try:
        if is_standby(conn):
            return None, [], []
        rows = query(
            conn,
            "SELECT datname::text, NOT datallowconn AND NOT datistemplate FROM pg_catalog.pg_database ORDER BY 1",
        )
        return [name for name, _closed in rows], list_databases(conn), [name for name, closed in rows if closed]
    finally:
        conn.close()


def _closed_database(name: str, total: Outcome) -> Result:
    message = "it refuses connections, so nothing in it is maintained"
    action = f"ALTER DATABASE {quote(name)} ALLOW_CONNECTIONS true, or drop it if nobody needs it"
    finding = Finding(f"postgres.{total.task}.closed", "info", name, message, action=action)
    total.findings.append(finding)
    return Result("findings", f"{name}: {message}", findings=(finding,))


def _check(login: Login, check: Check, names: list[str]) -> None:
    conn = connect(login, application="list")
    try:
        check(conn, names)
    finally:
        conn.close()


def _one_database(login: Login, name: str, total: Outcome, noun: str, work: Work) -> Result:
    part = Outcome(total.task, total.check)
    started = time.monotonic()
    failure = ""
    try:
        work(name, part)
    except PostgresError as exc:
        failure = str(exc)
    if failure and _was_dropped(login, name):
        failure = ""
        gone = "the database was dropped while this ran"
        part.findings.append(Finding("postgres.database.gone", "info", name, gone))
    part.seconds = time.monotonic() - started
    total.add(part)
    result = part.result(noun)
    if not failure:
        return result
    broken = Result("failed", f"{total.task} failed in database {name}", f"{name}: {failure}")
    return merge([result, broken], broken.summary)


def _was_dropped(login: Login, name: str) -> bool:
    """Whether a database that gave an error is no longer there; when that cannot be asked, the error stands.

    DROP DATABASE ends the sessions first and takes a moment to finish.
    """
    deadline = time.monotonic() + _DROP_SECONDS
    while True:
        try:
            existing, _usable, _closed = _databases(login)
        except PostgresError:
            return False
        if existing is None or name not in existing:
            return existing is not None
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
