# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._core.chain import ChainReport, complete
from ansible_collections.steward.maintenance.plugins.module_utils._core.records_summary import (
    DONE_VERDICTS,
    duration_seconds,
    judge_chain,
    select,
    states,
    summarise,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import BAD_VERDICTS, VERDICTS
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def record(verdict: str, activity: str = "a", minute: int = 0, **other: t.Any) -> dict[str, t.Any]:
    ended = f"2026-11-23T05:{minute:02d}:00Z"
    return complete({"activity": activity, "host": "h", "verdict": verdict, "summary": "s", "ended": ended, **other})


def history(*verdicts: str) -> list[dict[str, t.Any]]:
    return [record(verdict, minute=minute) for minute, verdict in enumerate(verdicts)]


@pytest.mark.parametrize(
    ("verdicts", "last_done", "bad_count"),
    [
        (["ok"], 0, 0),
        (["ok", "findings"], 1, 0),
        (["ok", "failed", "unknown"], 0, 2),
        (["failed", "failed", "ok"], 2, 0),
        (["failed"], None, 1),
        (["skipped"], None, 0),
        (["ok", "failed", "skipped", "failed"], 0, 2),
    ],
)
def test_the_state_of_an_activity(verdicts: list[str], last_done: int | None, bad_count: int) -> None:
    records = history(*verdicts)
    state = states(records)["a"]
    assert state.last is records[-1]
    assert state.last_done is (None if last_done is None else records[last_done])
    assert state.bad_count == bad_count
    assert state.trend == []


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(VERDICTS), st.booleans()), max_size=30),
    st.integers(1, 5),
)
def test_the_summary_says_what_a_search_in_the_records_says(steps: list[tuple[str, str, bool]], trend: int) -> None:
    records = [
        record(verdict, activity, minute, check_mode=check_mode)
        for minute, (activity, verdict, check_mode) in enumerate(steps)
    ]
    summary = summarise(records, trend)
    performed = [entry for entry in records if not entry["check_mode"]]
    assert set(summary) == {entry["activity"] for entry in performed}
    for activity, told in summary.items():
        own = [entry for entry in performed if entry["activity"] == activity]
        done = [entry for entry in own if entry["verdict"] in DONE_VERDICTS]
        assert told["last"]["id"] == own[-1]["id"]
        assert told["last_success_at"] == (done[-1]["ended"] if done else None)
        assert (told["last_done"] or {}).get("id") == (done[-1]["id"] if done else None)
        since = own[own.index(done[-1]) + 1 :] if done else own
        assert told["bad_count"] == sum(entry["verdict"] in BAD_VERDICTS for entry in since)
        assert [entry[:2] for entry in told["trend"]] == [[entry["ended"], entry["verdict"]] for entry in own[-trend:]]


def test_the_summary_has_no_chain_fields() -> None:
    chained = dict(record("ok"), previous="0" * 64, hash="1" * 64)
    told = summarise([chained])["a"]
    assert not {"previous", "hash"} & (set(told["last"]) | set(told["last_done"]))


@pytest.mark.parametrize(
    ("other", "seconds"),
    [
        ({"figures": {"duration_seconds": 1.5}}, 1.5),
        ({"started": "2026-11-23T05:00:00Z"}, 60.0),
        ({"started": "once"}, None),
        ({}, 0.0),
    ],
)
def test_how_long_it_took(other: dict[str, t.Any], seconds: float | None) -> None:
    assert duration_seconds(record("ok", minute=1, **other)) == seconds


def test_selecting() -> None:
    records = history("ok", "failed", "ok")
    assert select(records) == records
    assert select(records, limit=2) == records[1:]
    assert select(records, limit=0) == []
    assert select(records, ["b"]) == []
    with pytest.raises(InputError, match="limit is -1"):
        select(records, limit=-1)


def test_broken_evidence_is_a_finding_and_a_torn_line_is_none() -> None:
    sound = judge_chain(ChainReport(3, True, "", 1), "/x")
    assert (sound.verdict, sound.figures) == ("ok", {"records_count": 3, "torn_count": 1})
    broken = judge_chain(ChainReport(3, False, "record 2 was altered", 0), "/x")
    assert broken.verdict == "findings"
    assert (broken.findings[0].severity, broken.findings[0].message) == ("critical", "record 2 was altered")
