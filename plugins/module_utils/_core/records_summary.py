# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the records say about each activity, in one pass: for the decision what is due, the report and the metrics.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .chain import ChainReport, Record
from .clock import parse_time
from .result import BAD_VERDICTS, Finding, Result, ok_or_findings
from .suggest import InputError

#: Verdicts after which the thing was done. `skipped` is neither done nor bad: the caller decides how long it counts.
DONE_VERDICTS = ("ok", "findings")

TREND_LENGTH = 30

_CHAIN_FIELDS = ("previous", "hash")


@dataclasses.dataclass
class ActivityState:
    """One activity's past. Nothing of check mode is in it: a rehearsal is not a performance."""

    last: Record
    last_done: Record | None = None
    #: How many attempts ended badly since the last one that was done; skips in between count neither way.
    bad_count: int = 0
    trend: list[Record] = dataclasses.field(default_factory=list)

    def to_dict(self) -> dict[str, t.Any]:
        return {
            "last": without_chain(self.last),
            "last_done": without_chain(self.last_done) if self.last_done else None,
            "last_success_at": self.last_done["ended"] if self.last_done else None,
            "bad_count": self.bad_count,
            "trend": [[record["ended"], record["verdict"], duration_seconds(record)] for record in self.trend],
        }


def states(records: t.Iterable[Record], trend: int = 0) -> dict[str, ActivityState]:
    """The state of each activity that has records, from records in the order in which they were written."""
    found: dict[str, ActivityState] = {}
    for record in records:
        if record["check_mode"]:
            continue
        state = found.get(record["activity"])
        if state is None:
            state = found[record["activity"]] = ActivityState(record)
        state.last = record
        if record["verdict"] in DONE_VERDICTS:
            state.last_done = record
            state.bad_count = 0
        elif record["verdict"] in BAD_VERDICTS:
            state.bad_count += 1
        if trend:
            state.trend.append(record)
            if len(state.trend) > trend:
                del state.trend[0]
    return found


def summarise(records: t.Iterable[Record], trend: int = TREND_LENGTH) -> dict[str, dict[str, t.Any]]:
    """Plain data by name of the activity: `last`, `last_done`, `last_success_at`, `bad_count`, `trend`."""
    return {name: state.to_dict() for name, state in sorted(states(records, trend).items())}


def select(records: list[Record], activities: t.Collection[str] = (), limit: int | None = None) -> list[Record]:
    """The records of these activities (none named: of all), and of those the last `limit`."""
    chosen = [record for record in records if record["activity"] in activities] if activities else records
    if limit is None:
        return chosen
    if limit < 0:
        raise InputError(f"limit is {limit}, must be 0 or more")
    return chosen[len(chosen) - min(limit, len(chosen)) :]


def judge_chain(chain: ChainReport, location: str) -> Result:
    """What the state of the chain means: broken evidence is a finding, a torn line that was set aside is not."""
    summary = f"{chain.length} records in {location}, " + (
        "the chain is intact" if chain.intact else "the chain is broken"
    )
    findings = []
    if not chain.intact:
        advice = "find out who or what altered the records; those named here no longer count as evidence"
        findings.append(Finding("records.chain", "critical", location, chain.problem, action=advice))
    figures = {"records_count": chain.length, "torn_count": chain.torn}
    return ok_or_findings(summary, findings, figures, looked=chain.length, of=chain.length)


def without_chain(record: Record) -> Record:
    return {name: value for name, value in record.items() if name not in _CHAIN_FIELDS}


def duration_seconds(record: Record) -> float | None:
    """How long it took, as it measured itself, else from its start and end; None when neither says."""
    measured = record["figures"].get("duration_seconds")
    if isinstance(measured, (int, float)):
        return measured
    try:
        return (parse_time(record["ended"]) - parse_time(record["started"])).total_seconds()
    except InputError:
        return None
