# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When something is overdue, and what of a record is believed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.report_sample import GENERATED, finding, moment, record

from ansible_collections.steward.maintenance.plugins.module_utils._core.durations import DurationError
from ansible_collections.steward.maintenance.plugins.module_utils._core.records_summary import summarise
from ansible_collections.steward.maintenance.plugins.module_utils._report.history import Activity, History

DAILY = Activity.from_dict({"name": "backup.database", "every": "1d", "guide": "5.1", "hosts": "postgres"})
WEEKLY = Activity.from_dict({"name": "database.vacuum", "every": "7d"})
ON_EVENT = Activity.from_dict({"name": "bugs.fix", "every": "event"})


def history(*records: dict) -> History:
    return History(summarise(records, trend=30).get(records[0]["activity"]))


def test_due_one_period_after_it_was_done() -> None:
    schedule = history(record("a", "h", 2)).schedule(WEEKLY, GENERATED)
    assert schedule.due == GENERATED + 5 * 86400
    assert schedule.overdue_seconds == 0
    assert not schedule.is_overdue


def test_overdue_since_the_period_passed() -> None:
    schedule = history(record("a", "h", 9)).schedule(WEEKLY, GENERATED)
    assert schedule.overdue_seconds == 2 * 86400
    assert schedule.last_done == GENERATED - 9 * 86400


def test_never_done_is_overdue_without_end() -> None:
    schedule = History(None).schedule(WEEKLY, GENERATED)
    assert schedule.overdue_seconds == math.inf
    assert schedule.is_overdue
    assert schedule.last_done is None


@pytest.mark.parametrize("verdict", ["failed", "unknown"])
def test_a_bad_run_does_not_count_as_done(verdict: str) -> None:
    told = history(record("a", "h", 9), record("a", "h", 0.1, verdict=verdict, reason="r"))
    assert told.schedule(WEEKLY, GENERATED).overdue_seconds == 2 * 86400
    assert told.verdict == verdict


def test_skipped_is_not_done_and_is_asked_again_after_a_day() -> None:
    schedule = history(record("a", "h", 0.5, verdict="skipped", reason="standby")).schedule(WEEKLY, GENERATED)
    assert schedule.last_done is None
    assert schedule.due == GENERATED + 43200
    late = history(record("a", "h", 3, verdict="skipped", reason="standby")).schedule(WEEKLY, GENERATED)
    assert late.overdue_seconds == 2 * 86400


def test_skipping_never_shortens_what_was_done() -> None:
    told = history(record("a", "h", 2), record("a", "h", 1.9, verdict="skipped", reason="r"))
    assert told.schedule(WEEKLY, GENERATED).due == GENERATED + 5 * 86400


def test_on_event_is_never_overdue() -> None:
    assert History(None).schedule(ON_EVENT, GENERATED).overdue_seconds == 0


def test_check_mode_is_no_history() -> None:
    assert History({"last": record("a", "h", 0, check_mode=True), "last_done": None}).verdict == ""


def test_a_verdict_nobody_knows_is_unknown() -> None:
    assert History({"last": record("a", "h", 0, verdict="splendid")}).verdict == "unknown"


def test_findings_stand_until_somebody_looked_again() -> None:
    found = record("a", "h", 2, verdict="findings", findings=[finding("high", "table t", "bloated", identity="b")])
    blind = record("a", "h", 1, verdict="unknown", reason="no grant")
    (standing,) = history(found, blind).findings()
    assert standing.from_earlier_run
    assert standing.subject == "table t"
    assert history(found, record("a", "h", 1)).findings() == []
    (own,) = history(found, dict(blind, findings=found["findings"])).findings()
    assert not own.from_earlier_run


def test_a_severity_that_cannot_be_ranked_does_not_sink() -> None:
    (found,) = history(record("a", "h", 0, verdict="findings", findings=[finding("dire", "s", "m")])).findings()
    assert found.severity == "high"


def test_duration_is_measured_or_from_start_to_end() -> None:
    assert history(record("a", "h", 0, took=7)).seconds == 7
    assert history(record("a", "h", 0, took=7, figures={})).seconds == 7
    assert History({"last": record("a", "h", 0, figures={"duration_seconds": float("nan")}, started="?")}).seconds == 0


def test_trend_keeps_order_and_marks_what_was_bad() -> None:
    told = history(record("a", "h", 2, took=1), record("a", "h", 1, took=3, verdict="failed", reason="r"))
    assert [(run.verdict, run.seconds, run.is_bad) for run in told.runs] == [("ok", 1, False), ("failed", 3, True)]


def test_period_comes_from_seconds_or_text_and_a_wrong_one_is_named() -> None:
    assert DAILY.every_seconds == 86400
    assert Activity.from_dict({"name": "a", "every": "x", "every_seconds": 60}).every_seconds == 60
    with pytest.raises(DurationError, match="7x"):
        Activity.from_dict({"name": "a", "every": "7x"})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just(moment()),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["ended", "verdict", "findings", "figures"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["last", "last_done", "last_success_at", "trend"]), JSON))
def test_no_record_however_broken_stops_the_report(entry: dict) -> None:
    told = History(entry)
    assert told.schedule(WEEKLY, GENERATED).overdue_seconds >= 0
    assert told.seconds >= 0
    assert isinstance(told.findings(), list)
