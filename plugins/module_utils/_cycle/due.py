# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision: which activity is due on a host now, and why the others are not.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

It is a function of the activity, what the records say, and the host's clock: nothing is asked or touched here.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.clock import parse_time, write_time
from .._core.durations import format_duration
from .._core.result import BAD_VERDICTS
from .catalogue import EVENT, NEEDS_REQUEST, Activity
from .freezes import Freeze

Moment = datetime.datetime

#: A job that starts a little earlier than last time must not wait a whole period more.
SLACK_PART = 10
SLACK_AT_MOST = datetime.timedelta(hours=12)

#: What was skipped is asked again after this time at the latest.
SKIPPED_COUNTS_FOR = datetime.timedelta(days=1)

FIRST_RETRY = datetime.timedelta(hours=1)

#: Clocks differ a little; a record that is further ahead was written by a clock that was wrong, then or now.
CLOCK_TOLERANCE = datetime.timedelta(minutes=5)


@dataclasses.dataclass(frozen=True)
class Wish:
    """What this run asks for, beside the clock."""

    only: tuple[str, ...] = ()
    cadence: str = ""
    force: bool = False
    freezes: tuple[Freeze, ...] = ()
    change_request: str = ""
    deadline: Moment | None = None
    """When the whole run is to be over."""


@dataclasses.dataclass(frozen=True)
class Decision:
    activity: Activity
    is_due: bool
    reason: str
    until: Moment | None = None
    """When it is asked for again, as far as that is known."""
    is_overdue: bool = False
    """Later than a whole period, or never done."""
    still_bad: str = ""
    """The verdict of the last attempt, when it was bad and is not tried again now."""
    is_held: bool = False
    """By a freeze or a window, which cycle_force does not break."""
    warning: str = ""


@dataclasses.dataclass(frozen=True)
class History:
    """What L{.history.histories} found for one activity, with times that can be compared."""

    ended: Moment
    verdict: str
    told: str
    change: str
    failures: int
    done_at: Moment | None

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> History:
        return cls(
            ended=parse_time(data["ended"]),
            verdict=data["verdict"],
            told=data["told"],
            change=data["change"],
            failures=data["failures"],
            done_at=parse_time(data["done_at"]) if data["done_at"] else None,
        )


def decide(activity: Activity, groups: t.Collection[str], history: History | None, now: Moment, wish: Wish) -> Decision:
    """Whether the activity is due on a host of these groups.

    Freezes and windows hold always, even for what is forced: they protect users, and who may break one can change it.
    """
    outside = why_outside(activity, groups, wish)
    if outside:
        return Decision(activity, False, outside)
    asked = by_clock(activity, history, now, wish)
    if not asked.is_due:
        return asked
    for freeze in wish.freezes:
        if freeze.stops(activity, now):
            reason = f"frozen by {freeze.owner} until {write_time(freeze.end)}: {freeze.reason}"
            return _held(asked, history, reason, freeze.end)
    window = activity.opening
    if window and not window.is_open(now):
        opens = window.next_opening(now)
        when = f"opens {write_time(opens)}" if opens else "never opens"
        return _held(asked, history, f"outside its window {activity.window!r}, which {when}", opens)
    return asked


def ends_by(activity: Activity, now: Moment, wish: Wish) -> Moment | None:
    """When the activity, begun now, has to stop at the latest: what held it until now will hold it again.

    By the host's clock, as the decision itself.
    """
    window = activity.opening
    ends = [window.closes_at(now) if window else None, wish.deadline]
    ends += [one.start for one in wish.freezes if one.start > now and one.stops(activity, one.start)]
    return min((end for end in ends if end is not None), default=None)


def why_outside(activity: Activity, groups: t.Collection[str], wish: Wish) -> str:
    """Why the activity is no matter of this host or this run; empty when it is one."""
    if not activity.available:
        return "not available: not automated yet, or switched off by cycle_activities"
    if not activity.applies_to(groups):
        return f"this host is not in the group {activity.hosts}"
    if wish.only:
        return "" if activity.name in wish.only else "not named in cycle_only"
    if activity.every == EVENT:
        return "no clock asks for it; name it in cycle_only when the event happened"
    return "" if activity.in_cadence(wish.cadence) else f"not part of the {wish.cadence} cadence"


def by_clock(activity: Activity, history: History | None, now: Moment, wish: Wish) -> Decision:
    """The part of the decision that the records and the clock take."""
    if history is None:
        return Decision(activity, True, "never done", is_overdue=True)
    future = _from_the_future(activity, history, now)
    if future:
        return Decision(activity, True, future, is_overdue=True, warning=future)
    if wish.force:
        return Decision(activity, True, "forced by cycle_force")
    if history.verdict in BAD_VERDICTS:
        return _after_failure(activity, history, now)
    if _waited_for_request(activity, history) and wish.change_request:
        return Decision(activity, True, f"the change request {wish.change_request} was missing last time")
    return _by_period(activity, history, now)


def _waited_for_request(activity: Activity, history: History) -> bool:
    return history.verdict == "skipped" and activity.change in NEEDS_REQUEST and not history.change


def _from_the_future(activity: Activity, history: History, now: Moment) -> str:
    latest = max(history.ended, history.done_at or history.ended)
    if latest <= now + CLOCK_TOLERANCE:
        return ""
    return (
        f"the last record of {activity.name} ended {write_time(latest)}, but the host's clock shows {write_time(now)}:"
        " one of them is wrong, so it counts as never done"
    )


def _after_failure(activity: Activity, history: History, now: Moment) -> Decision:
    # Doubling ends at the period; the exponent is bounded, or years of failures would overflow.
    wait = FIRST_RETRY * 2 ** min(max(history.failures, 1) - 1, 16)
    if activity.period is not None:
        wait = min(wait, datetime.timedelta(seconds=activity.period))
    again = history.ended + wait
    times = f"{history.failures} times in a row" if history.failures > 1 else "last time"
    told = f"{history.verdict} {times}: {history.told}"
    if now >= again:
        return Decision(activity, True, f"tried again, {told}", is_overdue=True)
    return Decision(activity, False, told, until=again, still_bad=history.verdict)


def _by_period(activity: Activity, history: History, now: Moment) -> Decision:
    if activity.period is None:
        return Decision(activity, True, "named in cycle_only")
    period = datetime.timedelta(seconds=activity.period)
    since = "done" if history.done_at else "skipped"
    last = history.done_at or history.ended
    due_at = []
    if history.done_at:
        due_at.append((history.done_at + period, period))
    if history.verdict == "skipped":
        counts = min(period, SKIPPED_COUNTS_FOR)
        due_at.append((history.ended + counts, counts))
    if not due_at:
        return Decision(activity, True, "never done", is_overdue=True)
    at, step = max(due_at)
    ago = format_duration(max(0.0, (now - last).total_seconds()))
    told = f"{since} {ago} ago, every {activity.every}"
    if now < at - min(step / SLACK_PART, SLACK_AT_MOST):
        return Decision(activity, False, told, until=at)
    return Decision(activity, True, told, is_overdue=now >= at + step)


def _held(asked: Decision, history: History | None, reason: str, until: Moment | None) -> Decision:
    # A failed attempt that may not be repeated yet is still a failed attempt.
    bad = history.verdict if history and history.verdict in BAD_VERDICTS else ""
    told = f"{reason} (last attempt {bad}: {history.told})" if history and bad else reason
    return dataclasses.replace(asked, is_due=False, reason=told, until=until, still_bad=bad, is_held=True)
