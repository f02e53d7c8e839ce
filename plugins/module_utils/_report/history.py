# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the records of one activity on one host say: when it is due, how its last run ended, what still stands.

Report and metrics both ask here, so that they cannot disagree about what is overdue.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import math
import typing as t

from .._core.durations import parse_duration
from .._core.result import BAD_VERDICTS, SEVERITIES, VERDICTS
from .text import clean, epoch

Data = t.Mapping[str, t.Any]

_DAY = 86400
_DONE = ("ok", "findings")


@dataclasses.dataclass(frozen=True)
class Activity:
    """One entry of the merged catalogue."""

    name: str
    title: str
    guide: str
    row: str
    type: str
    every: str
    every_seconds: int | None
    group: str
    available: bool
    owner: str
    change: str

    @classmethod
    def from_dict(cls, data: Data) -> Activity:
        """:raises DurationError: for a period that cannot be read."""
        every = clean(data.get("every"))
        seconds = data.get("every_seconds")
        if seconds is None and every not in ("", "event"):
            seconds = parse_duration(every)
        return cls(
            name=clean(data["name"]),
            title=clean(data.get("title")) or clean(data["name"]),
            guide=clean(data.get("guide")),
            row=clean(data.get("row")),
            type=clean(data.get("type")),
            every=every or "event",
            every_seconds=int(seconds) if seconds is not None else None,
            group=clean(data.get("hosts")),
            available=data.get("available", True) is not False,
            owner=clean(data.get("owner")),
            change=clean(data.get("change")),
        )


@dataclasses.dataclass(frozen=True)
class Run:
    """One bar of a trend."""

    ended: int
    verdict: str
    seconds: float

    @property
    def is_bad(self) -> bool:
        return self.verdict in BAD_VERDICTS


@dataclasses.dataclass(frozen=True)
class Found:
    """A finding that still stands."""

    severity: str
    subject: str
    message: str
    action: str
    key: tuple[str, str]
    from_earlier_run: bool = False
    """Found by an earlier run, and the last one could not look again."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When an activity is due next. The one place that knows what overdue means."""

    last_done: int | None
    """When it was really done: what was skipped was not."""
    due: int | None
    """None when it is not asked for by the clock, or was due from the beginning."""
    overdue_seconds: float
    """0 when it is not overdue; infinite when it was never done."""

    @property
    def is_overdue(self) -> bool:
        return self.overdue_seconds > 0


class History:
    """The entry of one activity in a records summary, read defensively: a record is evidence, not trusted input."""

    def __init__(self, entry: Data | None) -> None:
        entry = entry if isinstance(entry, dict) else {}
        self.last: Data | None = _record(entry.get("last"))
        self.last_done: Data | None = _record(entry.get("last_done"))
        self.last_success_at: int | None = epoch(entry.get("last_success_at"))
        self.runs: tuple[Run, ...] = tuple(_runs(entry.get("trend")))

    @property
    def verdict(self) -> str:
        """How the last run ended; "" when there was none."""
        return verdict_of(self.last.get("verdict")) if self.last else ""

    @property
    def last_run(self) -> int | None:
        return _ended(self.last)

    @property
    def done_at(self) -> int | None:
        return _ended(self.last_done)

    @property
    def seconds(self) -> float:
        """How long the last run took."""
        return seconds_of(self.last) if self.last else 0.0

    def measured(self) -> list[tuple[str, str, float]]:
        """What the last run measured: subject, figure and number, by name.

        Figures of single subjects are named "subject:figure"; those of the whole have no subject. What has brackets,
        such as the bytes of each table, is for comparing records, and far too much for a time series each.
        """
        figures = self.last.get("figures") if self.last else None
        told = []
        for name, value in sorted(figures.items()) if isinstance(figures, dict) else ():
            subject, _colon, figure = str(name).rpartition(":")
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if is_number and "[" not in str(name):
                told.append((subject, figure, float(value)))
        return told

    def schedule(self, activity: Activity, now: float) -> Schedule:
        """Due one period after the last time it was done; what was skipped is asked again after a day at most."""
        done = self.done_at
        period = activity.every_seconds
        if period is None:
            return Schedule(done, None, 0.0)
        dues = []
        for record in (self.last_done, self.last):
            ended = _ended(record)
            if record is None or ended is None:
                continue
            verdict = record.get("verdict")
            if verdict in _DONE or (record is self.last_done and verdict is None):
                dues.append(ended + period)
            elif verdict == "skipped":
                dues.append(ended + min(period, _DAY))
        if not dues:
            return Schedule(done, None, math.inf)
        due = max(dues)
        return Schedule(done, due, max(0.0, now - due))

    def findings(self) -> list[Found]:
        """What the last run found; and, when it could not look properly, what the last proper one had found."""
        found = _findings(self.last, earlier=False)
        if self.verdict not in _DONE:
            known = {finding.key for finding in found}
            found += [finding for finding in _findings(self.last_done, earlier=True) if finding.key not in known]
        return found


def _record(value: t.Any) -> Data | None:
    """A record of check mode tells what would have been done: it is no history."""
    if isinstance(value, str):
        return {"ended": value}
    return value if isinstance(value, dict) and value and not value.get("check_mode") else None


def verdict_of(value: t.Any) -> str:
    """A verdict that nobody knows is no reason to believe that all is well."""
    return value if value in VERDICTS else "unknown"


def _ended(record: Data | None) -> int | None:
    return epoch(record.get("ended")) if record else None


def _number(value: t.Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def seconds_of(record: Data) -> float:
    figures = record.get("figures")
    measured = _number(figures.get("duration_seconds")) if isinstance(figures, dict) else None
    if measured is not None:
        return measured
    started, ended = epoch(record.get("started")), _ended(record)
    return float(max(0, ended - started)) if started is not None and ended is not None else 0.0


def _runs(trend: t.Any) -> t.Iterator[Run]:
    for entry in trend if isinstance(trend, (list, tuple)) else ():
        try:
            told, verdict, seconds = entry
        except (TypeError, ValueError):
            continue  # not a run
        ended = epoch(told)
        if ended is not None:
            yield Run(ended, verdict_of(verdict), _number(seconds) or 0.0)


def _findings(record: Data | None, earlier: bool) -> list[Found]:
    listed = record.get("findings") if record else None
    return [
        Found(
            # What cannot be ranked must not sink to the bottom of the page.
            severity=finding["severity"] if finding.get("severity") in SEVERITIES else "high",
            subject=clean(finding.get("subject")),
            message=clean(finding.get("message")),
            action=clean(finding.get("action")),
            key=(clean(finding.get("id")), clean(finding.get("subject"))),
            from_earlier_run=earlier,
        )
        for finding in (listed if isinstance(listed, (list, tuple)) else ())
        if isinstance(finding, dict)
    ]
