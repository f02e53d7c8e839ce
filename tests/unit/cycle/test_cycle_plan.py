# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of one host: order, what stays bad, what is told; and what is recorded of an activity."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import write_time
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import complete
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.catalogue import load_catalogue
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.gate import gate, result_of, too_late
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.history import histories
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.plan import applicable, empty_plan, make_plan
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.settings import read_settings

NOW = datetime.datetime(2026, 11, 23, 2, 0, tzinfo=datetime.timezone.utc)
INTACT = {"length": 0, "intact": True, "problem": "", "torn": 0}


def record(activity: str, days_ago: float, verdict: str = "ok", **fields: t.Any) -> dict[str, t.Any]:
    ended = write_time(NOW - datetime.timedelta(days=days_ago))
    return complete(
        {"activity": activity, "host": "db1", "verdict": verdict, "summary": "told", "ended": ended, **fields}
    )


def plan(
    records: t.Iterable[dict[str, t.Any]] = (),
    chain: dict[str, t.Any] | None = None,
    asked_at: datetime.datetime = NOW,
    **variables: t.Any,
) -> dict[str, t.Any]:
    settings = read_settings(variables, load_catalogue())
    answer = {
        "now": write_time(NOW),
        "history": histories(records, applicable(settings, ["postgres"])),
        "chain": chain or INTACT,
    }
    return make_plan(settings, ["postgres"], answer, asked_at)


def names(entries: t.Iterable[dict[str, t.Any]]) -> list[str]:
    return [entry["name"] for entry in entries]


def test_a_first_run_proves_a_backup_before_it_changes_anything() -> None:
    assert names(plan()["due"]) == [
        "backup.database",
        "backup.verify",
        "database.vacuum",
        "database.analyze",
        "database.reindex",
        "database.review",
        "recovery.retire",
    ]


def test_what_is_overdue_comes_first_but_never_before_what_it_follows() -> None:
    done = [record(name, 7) for name in ("database.vacuum", "database.analyze")]
    done += [
        record("recovery.retire", 0.1),
        record("database.review", 20),
        record("database.reindex", 1),
        record("backup.verify", 1),
        record("backup.database", 0.5),
    ]
    assert names(plan(done)["due"]) == ["backup.verify", "database.vacuum", "database.analyze", "database.review"]
    urgent = [record("backup.database", 5), record("backup.verify", 0.1), record("database.vacuum", 7)]
    urgent += [
        record(name, 0.1) for name in ("database.analyze", "database.reindex", "database.review", "recovery.retire")
    ]
    assert names(plan(urgent)["due"]) == ["backup.database", "database.vacuum"]


def test_nothing_due_says_what_is_next_and_when() -> None:
    done = [record(name, 0) for name in applicable(read_settings({}, load_catalogue()), ["postgres"])]
    quiet = plan(done)
    assert (quiet["due"], quiet["bad"], quiet["has_work"]) == ([], [], False)
    assert quiet["msg"] == "nothing due; next: backup.database in 1 d"
    assert len(quiet["deferred"]) == len(load_catalogue())
    told = {entry["activity"]: entry for entry in quiet["deferred"]}
    assert told["database.vacuum"] == {
        "activity": "database.vacuum",
        "reason": "done 0 s ago, every 7d",
        "until": "2026-11-30T02:00:00Z",
    }
    assert "not automated yet" in told["security.access"]["reason"]


def test_records_of_check_mode_never_count() -> None:
    assert "database.vacuum" in names(plan([record("database.vacuum", 0, check_mode=True)])["due"])


def test_what_failed_and_waits_keeps_the_run_red() -> None:
    failed = [record("database.vacuum", 8), record("database.vacuum", 0.01, "failed", reason="no disk")]
    red = plan(failed)
    assert "database.vacuum" not in names(red["due"])
    assert [entry["activity"] for entry in red["bad"]] == ["database.vacuum"]
    line = red["bad"][0]["line"]
    assert line.startswith("database.vacuum failed: failed last time: no disk; tried again from 2026-11-23T02:4")
    assert line.endswith("or now with -e cycle_force=true")
    assert "needs attention: database.vacuum failed" in red["msg"]
    forced = plan(failed, cycle_force=True)
    assert "database.vacuum" in names(forced["due"])
    assert forced["bad"] == []


