# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accept list, the lanes with their clocks, the cooldown, and the memory of when something was first seen."""

from __future__ import annotations

import datetime
import os
import pathlib
import stat
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core import accepted as accept
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._packages import lanes
from ansible_collections.steward.maintenance.plugins.module_utils._packages.arguments import (
    LANES,
    PACKAGES_ARGUMENTS,
    settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._packages.judging import (
    Place,
    Vulnerability,
    fixed_by,
)
from ansible_collections.steward.maintenance.plugins.module_utils._packages.looks import Advisory
from ansible_collections.steward.maintenance.plugins.module_utils._packages.seen import Memory

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.timezone.utc)
TODAY = NOW.date()
DAY = datetime.timedelta(days=1)
ENTRY = {"id": "CVE-2026-1", "reason": "never called", "owner": "Jane Doe", "until": "2026-12-31"}
SUBJECT = accept.Subject(("GHSA-aaaa-bbbb-cccc", "CVE-2026-1"), "npm", "lodash", "/srv/shop", "web1")


def entries(*given: t.Mapping[str, t.Any]) -> list[accept.Entry]:
    return accept.read_accepted([{**ENTRY, **one} for one in given])


# -- accept list -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope",
    [
        None,
        {},
        {"ecosystem": "npm"},
        {"package": "lod*"},
        {"project": "/srv/*", "host": "web?"},
    ],
)
def test_an_entry_accepts_by_any_name_within_its_scope(scope: t.Any) -> None:
    listed = entries({"scope": scope}, {"id": "ghsa-AAAA-bbbb-cccc", "scope": scope})
    for entry in listed:
        assert accept.acceptance([entry], SUBJECT, TODAY) == (entry, None)
        assert entry.used


@pytest.mark.parametrize(
    "change",
    [
        {"id": "CVE-2026-11"},
        {"scope": {"ecosystem": "pypi"}},
        {"scope": {"package": "lodash-es"}},
        {"scope": {"project": "/srv/billing"}},
        {"scope": {"host": "db*"}},
    ],
)
def test_an_entry_accepts_nothing_else(change: t.Mapping[str, t.Any]) -> None:
    listed = entries(change)
    assert accept.acceptance(listed, SUBJECT, TODAY) == (None, None)
    assert not listed[0].used


def test_the_last_day_is_the_last_day() -> None:
    (entry,) = entries({"until": "2026-11-26"})
    assert accept.acceptance([entry], SUBJECT, TODAY) == (entry, None)
    assert accept.acceptance([entry], SUBJECT, TODAY + DAY) == (None, entry)


def test_an_expired_entry_that_is_still_needed_is_a_finding() -> None:
    listed = entries({"until": "2026-11-20"})
    accept.acceptance(listed, SUBJECT, TODAY)
    (finding,) = accept.judge_entries(listed, TODAY, ["npm"], "web1", was_whole=False)
    assert (finding.id, finding.severity, finding.value) == ("accept-expired", "high", 6 * 86400)
    assert "Jane Doe" in finding.message


def test_an_unused_entry_is_a_finding_once_everything_was_looked_at() -> None:
    listed = entries({"scope": {"ecosystem": "npm"}})
    assert [one.id for one in accept.judge_entries(listed, TODAY, ["npm"], "web1", True)] == ["accept-unused"]
    assert not accept.judge_entries(listed, TODAY, ["npm"], "web1", was_whole=False)


