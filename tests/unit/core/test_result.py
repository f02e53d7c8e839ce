# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._core.result import (
    SEVERITIES,
    VERDICTS,
    Finding,
    Result,
    ResultError,
    merge,
    ok_or_findings,
)

findings = st.builds(
    Finding,
    id=st.text(min_size=1),
    severity=st.sampled_from(SEVERITIES),
    subject=st.text(min_size=1),
    message=st.text(min_size=1),
    value=st.none() | st.integers(),
)


@st.composite
def results(draw: st.DrawFn) -> Result:
    verdict = draw(st.sampled_from(VERDICTS))
    return Result(
        verdict=verdict,
        summary=draw(st.text(min_size=1)),
        reason=draw(st.text(min_size=1)) if verdict in ("skipped", "unknown", "failed") else "",
        findings=tuple(draw(st.lists(findings, min_size=1 if verdict == "findings" else 0, max_size=3))),
        figures=draw(st.dictionaries(st.sampled_from(["duration_seconds", "reclaimed_bytes"]), st.integers(0, 10**12))),
        looked=draw(st.integers(0, 100)),
        of=draw(st.integers(0, 100)),
    )


@given(results())
def test_a_result_survives_the_way_through_ansible(result: Result) -> None:
    assert Result.from_dict(dict(result.to_dict(), changed=True)) == result


@given(st.lists(results(), min_size=1, max_size=5))
def test_merging_hides_nothing(parts: list[Result]) -> None:
    merged = merge(parts)
    assert VERDICTS.index(merged.verdict) == max(VERDICTS.index(part.verdict) for part in parts)
    assert len(merged.findings) == sum(len(part.findings) for part in parts)
    assert (merged.looked, merged.of) == (sum(part.looked for part in parts), sum(part.of for part in parts))
    assert sum(merged.figures.values()) == sum(sum(part.figures.values()) for part in parts)
    assert all(part.reason in merged.reason for part in parts)
    assert all(part.summary in merged.summary for part in parts)


@given(st.lists(results(), min_size=1, max_size=5), st.randoms())
def test_the_order_of_the_parts_does_not_change_the_verdict(parts: list[Result], random: t.Any) -> None:
    shuffled = list(parts)
    random.shuffle(shuffled)
    one, other = merge(parts, "s"), merge(shuffled, "s")
    assert (one.verdict, one.figures, one.looked, one.of) == (other.verdict, other.figures, other.looked, other.of)


@given(results(), results(), results())
def test_merging_in_steps_is_merging_at_once(first: Result, second: Result, third: Result) -> None:
    stepwise, at_once = merge([merge([first, second]), third], "s"), merge([first, second, third], "s")
    assert (stepwise.verdict, stepwise.findings, stepwise.figures) == (
        at_once.verdict,
        at_once.findings,
        at_once.figures,
    )


def test_nothing_looked_at_is_no_verdict() -> None:
    with pytest.raises(ResultError, match="nothing was looked at"):
        merge([])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"verdict": "fine", "summary": "s"}, "verdict is 'fine', must be one of skipped, ok"),
        ({"verdict": "ok", "summary": ""}, "has no summary"),
        ({"verdict": "failed", "summary": "s"}, "must give its reason"),
        ({"verdict": "skipped", "summary": "s"}, "must give its reason"),
        ({"verdict": "unknown", "summary": "s"}, "must give its reason"),
        ({"verdict": "findings", "summary": "s"}, "must list at least one"),
    ],
)
def test_a_result_without_its_shape_is_refused(arguments: dict[str, t.Any], names: str) -> None:
    with pytest.raises(ResultError, match=names):
        Result(**arguments)


def test_a_finding_without_its_shape_is_refused() -> None:
    with pytest.raises(ResultError, match="severity is 'bad', must be one of info, low"):
        Finding("a", "bad", "s", "m")
    with pytest.raises(ResultError, match="finding 'a': message is empty"):
        Finding("a", "low", "s", "")


def test_findings_make_the_verdict() -> None:
    finding = Finding("a", "low", "s", "m")
    assert ok_or_findings("s").verdict == "ok"
    assert ok_or_findings("s", [finding]).verdict == "findings"
    assert [Result(verdict, "s", "r", (finding,)).is_bad for verdict in VERDICTS] == [False, False, False, True, True]