def test_force_is_not_offered_where_a_window_holds() -> None:
    late = [record("database.vacuum", 0.5, "failed", reason="no disk")]
    red = plan(late, cycle_activities={"database.vacuum": {"window": "Sun 01:00-02:00"}})
    assert "cycle_force" not in red["bad"][0]["line"]
    assert "last attempt failed: no disk" in red["bad"][0]["line"]


def test_a_broken_chain_keeps_the_run_red_and_the_run_goes_on() -> None:
    broken = plan(chain=dict(INTACT, intact=False, problem="record 17 was altered"))
    assert len(broken["due"]) == 7
    assert [entry["line"] for entry in broken["bad"]] == [
        "the records failed: their chain is broken: record 17 was altered"
    ]


@pytest.mark.parametrize(("minutes", "told"), [(4, ""), (-4, ""), (61, "1 h 01 min ahead of"), (-6, "6 min behind")])
def test_clocks_that_differ_are_told(minutes: int, told: str) -> None:
    skewed = plan(asked_at=NOW - datetime.timedelta(minutes=minutes))
    assert skewed["clock_skew_seconds"] == minutes * 60
    assert len(skewed["warnings"]) == bool(told)
    assert told in "".join(skewed["warnings"])


def test_a_record_from_the_future_is_a_warning_and_due() -> None:
    future = plan([record("database.vacuum", -1)])
    assert "database.vacuum" in names(future["due"])
    assert "database.vacuum ended 2026-11-24T02:00:00Z" in future["warnings"][0]


def test_a_record_that_cannot_be_used_is_a_warning_and_due() -> None:
    broken = plan([dict(record("database.vacuum", 1), ended="yesterday")])
    assert "database.vacuum" in names(broken["due"])
    assert "'yesterday'" in broken["warnings"][0]


def test_the_gate_puts_the_refusal_beside_the_activity() -> None:
    normal = {"database.vacuum": {"change": "normal"}, "database.reindex": {"change": "emergency"}}
    due = {entry["name"]: entry["refused"] for entry in plan(cycle_activities=normal)["due"]}
    assert due["database.vacuum"]["verdict"] == due["database.reindex"]["verdict"] == "skipped"
    assert "category normal" in due["database.vacuum"]["reason"]
    assert due["database.analyze"] == {}
    allowed = plan(cycle_activities=normal, cycle_change_request="CR-7")["due"]
    assert all(entry["refused"] == {} for entry in allowed)


@pytest.mark.parametrize(
    ("change", "request_id", "passes"),
    [
        ("none", "", True),
        ("standard", "", True),
        ("normal", "", False),
        ("emergency", "", False),
        ("normal", "CR-1", True),
    ],
)
def test_the_change_gate(change: str, request_id: str, passes: bool) -> None:
    assert (gate(change, "VACUUM", request_id) is None) is passes


def test_a_host_that_nothing_is_asked_of_has_an_empty_plan() -> None:
    settings = read_settings({}, load_catalogue())
    assert applicable(settings, ["web"]) == []
    idle = empty_plan(settings, ["web"], NOW)
    assert (idle["due"], idle["has_work"], idle["msg"]) == ([], False, "nothing in the catalogue is asked of this host")


ACTIVITY = {
    "name": "database.vacuum",
    "title": "VACUUM",
    "role": "probe",
    "entry": "main",
    "result_variable": "probe_result",
}
GOOD = {"verdict": "ok", "summary": "all good", "changed": True}
BAD = {
    "verdict": "unknown",
    "summary": "looked at 1 of 2",
    "reason": "locked by pid 7",
    "failed": True,
    "changed": False,
}