@pytest.mark.parametrize("scope", [{"ecosystem": "system"}, {"host": "db1"}, {"ecosystem": "pypi"}])
def test_an_entry_for_something_else_is_not_unused_here(scope: dict[str, str]) -> None:
    assert not accept.judge_entries(entries({"scope": scope}), TODAY, ["npm"], "web1", was_whole=True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"until": "31.12.2026"}, ["entry 1", "until", "'31.12.2026'", "2027-01-31"]),
        ({"until": "2026-02-30"}, ["until", "2026-02-30", "no such day"]),
        ({"until": None}, ["until", "'None'"]),
        ({"owner": " "}, ["owner", "' '", "not empty"]),
        ({"reason": ""}, ["reason"]),
        ({"id": 7}, ["id is 7"]),
        ({"untill": "2026-12-31"}, ["'untill'", "did you mean 'until'?"]),
        ({"scope": {"pakage": "x"}}, ["'pakage'", "did you mean 'package'?"]),
        ({"scope": {"ecosystem": "pip"}}, ["scope.ecosystem", "'pip'"]),
        ({"scope": {"ecosystem": "nmp"}}, ["did you mean 'npm'?"]),
        ({"scope": "npm"}, ["scope is 'npm'", "keys ecosystem"]),
        ({"scope": {"package": 3}}, ["scope.package is 3"]),
    ],
)
def test_a_bad_entry_is_one_clear_error(given: dict[str, t.Any], words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        entries(given)
    assert [word for word in words if word not in str(error.value)] == []


@pytest.mark.parametrize("given", [{"id": "x"}, ["CVE-2026-1"], [None], "CVE-2026-1"])
def test_what_is_no_list_of_entries_is_refused(given: t.Any) -> None:
    with pytest.raises(InputError):
        accept.read_accepted(given)


def test_the_same_entry_twice_is_refused() -> None:
    with pytest.raises(InputError, match="entry 2: CVE-2026-1 is there already, as entry 1"):
        entries({}, {"owner": "Somebody Else"})


# -- lanes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "counted", "days"),
    [("critical", "critical", 0), ("high", "high", 7), ("medium", "medium", 30), ("low", "low", 90), ("", "high", 7)],
)
def test_lanes_count_from_when_it_was_first_seen(severity: str, counted: str, days: int) -> None:
    known = lanes.read_lanes({}, LANES)
    first = NOW - days * DAY
    assert lanes.judge(severity, first, NOW, known)[0] == counted
    due = lanes.judge(severity, first, NOW, known)[1]
    assert (due.due, due.is_overdue) == (NOW, False)
    late = lanes.judge(severity, first, NOW + datetime.timedelta(hours=1), known)[1]
    assert (late.is_overdue, late.overdue_seconds) == (True, 3600)
    assert "1 h" in late.told()


def test_lanes_can_be_changed_in_part() -> None:
    known = lanes.read_lanes({"high": "3d", "critical": "24h"}, LANES)
    assert [known[severity].seconds for severity in lanes.SEVERITIES] == [86400, 3 * 86400, 30 * 86400, 90 * 86400]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hihg": "3d"}, ["'hihg'", "did you mean 'high'?"]),
        ({"high": "soon"}, ["lanes.high", "'soon'", "'now'"]),
        ({"high": 7}, ["lanes.high", "7"]),
        ({"critical": "30d"}, ["lanes.critical is '30d'", "longer than lanes.high"]),
    ],
)
def test_bad_lanes_are_one_clear_error(given: dict[str, t.Any], words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        lanes.read_lanes(given, LANES)
    assert [word for word in words if word not in str(error.value)] == []


@pytest.mark.parametrize(
    ("published", "held"),
    [
        ("2026-11-01T00:00:00Z", None),
        ("2026-11-24T00:00:00.123Z", "2026-12-01T00:00:00Z"),
        ("2026-11-24T00:00:00.000000Z", "2026-12-01T00:00:00Z"),
        ("", ""),
        ("last week", ""),
    ],
)
def test_a_young_release_waits_and_so_does_one_without_a_moment(published: str, held: str | None) -> None:
    assert lanes.held_until(published, NOW, 7 * 86400) == held
    assert lanes.held_until(published, NOW, 0) is None
    assert lanes.held_until(published, NOW, 7 * 86400, is_fix=True) is None


def test_which_vulnerabilities_a_version_no_longer_has() -> None:
    python = [Advisory(("CVE-1",), fixes=("2.0", "1.5")), Advisory(("CVE-2",), fixes=("3.0",)), Advisory(("CVE-3",))]
    assert fixed_by("pypi", python, "2.1") == ["CVE-1"]
    assert fixed_by("pypi", python, "3.0") == ["CVE-1", "CVE-2"]
    node = [Advisory(("CVE-1",), fixes=None, vulnerable="<1.2.0"), Advisory(("CVE-2",), fixes=None, vulnerable=">=0.1")]
    assert fixed_by("npm", node, "1.2.0") == ["CVE-1"]


# -- findings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "fix", "words"),
    [
        ("critical", "1.0.1", ["emergency change: update to 1.0.1 (patch)"]),
        ("high", "1.0.1", ["update to 1.0.1 (patch)"]),
        ("high", "2.0.0", ["major", "on a branch, with all tests"]),
        ("high", "0.9.0", ["only an older version", "0.9.0"]),
        ("high", "", ["no version without it", "owner"]),
        ("high", None, ["nobody could be asked"]),
        ("", "1.0.1", ["update to 1.0.1"]),
    ],
)
def test_every_vulnerability_ends_in_something_to_do(severity: str, fix: str | None, words: list[str]) -> None:
    counted, due = lanes.judge(severity, NOW - 10 * DAY, NOW, lanes.read_lanes({}, LANES))
    one = Vulnerability("npm", ("x", "1.0.0"), Advisory(("CVE-1",), severity), counted, fix)
    one.places.append(Place("/srv/shop", ["package-lock.json"], [["a 1", "x 1.0.0"]], due))
    finding = one.finding()
    assert [word for word in words if word not in finding.action] == []
    assert "emergency" in finding.action or severity != "critical"
    assert finding.severity == (severity or "high")
    assert "by a 1 > x 1.0.0" in finding.message
    assert finding.value > 0


