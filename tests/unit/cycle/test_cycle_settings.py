# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of one host and of all hosts of a run, and the moments and freezes in them."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.catalogue import load_catalogue
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.fleet import Fleet
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.moments import parse_moment
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.settings import (
    DEFAULTS,
    read_settings,
    unknown_variables,
)

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "cycle"
UTC = datetime.timezone.utc


def refusal(**variables: t.Any) -> str:
    with pytest.raises(InputError) as refused:
        read_settings(variables, load_catalogue())
    return str(refused.value)


def test_the_defaults_of_the_role_its_arguments_and_the_check_are_the_same_by_value_and_type() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    assert defaults == DEFAULTS
    entries = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    kinds = {"dict": dict, "list": list, "str": str, "bool": bool}
    documented = {name: spec for entry in entries.values() for name, spec in entry["options"].items()}
    assert set(documented) == set(DEFAULTS)
    for entry in entries.values():
        for name, spec in entry["options"].items():
            assert spec["default"] == DEFAULTS[name]
            assert type(DEFAULTS[name]) is kinds[spec["type"]]
    assert set(entries) == {path.stem for path in (ROLE / "tasks").glob("*.yml")} - {"work", "activity"}


def test_defaults_are_sound_and_ask_for_everything() -> None:
    settings = read_settings({}, load_catalogue())
    assert len(settings.activities) == len(load_catalogue())
    assert (settings.wish.only, settings.wish.cadence, settings.wish.force, settings.wish.freezes) == (
        (),
        "",
        False,
        (),
    )


@pytest.mark.parametrize(
    ("text", "force"), [("true", True), ("True", True), ("yes", True), ("no", False), ("0", False)]
)
def test_the_command_line_writes_booleans_as_text(text: str, force: bool) -> None:
    assert read_settings({"cycle_force": text}, load_catalogue()).wish.force is force


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"cycle_force": "perhaps"}, "cycle_force must be true or false, not 'perhaps'"),
        (
            {"cycle_only": ["backup.databse"]},
            "cycle_only: unknown activity 'backup.databse'; did you mean 'backup.database'?",
        ),
        ({"cycle_only": "backup.database"}, """-e '{"cycle_only": ["backup.database"]}'"""),
        ({"cycle_only": ["security.access"]}, "cycle_only: security.access cannot be run: it is not automated yet"),
        ({"cycle_cadence": "weekley"}, "cycle_cadence: unknown cadence 'weekley'; did you mean 'weekly'?"),
        ({"cycle_cadence": 7}, "cycle_cadence must be a text, not 7"),
        ({"cycle_change_request": 4711}, "cycle_change_request must be a text, not 4711"),
        ({"cycle_freezes": {}}, "cycle_freezes must be a list of freezes"),
        ({"cycle_freezes": ["x"]}, "cycle_freezes[0] must be a dictionary with reason, owner and end"),
        (
            {"cycle_freezes": [{"reason": "r", "ownr": "o", "end": "2027-01-01"}]},
            "unknown key 'ownr'; did you mean 'owner'?",
        ),
        ({"cycle_freezes": [{"reason": "r", "owner": "o"}]}, "cycle_freezes[0]: end is missing"),
        ({"cycle_freezes": [{"reason": "", "owner": "o", "end": "2027-01-01"}]}, "cycle_freezes[0]: reason is missing"),
        ({"cycle_freezes": [{"reason": "r", "owner": "o", "end": "soon"}]}, "cycle_freezes[0]: end: time 'soon'"),
        (
            {"cycle_freezes": [{"reason": "r", "owner": "o", "end": "2027-01-01 Europe/Berln"}]},
            "unknown time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?",
        ),
        (
            {"cycle_freezes": [{"reason": "r", "owner": "o", "start": "2027-01-03", "end": "2027-01-01"}]},
            "end '2027-01-01' is not after start '2027-01-03'",
        ),
        (
            {"cycle_freezes": [{"reason": "r", "owner": "o", "end": "2027-01-01", "activities": ["databse.vacuum"]}]},
            "unknown activity 'databse.vacuum'; did you mean 'database.vacuum'?",
        ),
        (
            {"cycle_freezes": [{"reason": "r", "owner": "o", "end": "2027-01-01", "activities": []}]},
            "at least one activity",
        ),
        ({"maintenance_records": "records.jsonl"}, "maintenance_records: the records location 'records.jsonl'"),
    ],
)
def test_a_slip_of_the_pen_is_named_with_what_is_right(variables: dict[str, t.Any], message: str) -> None:
    assert message in refusal(**variables)


def test_misspelt_variables_are_found_by_their_prefix() -> None:
    names = [
        "cycle_activites",
        "cycle_only",
        "maintenance_record",
        "maintenance_records",
        "__cycle_plan",
        "cycleway",
        "postgres",
    ]
    told = unknown_variables(names)
    assert told == [
        "unknown variable 'cycle_activites'; did you mean 'cycle_activities'?",
        "unknown variable 'maintenance_record'; did you mean 'maintenance_records'?",
    ]
    assert "known are: cycle_activities" in unknown_variables(["cycle_xyzzy_quux"])[0]