@pytest.mark.parametrize(
    ("published", "failure", "verdict", "told", "changed"),
    [
        (GOOD, {}, "ok", "", True),
        ({}, {}, "failed", "without publishing probe_result", False),
        (None, {}, "failed", "without publishing probe_result", False),
        ({"verdict": "fine", "summary": "x"}, {}, "failed", "verdict is 'fine'", False),
        ({"rc": 0}, {}, "failed", "no verdict", False),
        ("text", {}, "failed", "must be a dictionary", False),
        ({}, BAD, "unknown", "locked by pid 7", False),
        (GOOD, dict(BAD, task="Vacuum"), "unknown", "locked by pid 7", True),
        ({}, {"task": "Copy", "msg": "no space left"}, "failed", "Copy: no space left", False),
        ({}, {"task": "Run", "msg": "", "stderr": "segfault", "changed": True}, "failed", "Run: segfault", True),
        (
            {},
            {"task": "Loop", "results": [{"msg": "fine"}, {"failed": True, "msg": "second"}]},
            "failed",
            "Loop: second",
            False,
        ),
        ({}, {"task": "Login", "censored": "hidden", "changed": False}, "failed", "hidden by no_log", False),
        ({}, {"task": "Odd"}, "failed", "failed without saying why", False),
        # A task that carries a good result and failed all the same has failed.
        ({}, dict(GOOD, task="After", msg="then it broke"), "failed", "After: then it broke", True),
    ],
)
def test_what_is_recorded_of_an_activity(
    published: t.Any, failure: t.Any, verdict: str, told: str, changed: bool
) -> None:
    result, was_changed = result_of(ACTIVITY, published, failure)
    assert (result.verdict, was_changed) == (verdict, changed)
    assert told in result.reason


def _deadlines(entries: t.Iterable[dict[str, t.Any]]) -> dict[str, str]:
    return {entry["name"]: entry["deadline"] for entry in entries if entry["deadline"]}


def test_what_is_begun_in_its_window_has_to_stop_at_its_end() -> None:
    """NOW is a Monday, 02:00 UTC: 03:00 in Paris."""
    windows = {
        "database.vacuum": {"window": "Sun 01:00-05:00 UTC; Mon 02:00-04:30 Europe/Paris"},
        "database.reindex": {"window": "daily 22:00-03:00 UTC"},
        "database.review": {"window": "daily 00:00-24:00 UTC"},
    }
    assert _deadlines(plan(cycle_activities=windows)["due"]) == {
        "database.vacuum": "2026-11-23T03:30:00Z",
        "database.reindex": "2026-11-23T03:00:00Z",
    }


def test_the_window_ends_by_the_clock_of_the_host_as_it_began() -> None:
    windows = {"database.vacuum": {"window": "Mon 01:00-05:00 UTC"}}
    hour_behind = NOW - datetime.timedelta(hours=1)
    due = plan(asked_at=hour_behind, cycle_activities=windows)["due"]
    assert _deadlines(due) == {"database.vacuum": "2026-11-23T05:00:00Z"}
    assert {entry["begin_by"] for entry in due} == {"", "2026-11-23T04:00:00Z"}


def test_what_has_not_begun_when_its_time_is_over_is_skipped_with_the_reason() -> None:
    (vacuum,) = plan(cycle_only=["database.vacuum"], maintenance_deadline="2026-11-23 03:00")["due"]
    assert too_late(vacuum, "2026-11-23T02:59:59Z") is None
    late = too_late(vacuum, "2026-11-23T03:00:00Z")
    assert late is not None
    assert (late.verdict, late.reason) == ("skipped", "its time was over at 2026-11-23T03:00:00Z, before its turn came")
    (unbound,) = plan(cycle_only=["database.vacuum"])["due"]
    assert too_late(unbound, "2999-01-01T00:00:00Z") is None


def test_a_deadline_for_the_whole_run_is_honoured_when_it_is_sooner() -> None:
    windows = {
        "database.vacuum": {"window": "Mon 01:00-05:00 UTC"},
        "database.reindex": {"window": "Mon 01:00-02:30 UTC"},
    }
    due = plan(cycle_activities=windows, maintenance_deadline="2026-11-23 04:00 Europe/Paris")["due"]
    told = _deadlines(due)
    assert len(told) == len(due)
    assert told.pop("database.reindex") == "2026-11-23T02:30:00Z"
    assert set(told.values()) == {"2026-11-23T03:00:00Z"}


def test_a_freeze_that_begins_meanwhile_ends_what_it_stops() -> None:
    freeze = {"reason": "sale", "owner": "Ann", "start": "2026-11-23 02:20", "end": "2026-11-24"}
    told = _deadlines(plan(cycle_freezes=[freeze])["due"])
    assert told == dict.fromkeys(
        ("database.vacuum", "database.analyze", "database.reindex", "recovery.retire"), "2026-11-23T02:20:00Z"
    )


def test_a_deadline_that_cannot_be_read_is_refused_by_its_name() -> None:
    with pytest.raises(InputError, match=r"maintenance_deadline: time 'soon' cannot be read: write"):
        plan(maintenance_deadline="soon")
