# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._core.thresholds import (
    ThresholdError,
    judge,
    parse_limits,
    parse_threshold,
)


@pytest.mark.parametrize(
    ("text", "value", "crossed", "kind"),
    [
        ("< 99.5%", 99.4, True, "percent"),
        ("< 99.5%", 99.5, False, "percent"),
        ("> 1s", 1.001, True, "seconds"),
        ("> 1s", 1, False, "seconds"),
        (">250ms", 0.3, True, "seconds"),
        ("> 80 %", 80.1, True, "percent"),
        (">= 10 GB", 10_000_000_000, True, "bytes"),
        (">= 10 GiB", 10_000_000_000, False, "bytes"),
        ("<= 2 h", 7200, True, "seconds"),
        ("> 5 m", 300, False, "seconds"),
        ("== 0", 0, True, "number"),
        ("!= 3", 3, False, "number"),
        ("< -1.5", -2, True, "number"),
    ],
)
def test_compares_in_the_base_unit(text: str, value: float, crossed: bool, kind: str) -> None:
    threshold = parse_threshold(text)
    assert threshold.is_crossed_by(value) is crossed
    assert threshold.kind == kind
    assert str(threshold) == text


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("80%", "cannot be read"),
        ("> ", "cannot be read"),
        ("> 80 % of it", "cannot be read"),
        ("=> 80", "cannot be read"),
        ("> 10 gb", "unknown unit 'gb'; did you mean 'GB'?"),
        ("> 10 parsec", "unknown unit 'parsec'"),
        (80, "not a text"),
    ],
)
def test_refuses_with_the_value_and_what_is_right(value: object, names: str) -> None:
    with pytest.raises(ThresholdError) as caught:
        parse_threshold(value)  # type: ignore[arg-type]
    assert names in str(caught.value)
    assert repr(value) in str(caught.value)


def test_unlike_things_are_not_compared() -> None:
    with pytest.raises(ThresholdError, match=r"'> 1 GB' is in bytes, must be in seconds: .*'ms'"):
        parse_threshold("> 1 GB", kind="seconds")


@pytest.mark.parametrize("value", [float("nan"), "85", None, True])
def test_what_was_not_measured_is_not_within_its_limits(value: object) -> None:
    with pytest.raises(ThresholdError, match="is not a number"):
        parse_threshold("> 80").is_crossed_by(value)  # type: ignore[arg-type]


@given(st.floats(allow_nan=False), st.sampled_from(["10", "0", "-3.25", "99.9 %", "2 h", "1 KiB"]))
def test_opposites_are_opposite(value: float, limit: str) -> None:
    for one, other in ((">", "<="), ("<", ">="), ("==", "!=")):
        crossed = parse_threshold(f"{one} {limit}").is_crossed_by(value)
        assert crossed is not parse_threshold(f"{other} {limit}").is_crossed_by(value)


def test_the_most_severe_crossed_limit_makes_the_finding() -> None:
    limits = parse_limits({"medium": "> 70%", "critical": "> 95%", "high": "> 80%"}, kind="percent")
    assert list(limits) == ["critical", "high", "medium"]
    about = {"id": "disk.usage", "subject": "/var", "message": "The file system fills up", "action": "clean up"}
    finding = judge(85.5, limits, **about)
    assert finding is not None
    assert (finding.severity, finding.value, finding.threshold, finding.subject) == ("high", 85.5, "> 80%", "/var")
    assert judge(70, limits, **about) is None


def test_a_misspelt_severity_is_refused() -> None:
    with pytest.raises(InputError, match="unknown severity 'hihg'; did you mean 'high'"):
        parse_limits({"hihg": "> 1"})
