# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project may change of the catalogue, and what a slip of the pen is answered with."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.catalogue import (
    Activity,
    in_order,
    load_catalogue,
    merge_catalogue,
)


def activity(name: str = "database.vacuum", **changes: object) -> Activity:
    return merge_catalogue(load_catalogue(), {name: changes})[name]


def test_only_the_differences_change() -> None:
    changed = activity(every="3d", window="Sun 01:00-05:00 Europe/Paris")
    assert changed.period == 3 * 86400
    assert changed.opening.is_open(datetime.datetime(2026, 11, 22, 1, 30, tzinfo=datetime.timezone.utc))
    assert (changed.role, changed.entry, changed.title) == ("postgres_maintenance", "vacuum", "VACUUM")
    untouched = merge_catalogue(load_catalogue(), {})
    assert [*untouched] == [*load_catalogue()]
    assert untouched["database.vacuum"].period == 7 * 86400


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"database.vacum": {}},
            "cycle_activities: unknown activity 'database.vacum'; did you mean 'database.vacuum'?",
        ),
        (
            {"database.vacuum": {"evry": "3d"}},
            "cycle_activities: unknown key 'evry' in database.vacuum; did you mean 'every'?",
        ),
        ({"database.vacuum": {"every": "3 dayz"}}, "cycle_activities: database.vacuum: every: duration '3 dayz'"),
        ({"database.vacuum": {"every": 7}}, "cycle_activities: database.vacuum: every: duration 7 is not a text"),
        ({"database.vacuum": {"every": "0d"}}, "every: duration '0d' is zero"),
        ({"database.vacuum": {"window": "Sunn 01:00-05:00"}}, "cycle_activities: database.vacuum: window: "),
        ({"database.vacuum": {"window": "Sun 01:00-05:00 Europe/Pariss"}}, "Europe/Paris"),
        ({"database.vacuum": {"change": "standart"}}, "change is 'standart'; did you mean 'standard'?"),
        ({"database.vacuum": {"type": "preventative"}}, "type is 'preventative'; did you mean 'preventive'?"),
        ({"database.vacuum": {"available": "no"}}, "available must be true or false, not 'no'"),
        (
            {"database.vacuum": {"after": ["backup.verfy"]}},
            "unknown activity 'backup.verfy'; did you mean 'backup.verify'?",
        ),
        ({"database.vacuum": {"after": "backup.verify"}}, "after must be a list of activities"),
        ({"database.vacuum": {"entry": "vacuum.yml"}}, "without extension"),
        ({"database.vacuum": {"owner": ""}}, "owner is empty"),
        ({"database.vacuum": {"hosts": ["a"]}}, "hosts must be a text"),
        ({"database.vacuum": "3d"}, "database.vacuum must be a dictionary of the keys to change, not '3d'"),
        (["database.vacuum"], "cycle_activities must be a dictionary of activities"),
        ({"security.access": {"available": True}}, "security.access is available: true, but no role is given"),
        ({"backup.database": {"after": ["backup.verify"]}}, "wait for each other"),
    ],
)
def test_a_slip_of_the_pen_is_named_with_what_is_right(overrides: object, message: str) -> None:
    with pytest.raises(InputError) as refused:
        merge_catalogue(load_catalogue(), overrides)
    assert message in str(refused.value)


def test_a_role_of_the_project_can_do_an_activity() -> None:
    changed = activity("security.access", available=True, role="our.tools.review_access", entry="monthly")
    assert changed.result_variable == "review_access_result"
    assert activity().result_variable == "postgres_maintenance_result"


@pytest.mark.parametrize(
    ("every", "cadence"),
    [
        ("5m", "daily"),
        ("1d", "daily"),
        ("25h", "weekly"),
        ("7d", "weekly"),
        ("30d", "monthly"),
        ("31d", "monthly"),
        ("91d", "quarterly"),
        ("365d", "annually"),
        ("730d", "annually"),
    ],
)
def test_each_period_belongs_to_one_cadence(every: str, cadence: str) -> None:
    belongs = [
        one for one in ("daily", "weekly", "monthly", "quarterly", "annually") if activity(every=every).in_cadence(one)
    ]
    assert belongs == [cadence]


def test_an_event_belongs_to_no_cadence_and_no_cadence_takes_all() -> None:
    assert not activity(every="event").in_cadence("daily")
    assert activity(every="event").in_cadence("")


@given(st.permutations(list(load_catalogue())))
def test_nothing_comes_before_what_it_names_as_after(names: list[str]) -> None:
    merged = merge_catalogue(load_catalogue(), {})
    ordered = [one.name for one in in_order([merged[name] for name in names])]
    assert sorted(ordered) == sorted(names)
    for name in ordered:
        for first in merged[name].after:
            assert ordered.index(first) < ordered.index(name)


def test_without_after_the_order_stays() -> None:
    merged = merge_catalogue(load_catalogue(), {})
    names = ["security.access", "bugs.fix", "logs.fatal"]
    assert [one.name for one in in_order([merged[name] for name in names])] == names
