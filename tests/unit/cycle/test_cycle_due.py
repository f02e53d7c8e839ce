# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision what is due: the clock, failures, skips, windows, freezes, wishes."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._cycle.catalogue import (
    Activity,
    load_catalogue,
    merge_catalogue,
)
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.due import Decision, History, Wish, decide
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.freezes import parse_freezes

NOW = datetime.datetime(2026, 11, 23, 2, 0, tzinfo=datetime.timezone.utc)
MINUTE, HOUR, DAY = (datetime.timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))
PERIODS = ["5m", "1h", "1d", "3d", "7d", "30d", "365d"]


def activity(name: str = "database.vacuum", **changes: t.Any) -> Activity:
    return merge_catalogue(load_catalogue(), {name: changes})[name]


def history(
    ago: datetime.timedelta,
    verdict: str = "ok",
    done_ago: datetime.timedelta | None = None,
    failures: int = 0,
    change: str = "",
) -> History:
    done = ago if verdict in ("ok", "findings") else done_ago
    return History(NOW - ago, verdict, "because", change, failures, None if done is None else NOW - done)


def ask(what: Activity, past: History | None, now: datetime.datetime = NOW, **wish: t.Any) -> Decision:
    return decide(what, ["postgres"], past, now, Wish(**wish))


def test_what_was_never_done_is_due() -> None:
    decision = ask(activity(), None)
    assert (decision.is_due, decision.reason, decision.is_overdue) == (True, "never done", True)


@pytest.mark.parametrize(
    ("every", "ago", "is_due"),
    [
        ("1d", DAY, True),
        ("1d", DAY - 7 * MINUTE, True),  # started at 02:07 yesterday: due at 02:00 today
        ("1d", DAY - 144 * MINUTE, True),
        ("1d", DAY - 145 * MINUTE, False),
        ("30d", 30 * DAY - 12 * HOUR, True),
        ("30d", 30 * DAY - 12 * HOUR - MINUTE, False),
        ("1h", 53 * MINUTE, False),
        ("1h", 54 * MINUTE, True),
    ],
)
def test_a_tenth_of_the_period_early_counts_but_twelve_hours_at_most(
    every: str, ago: datetime.timedelta, is_due: bool
) -> None:
    decision = ask(activity(every=every), history(ago))
    assert decision.is_due is is_due
    assert not decision.is_overdue
    if not is_due:
        assert decision.until == NOW - ago + datetime.timedelta(seconds=activity(every=every).period or 0)


def test_a_whole_period_late_is_overdue() -> None:
    assert ask(activity(), history(14 * DAY)).is_overdue
    assert not ask(activity(), history(13 * DAY)).is_overdue


def test_findings_count_as_done() -> None:
    assert not ask(activity(), history(DAY, "findings")).is_due


@pytest.mark.parametrize(
    ("failures", "hours"), [(1, 1), (2, 2), (3, 4), (4, 8), (7, 64), (8, 128), (9, 168), (500, 168)]
)
def test_after_failures_it_waits_twice_as_long_each_time_up_to_the_period(failures: int, hours: int) -> None:
    early = ask(activity(), history(hours * HOUR - MINUTE, "failed", 90 * DAY, failures))
    assert (early.is_due, early.still_bad, early.until) == (False, "failed", NOW + MINUTE)
    assert "because" in early.reason
    assert ask(activity(), history(hours * HOUR, "failed", 90 * DAY, failures)).is_due


def test_a_failure_is_tried_again_even_when_it_was_done_a_short_while_before() -> None:
    assert ask(activity(), history(2 * HOUR, "unknown", 3 * HOUR, 1)).is_due


def test_force_does_not_wait_for_period_or_failure() -> None:
    assert ask(activity(), history(MINUTE), force=True).is_due
    assert ask(activity(), history(MINUTE, "failed", None, 3), force=True).is_due


def test_what_was_skipped_is_asked_again_after_a_day_at_the_latest() -> None:
    assert not ask(activity(), history(20 * HOUR, "skipped", 30 * DAY)).is_due
    assert ask(activity(), history(23 * HOUR, "skipped", 30 * DAY)).is_due
    assert ask(activity(every="1h"), history(HOUR, "skipped")).is_due
    # A skip after it was done, as when it was forced, does not make it due before its time.
    assert not ask(activity(), history(25 * HOUR, "skipped", 2 * DAY)).is_due


def test_a_change_request_that_was_missing_makes_it_due_at_once() -> None:
    normal = activity(change="normal")
    assert not ask(normal, history(HOUR, "skipped")).is_due
    assert ask(normal, history(HOUR, "skipped"), change_request="CR-7").is_due
    assert not ask(normal, history(HOUR, "skipped", change="CR-7"), change_request="CR-7").is_due


def test_a_record_from_the_future_counts_as_never_done_and_is_told() -> None:
    decision = ask(activity(), history(-6 * MINUTE))
    assert decision.is_due
    assert "2026-11-23T02:06:00Z" in decision.warning
    assert "clock" in decision.warning
    slightly = ask(activity(), history(-4 * MINUTE))
    assert (slightly.is_due, slightly.warning) == (False, "")


