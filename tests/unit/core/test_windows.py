# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._core.windows import (
    DAYS,
    Window,
    WindowError,
    parse_window,
)

UTC = datetime.timezone.utc
PARIS = zoneinfo.ZoneInfo("Europe/Paris")

# In 2026, Paris goes forward on March 29 at 01:00 UTC and back on October 25 at 01:00 UTC.
# Lord Howe shifts by half an hour; Beirut and Santiago change at midnight; Casablanca changes around Ramadan.
ZONES = (
    "UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "America/Santiago", "Asia/Kolkata",
    "Africa/Casablanca", "Pacific/Apia",
)  # fmt: skip
MINUTE = datetime.timedelta(minutes=1)


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at", "is_open"),
    [
        ("Sun 01:00-05:00 Europe/Paris", "2026-11-22T00:00", True),  # 01:00 on Sunday in Paris
        ("Sun 01:00-05:00 Europe/Paris", "2026-11-21T23:59", False),
        ("Sun 01:00-05:00 Europe/Paris", "2026-11-22T04:00", False),  # the end is not in it
        ("Mon-Fri 22:00-04:00 UTC", "2026-11-23T22:00", True),
        ("Mon-Fri 22:00-04:00 UTC", "2026-11-28T03:59", True),  # Saturday morning belongs to Friday's window
        ("Mon-Fri 22:00-04:00 UTC", "2026-11-28T22:00", False),
        ("Mon-Fri 22:00-04:00 UTC", "2026-11-23T03:00", False),  # Monday morning would be Sunday's
        ("Sat,Sun 00:00-24:00", "2026-11-21T00:00", True),
        ("Sat,Sun 00:00-24:00", "2026-11-22T23:59", True),
        ("Sat,Sun 00:00-24:00", "2026-11-23T00:00", False),
        ("daily 01:00-03:00 Asia/Tokyo", "2026-11-22T16:30", True),
        ("Sat-Mon 10:00-11:00", "2026-11-23T10:00", True),
        ("Sat-Mon 10:00-11:00", "2026-11-24T10:00", False),
        ("Mon 01:00-02:00; Tue 03:00-04:00 UTC", "2026-11-24T03:30", True),
        ("Mon,Wed 01:00-02:00, Tue 03:00-04:00 UTC", "2026-11-25T01:30", True),
        ("monday 1:00-2:00", "2026-11-23T01:00", True),
        ("daily 22:00-00:00", "2026-11-23T23:59", True),
        ("daily 22:00-00:00", "2026-11-23T00:00", False),
    ],
)
def test_is_open(text: str, at: str, is_open: bool) -> None:
    assert parse_window(text).is_open(utc(at)) is is_open


@pytest.mark.parametrize(
    ("text", "at", "opens", "closes"),
    [
        # Forward: 02:00-03:00 does not exist on March 29.
        ("Sun 01:00-05:00 Europe/Paris", "2026-03-28T12:00", "2026-03-29T00:00", "2026-03-29T03:00"),
        ("Sun 02:30-04:00 Europe/Paris", "2026-03-28T12:00", "2026-03-29T01:00", "2026-03-29T02:00"),
        ("Sun 01:00-02:30 Europe/Paris", "2026-03-28T12:00", "2026-03-29T00:00", "2026-03-29T01:00"),
        ("Sun 02:10-02:50 Europe/Paris", "2026-03-28T12:00", "2026-04-05T00:10", "2026-04-05T00:50"),
        ("Sat 23:00-02:30 Europe/Paris", "2026-03-28T12:00", "2026-03-28T22:00", "2026-03-29T01:00"),
        # Back: 02:00-03:00 happens twice on October 25.
        ("Sun 01:00-05:00 Europe/Paris", "2026-10-24T12:00", "2026-10-24T23:00", "2026-10-25T04:00"),
        ("Sun 02:00-03:00 Europe/Paris", "2026-10-24T12:00", "2026-10-25T00:00", "2026-10-25T02:00"),
        ("Sun 02:10-02:50 Europe/Paris", "2026-10-24T12:00", "2026-10-25T00:10", "2026-10-25T00:50"),
        ("Sun 02:10-02:50 Europe/Paris", "2026-10-25T00:50", "2026-10-25T01:10", "2026-10-25T01:50"),
        # Windows that touch are one.
        ("Mon 22:00-24:00; Tue 00:00-04:00", "2026-11-23T12:00", "2026-11-23T22:00", "2026-11-24T04:00"),
        # The day in the zone is not the day in UTC.
        ("Mon 08:00-09:00 Pacific/Kiritimati", "2026-11-22T12:00", "2026-11-22T18:00", "2026-11-22T19:00"),
        ("Mon 20:00-21:00 Pacific/Honolulu", "2026-11-24T05:00", "2026-11-24T06:00", "2026-11-24T07:00"),
    ],
)
def test_opening_and_closing(text: str, at: str, opens: str, closes: str) -> None:
    window = parse_window(text)
    assert window.next_opening(utc(at)) == utc(opens)
    assert window.closes_at(utc(at)) == utc(closes)