@pytest.mark.parametrize(
    ("value", "whole_day", "moment"),
    [
        ("2026-12-24", False, datetime.datetime(2026, 12, 24, tzinfo=UTC)),
        ("2026-12-24", True, datetime.datetime(2026, 12, 25, tzinfo=UTC)),
        (datetime.date(2026, 12, 24), True, datetime.datetime(2026, 12, 25, tzinfo=UTC)),
        ("2026-12-24 18:00", True, datetime.datetime(2026, 12, 24, 18, tzinfo=UTC)),
        ("2026-12-24T18:00:30Z", False, datetime.datetime(2026, 12, 24, 18, 0, 30, tzinfo=UTC)),
        ("2026-12-24 18:00 Europe/Berlin", False, datetime.datetime(2026, 12, 24, 17, tzinfo=UTC)),
        ("2026-07-24 18:00 Europe/Berlin", False, datetime.datetime(2026, 7, 24, 16, tzinfo=UTC)),
        ("2026-12-24 Asia/Tokyo", True, datetime.datetime(2026, 12, 24, 15, tzinfo=UTC)),
        ("2026-12-24T18:00:00-05:30", False, datetime.datetime(2026, 12, 24, 23, 30, tzinfo=UTC)),
        (datetime.datetime(2026, 12, 24, 18, tzinfo=UTC), False, datetime.datetime(2026, 12, 24, 18, tzinfo=UTC)),
    ],
)
def test_moments_are_read_as_people_write_them(value: t.Any, whole_day: bool, moment: datetime.datetime) -> None:
    assert parse_moment(value, whole_day) == moment


@pytest.mark.parametrize(
    "value", ["", "tomorrow", "2026-13-01", "2026-12-24 25:00", "9999-12-31", 20261224, None, "2026-12-24T18:00+99:99"]
)
def test_other_moments_are_refused(value: t.Any) -> None:
    with pytest.raises(InputError):
        parse_moment(value, whole_day=True)


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_moment_in_utc_is_read_back(moment: datetime.datetime) -> None:
    whole = moment.replace(microsecond=0)
    assert parse_moment(whole.isoformat()) == whole


def fleet(groups: dict[str, list[str]], hosts: dict[str, dict[str, t.Any]]) -> Fleet:
    checked = Fleet(load_catalogue(), groups)
    for host, variables in hosts.items():
        checked.add(host, variables, variables)
    return checked


def fleet_refusal(groups: dict[str, list[str]], hosts: dict[str, dict[str, t.Any]]) -> str:
    with pytest.raises(InputError) as refused:
        fleet(groups, hosts).require_sound()
    return str(refused.value)


GROUPS = {"all": ["db1", "db2", "web1"], "postgres": ["db1", "db2"], "web": ["web1"]}


def test_each_problem_is_told_once_with_the_hosts_that_have_it() -> None:
    wrong = {"cycle_activities": {"database.vacum": {}}}
    told = fleet_refusal(GROUPS, {"db1": wrong, "db2": dict(wrong, cycle_onyl=[]), "web1": {}})
    assert told.count("did you mean 'database.vacuum'?") == 1
    assert "(hosts db1, db2)" in told
    assert "unknown variable 'cycle_onyl'; did you mean 'cycle_only'? (host db2)" in told


def test_many_hosts_are_counted() -> None:
    hosts = {f"h{number}": {"cycle_cadence": "dayly"} for number in range(50)}
    assert "(hosts h0, h1, h2 and 47 more)" in fleet_refusal(GROUPS, hosts)


def test_hosts_with_work_are_sound_and_absent_groups_are_told() -> None:
    groups = {**GROUPS, "application": ["web1"], "control": ["web1"]}
    checked = fleet(groups, {"db1": {}, "web1": {"cycle_activities": {"security.access": {"hosts": "web"}}}})
    checked.require_sound()
    assert checked.absent_groups() == []


def test_a_misspelt_group_in_the_inventory_is_not_nothing_to_do() -> None:
    told = fleet_refusal({"all": ["db1"], "postgress": ["db1"]}, {"db1": {}})
    assert "no activity of the catalogue applies to any of the 1 hosts" in told
    assert "group 'postgres', which the inventory does not have (is 'postgress' meant?)" in told
    assert "database.vacuum" in told


def test_an_empty_group_and_one_outside_the_run_are_told() -> None:
    assert "'postgres', which is empty" in fleet_refusal({"all": ["db1"], "postgres": []}, {"db1": {}})
    assert "(it has hosts db1, db2, not part of this run)" in fleet_refusal(GROUPS, {"web1": {}})


def test_a_misspelt_group_in_an_override_is_refused() -> None:
    told = fleet_refusal(GROUPS, {"db1": {"cycle_activities": {"database.vacuum": {"hosts": "postgrse"}}}})
    assert "database.vacuum: hosts: the inventory has no group 'postgrse'; did you mean 'postgres'?" in told


def test_a_group_that_only_some_activities_want_is_told_without_failing() -> None:
    review = {"hosts": "spare"}
    groups = {**GROUPS, "spare": [], "application": ["web1"], "control": ["web1"]}
    checked = fleet(groups, {"db1": {"cycle_activities": {"database.review": review}}, "web1": {}})
    checked.require_sound()
    assert checked.absent_groups() == [
        "no host of this run is in the group 'spare', which is empty: database.review not done"
    ]


def test_all_switched_off_is_refused() -> None:
    off = {name: {"available": False} for name, entry in load_catalogue().items() if entry["available"]}
    assert "switched off or not asked for" in fleet_refusal(GROUPS, {"db1": {"cycle_activities": off}})


def test_a_cadence_without_anything_automated_is_no_slip_of_the_pen() -> None:
    fleet(GROUPS, {"db1": {"cycle_cadence": "annually"}}).require_sound()
    assert "group 'postgres'" in fleet_refusal({"all": ["db1"]}, {"db1": {"cycle_cadence": "daily"}})
