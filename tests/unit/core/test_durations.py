# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._core.durations import (
    LONGEST_SECONDS,
    UNITS,
    DurationError,
    format_duration,
    parse_duration,
    write_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("36h", 129600),
        ("7d", 604800),
        ("2w", 1209600),
        ("1d12h", 129600),
        (" 1d 12h ", 129600),
        ("1w1d1h1m1s", 694861),
    ],
)
def test_reads_what_people_write(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("0s", "zero"),
        ("0d0h", "zero"),
        ("-1d", "cannot be read"),
        ("90", "no unit"),
        ("7 days", "unknown unit 'days'"),
        ("1y", "unknown unit 'y'"),
        ("7D", "unknown unit 'D'"),
        ("1.5h", "cannot be read"),
        ("1d1d", "twice"),
        ("1h1d", "after a smaller unit"),
        ("P1D", "cannot be read"),
        ("9999w", "longer than 100 years"),
        ("9" * 5000 + "w", "longer than 100 years"),
        (7, "not a text"),
        (None, "not a text"),
        (["7d"], "not a text"),
    ],
)
def test_refuses_with_the_value_and_what_is_right(value: object, names: str) -> None:
    with pytest.raises(DurationError) as caught:
        parse_duration(value)  # type: ignore[arg-type]
    assert names in str(caught.value)
    assert repr(value) in str(caught.value)
    assert '"7d"' in str(caught.value)


@given(st.integers(min_value=1, max_value=LONGEST_SECONDS))
def test_what_is_written_reads_back(seconds: int) -> None:
    assert parse_duration(write_duration(seconds)) == seconds


@given(st.integers(max_value=0))
def test_no_duration_is_written_for_nothing(seconds: int) -> None:
    with pytest.raises(DurationError):
        write_duration(seconds)


@given(st.lists(st.sampled_from(list(UNITS)), min_size=1, unique=True), st.integers(min_value=1, max_value=500))
def test_parts_add_up(units: list[str], count: int) -> None:
    ordered = sorted(units, key=list(UNITS).index)
    assert parse_duration("".join(f"{count}{unit}" for unit in ordered)) == sum(count * UNITS[unit] for unit in units)


@given(st.text())
def test_any_text_is_read_or_refused_by_one_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except DurationError as error:
        seconds, said = 0, str(error)
    assert 0 < seconds <= LONGEST_SECONDS or repr(text) in said


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0001, "1 ms"),
        (0.85, "850 ms"),
        (0.9999, "1.0 s"),
        (1, "1 s"),
        (4.23, "4.2 s"),
        (9.96, "10 s"),
        (42.4, "42 s"),
        (59.9, "1 min"),
        (60, "1 min"),
        (303, "5 min 03 s"),
        (3599.7, "1 h"),
        (7500, "2 h 05 min"),
        (86399.9, "1 d"),
        (273600, "3 d 4 h"),
        (604800, "7 d"),
        (-90, "-1 min 30 s"),
    ],
)
def test_formats_for_a_person(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e9), st.floats(min_value=0, max_value=1e9))
def test_the_longer_one_never_looks_shorter(one: float, other: float) -> None:
    shorter, longer = sorted((one, other))
    assert _seconds(format_duration(shorter)) <= _seconds(format_duration(longer))


def _seconds(text: str) -> float:
    sizes = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
    words = text.split()
    return sum(float(number) * sizes[unit] for number, unit in zip(words[::2], words[1::2]))