# -- memory ----------------------------------------------------------------------------------------------------------


def test_the_clock_runs_from_the_first_time(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "state" / "seen.json")
    first = Memory(path)
    assert first.first_seen("npm", "/srv/shop", "lodash", ["GHSA-1"], NOW - 9 * DAY) == NOW - 9 * DAY
    first.write([("npm", "/srv/shop")])
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    # The advisory has got another name since, and keeps its clock by the one that it had.
    second = Memory(path)
    assert second.first_seen("npm", "/srv/shop", "lodash", ["CVE-1", "GHSA-1"], NOW) == NOW - 9 * DAY
    assert second.first_seen("npm", "/srv/billing", "lodash", ["GHSA-1"], NOW) == NOW
    second.write([("npm", "/srv/shop")])
    assert Memory(path).first_seen("npm", "/srv/shop", "lodash", ["CVE-1"], NOW) == NOW - 9 * DAY


def test_only_a_whole_look_forgets(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "seen.json")
    memory = Memory(path)
    memory.first_seen("npm", "/srv/shop", "lodash", ["CVE-1"], NOW - 9 * DAY)
    memory.write([])
    Memory(path).write([("pypi", "/srv/shop"), ("npm", "/srv/billing")])
    assert Memory(path).first_seen("npm", "/srv/shop", "lodash", ["CVE-1"], NOW) == NOW - 9 * DAY
    Memory(path).write([("npm", "/srv/shop")])
    assert Memory(path).first_seen("npm", "/srv/shop", "lodash", ["CVE-1"], NOW) == NOW


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "seen": [{"ids": []}]}', "\x00\x01"])
def test_a_damaged_memory_is_told_and_kept(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "seen.json"
    path.write_text(text, encoding="utf-8")
    memory = Memory(str(path))
    assert "damaged" in memory.damage
    memory.first_seen("npm", "/srv/shop", "lodash", ["CVE-1"], NOW)
    memory.write([])
    assert (tmp_path / "seen.json.damaged").read_text(encoding="utf-8") == text
    assert not Memory(str(path)).damage


def test_a_clock_that_was_set_back_does_not_make_it_younger(tmp_path: pathlib.Path) -> None:
    memory = Memory(str(tmp_path / "seen.json"))
    memory.first_seen("npm", "/srv/shop", "lodash", ["CVE-1"], NOW + 9 * DAY)
    assert memory.first_seen("npm", "/srv/shop", "lodash", ["CVE-1"], NOW) == NOW


# -- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"projects": []}, ["projects is empty"]),
        ({"projects": ["srv/shop"]}, ["'srv/shop'", "absolute"]),
        ({"requirements": ["../x.txt"]}, ["requirements", "'../x.txt'"]),
        ({"environments": ["/opt/venv"]}, ["environments", "'/opt/venv'"]),
        ({"osv_url": "osv.example.org"}, ["osv_url", "'osv.example.org'"]),
        ({"cooldown": "a week"}, ["cooldown", "'a week'"]),
        ({"timeout": ""}, ["timeout"]),
        ({"jobs": 1000}, ["jobs is 1000"]),
        ({"canaries": {"pypy": "x==1"}}, ["'pypy'", "did you mean 'pypi'?"]),
        ({"canaries": {"npm": "lodash"}}, ["canaries.npm", "'lodash'", "minimist@0.0.8"]),
        ({"canaries": {"pypi": "pyyaml@5.3"}}, ["canaries.pypi", "pyyaml==5.3"]),
        ({"stamps": {"pypi": "stamp"}}, ["stamps.pypi", "'stamp'"]),
    ],
)
def test_bad_arguments_are_one_clear_error(given: dict[str, t.Any], words: list[str]) -> None:
    defaults = {name: option.get("default") for name, option in PACKAGES_ARGUMENTS.items()}
    with pytest.raises(InputError) as error:
        settings_from({**defaults, "projects": ["/srv/shop"], **given})
    assert [word for word in words if word not in str(error.value)] == []