def test_an_open_window_opens_now_and_one_that_is_always_open_never_closes() -> None:
    at = utc("2026-11-23T12:34:56")
    window = parse_window("daily 00:00-24:00 Europe/Paris")
    assert window.next_opening(at) == at
    assert window.closes_at(at) is None
    assert parse_window("Mon-Sun 00:00-12:00, daily 12:00-00:00").closes_at(at) is None


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", "empty"),
        (None, "not a text"),
        (7, "not a text"),
        ("Sun", "'Sun' cannot be read"),
        ("01:00-05:00", "cannot be read"),
        ("Mon 1-2", "cannot be read"),
        ("Mon 01:00-02:00;", "'' cannot be read"),
        ("Mon 01:00-02:00,", "'' cannot be read"),
        (",", "',' cannot be read"),
        ("Fun 01:00-02:00", "unknown day 'Fun'; days are Mon"),
        ("Mon-Wed-Fri 01:00-02:00", "not a range of days"),
        ("Sun 25:00-01:00", "time '25:00' does not exist"),
        ("Sun 01:60-02:00", "time '01:60' does not exist"),
        ("Sun 01:00-24:01", "time '24:01' does not exist"),
        ("Sun 03:00-03:00", "00:00-24:00"),
        ("Sun 24:00-03:00", "opens at 24:00"),
        ("Sun 01:00-05:00 Europe/Pari", "did you mean 'Europe/Paris'?"),
        ("Sun 01:00-05:00 Tokyo", "did you mean 'Asia/Tokyo'?"),
        ("Sun 01:00-05:00 xyzzy", "unknown time zone 'xyzzy'"),
        ("Sun 01:00-05:00 Europe", "unknown time zone 'Europe'"),
        ("Sun 01:00-05:00 Europe/../../etc/passwd", "cannot be read"),
    ],
)
def test_refuses_with_the_value_and_what_is_right(value: object, names: str) -> None:
    with pytest.raises(WindowError) as caught:
        parse_window(value)  # type: ignore[arg-type]
    assert names in str(caught.value)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InputError, match="no time zone"):
        parse_window("daily 01:00-02:00").is_open(datetime.datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


@st.composite
def windows(draw: st.DrawFn) -> Window:
    spans = []
    for _ in range(draw(st.integers(1, 3))):
        days = draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True))
        opens, closes = draw(st.lists(st.sampled_from(range(0, 1440, 15)), min_size=2, max_size=2, unique=True))
        zone = draw(st.sampled_from(ZONES))
        spans.append(f"{','.join(days)} {opens // 60:02d}:{opens % 60:02d}-{closes // 60:02d}:{closes % 60:02d} {zone}")
    return parse_window("; ".join(spans))


# Both clock changes of every zone of the list lie in these days.
moments = st.integers(0, 250 * 24 * 60).map(lambda minutes: utc("2026-03-01T00:00:30") + minutes * MINUTE)
changes = ("2026-03-29T01:00", "2026-10-25T01:00", "2026-03-08T07:00", "2026-11-01T06:00", "2026-04-04T15:00")
near_changes = st.tuples(st.sampled_from(changes), st.integers(-3000, 3000)).map(lambda it: utc(it[0]) + it[1] * MINUTE)


@settings(max_examples=150)
@given(windows(), moments | near_changes)
def test_opening_and_closing_agree_with_is_open(window: Window, at: datetime.datetime) -> None:
    opening = window.next_opening(at)
    assert opening is not None
    assert opening >= at
    assert window.is_open(opening)
    if opening > at:
        assert not window.is_open(opening - datetime.timedelta(microseconds=1))
        assert not any(window.is_open(moment) for moment in _between(at, opening))
    closing = window.closes_at(at)
    if closing is None:
        assert all(window.is_open(at + hours * datetime.timedelta(hours=1)) for hours in range(24 * 8))
    else:
        assert closing > opening
        assert not window.is_open(closing)
        assert window.is_open(closing - datetime.timedelta(microseconds=1))
        assert all(window.is_open(moment) for moment in _between(opening, closing))


def _between(start: datetime.datetime, end: datetime.datetime) -> list[datetime.datetime]:
    step = max((end - start) / 300, MINUTE)
    return [start + number * step for number in range(1, 300) if start + number * step < end]


@given(st.integers(0, 365 * 24 * 4), st.sampled_from(ZONES))
def test_a_window_is_what_the_wall_clock_says(quarters: int, zone: str) -> None:
    at = utc("2026-01-01T00:00") + quarters * datetime.timedelta(minutes=15)
    wall = at.astimezone(zoneinfo.ZoneInfo(zone))
    expected = wall.weekday() == 6 and 1 <= wall.hour < 4
    assert parse_window(f"Sun 01:00-04:00 {zone}").is_open(at) is expected


@given(st.text())
def test_any_text_is_read_or_refused_by_one_error(text: str) -> None:
    try:
        window = parse_window(text)
    except WindowError as error:
        window, said = None, str(error)
    assert window.spans if window else said.startswith("window ")