def test_the_window_holds_also_for_what_is_forced() -> None:
    sunday = activity(window="Sun 01:00-05:00 Europe/Paris")
    decision = ask(sunday, None, force=True)  # NOW is a Monday
    assert not decision.is_due
    assert decision.until == datetime.datetime(2026, 11, 29, 0, 0, tzinfo=datetime.timezone.utc)
    assert "Sun 01:00-05:00 Europe/Paris" in decision.reason
    assert ask(sunday, None, now=datetime.datetime(2026, 11, 29, 0, 0, tzinfo=datetime.timezone.utc)).is_due
    assert not ask(sunday, None, now=datetime.datetime(2026, 11, 29, 4, 0, tzinfo=datetime.timezone.utc)).is_due


def test_a_failed_attempt_that_a_window_holds_back_is_still_told() -> None:
    decision = ask(activity(window="Sun 01:00-05:00 UTC"), history(2 * HOUR, "failed", None, 1))
    assert (decision.is_due, decision.still_bad) == (False, "failed")
    assert "last attempt failed: because" in decision.reason


FREEZE = {"reason": "sale", "owner": "Ann", "start": "2026-11-23 02:00", "end": "2026-11-23 03:00 Europe/Paris"}


def freezes(**changes: t.Any) -> tuple[t.Any, ...]:
    return tuple(parse_freezes([dict(FREEZE, **changes)], load_catalogue()))


def test_a_freeze_holds_what_changes_something_also_when_forced() -> None:
    held = ask(activity(), None, freezes=freezes(end="2026-11-24"), force=True)
    assert (held.is_due, held.until) == (False, datetime.datetime(2026, 11, 25, tzinfo=datetime.timezone.utc))
    assert held.reason == "frozen by Ann until 2026-11-25T00:00:00Z: sale"


def test_a_freeze_lets_backups_go_on_unless_it_names_them() -> None:
    assert ask(activity("backup.database"), None, freezes=freezes(end="2026-11-24")).is_due
    named = freezes(end="2026-11-24", activities=["backup.database"])
    assert not ask(activity("backup.database"), None, freezes=named).is_due
    assert ask(activity(), None, freezes=named).is_due


@pytest.mark.parametrize(
    ("now", "is_due"),
    [("01:59", True), ("02:00", False), ("02:29", False), ("02:30", True)],
)
def test_a_freeze_holds_from_its_start_until_just_before_its_end(now: str, is_due: bool) -> None:
    at = datetime.datetime.fromisoformat(f"2026-11-23T{now}:00+00:00")
    assert ask(activity(), None, now=at, freezes=freezes(end="2026-11-23T04:30:00+02:00")).is_due is is_due


def test_a_freeze_that_has_ended_holds_nothing() -> None:
    assert ask(activity(), None, freezes=freezes(start="2025-12-20", end="2025-12-27")).is_due


@pytest.mark.parametrize(
    ("what", "wish", "reason"),
    [
        (activity("security.access"), {}, "not automated yet"),
        (activity(available=False), {}, "switched off"),
        (activity(hosts="web"), {}, "not in the group web"),
        (activity(), {"only": ("backup.database",)}, "not named in cycle_only"),
        (activity(), {"cadence": "daily"}, "not part of the daily cadence"),
        (activity(every="event"), {}, "name it in cycle_only"),
    ],
)
def test_what_is_outside_the_run_is_told_why_even_when_forced(
    what: Activity, wish: dict[str, t.Any], reason: str
) -> None:
    decision = ask(what, None, force=True, **wish)
    assert not decision.is_due
    assert reason in decision.reason
    assert not decision.still_bad


def test_an_event_is_due_whenever_it_is_named() -> None:
    assert ask(activity(every="event"), history(MINUTE), only=("database.vacuum",)).is_due


def test_what_is_named_is_not_filtered_by_cadence() -> None:
    assert ask(activity(), None, only=("database.vacuum",), cadence="daily").is_due


seconds = st.integers(min_value=0, max_value=800 * 86400).map(lambda count: datetime.timedelta(seconds=count))


@given(st.sampled_from(PERIODS), seconds, seconds)
def test_what_is_due_stays_due_until_it_is_done(every: str, ago: datetime.timedelta, later: datetime.timedelta) -> None:
    past = history(ago)
    if ask(activity(every=every), past).is_due:
        assert ask(activity(every=every), past, now=NOW + later).is_due


@given(
    st.sampled_from(PERIODS),
    st.sampled_from(["ok", "findings", "skipped", "unknown", "failed"]),
    seconds,
    st.none() | seconds,
    st.integers(min_value=1, max_value=100_000),
)
def test_what_waits_is_due_when_its_time_has_come(
    every: str,
    verdict: str,
    ago: datetime.timedelta,
    done_before: datetime.timedelta | None,
    failures: int,
) -> None:
    past = history(ago, verdict, None if done_before is None else ago + done_before, failures)
    decision = ask(activity(every=every), past)
    if not decision.is_due:
        assert decision.until is not None
        assert decision.until > NOW
        assert ask(activity(every=every), past, now=decision.until).is_due
    assert bool(decision.still_bad) is (not decision.is_due and verdict in ("unknown", "failed"))
