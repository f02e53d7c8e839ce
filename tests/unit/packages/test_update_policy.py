# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version a package goes to, by policy, class, age, ranges and vulnerabilities."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._packages.judging import fixed_by
from ansible_collections.steward.maintenance.plugins.module_utils._packages.looks import Advisory, Listing, Release
from ansible_collections.steward.maintenance.plugins.module_utils._packages.policy import (
    Choice,
    Installed,
    Rules,
    choose,
)
from ansible_collections.steward.maintenance.plugins.module_utils._packages.repository import is_branch
from ansible_collections.steward.maintenance.plugins.module_utils._packages.update_arguments import (
    UPDATE_ARGUMENTS,
    update_settings_from,
)

NOW = datetime.datetime(2026, 11, 26, tzinfo=datetime.timezone.utc)
OLD, YOUNG = "2026-01-01T00:00:00Z", "2026-11-25T00:00:00Z"


def listing(*versions: str, young: t.Sequence[str] = (), **needs: str) -> Listing:
    told = {version: Release(version, YOUNG if version in young else OLD) for version in versions}
    for version, wanted in needs.items():
        name = version.replace("_", ".").lstrip("v")
        told[name] = Release(name, OLD, wanted)
    return Listing(told)


def rules(policy: str, *approved: str) -> Rules:
    return Rules(policy, approved, 7 * 86400, NOW)


def installed(version: str, *fixes: str, ecosystem: str = "pypi", **more: t.Any) -> Installed:
    advisories = (Advisory(("CVE-1",), fixes=fixes),) if fixes else ()
    return Installed(ecosystem, "one", version, advisories, **more)


@pytest.mark.parametrize(
    ("policy", "expected"), [("security", ""), ("patch", "1.2.9"), ("minor", "1.9.0"), ("major", "3.0.0")]
)
@pytest.mark.parametrize("ecosystem", ["pypi", "npm"])
def test_a_routine_update_goes_as_far_as_the_policy(policy: str, expected: str, ecosystem: str) -> None:
    known = listing("1.2.3", "1.2.9", "1.9.0", "3.0.0", "3.1.0-rc.1" if ecosystem == "npm" else "3.1.0rc1")
    assert choose(installed("1.2.3", ecosystem=ecosystem), known, rules(policy)).version == expected


def test_below_one_a_minor_release_is_a_class_of_its_own() -> None:
    known = listing("0.1.0", "0.1.5", "0.2.0")
    assert choose(installed("0.1.0"), known, rules("minor")).version == "0.1.5"
    assert choose(installed("0.1.0"), known, rules("major")).version == "0.2.0"
    assert choose(installed("0.1.0"), known, rules("minor", "on*")).version == "0.2.0"


def test_a_young_release_waits_unless_it_is_a_fix() -> None:
    known = listing("1.0.0", "1.0.1", "1.0.2", young=["1.0.2"])
    assert choose(installed("1.0.0"), known, rules("patch")).version == "1.0.1"
    assert choose(installed("1.0.0", "1.0.2"), known, rules("patch")) == Choice("1.0.2", ("CVE-1",))
    # Nobody tells its moment: it may be a minute old.
    assert choose(installed("1.0.0"), Listing({"1.0.9": Release("1.0.9")}), rules("patch")).version == ""


def test_a_fix_is_the_nearest_one_and_a_routine_update_goes_on_from_there() -> None:
    known = listing("1.0.0", "1.0.1", "1.0.2", "1.1.0", "2.0.0")
    assert choose(installed("1.0.0", "1.0.1"), known, rules("security")).version == "1.0.1"
    assert choose(installed("1.0.0", "1.0.1"), known, rules("minor")).version == "1.1.0"


def test_a_breaking_fix_needs_approval() -> None:
    known = listing("1.0.0", "1.5.0", "2.0.0")
    choice = choose(installed("1.0.0", "2.0.0"), known, rules("security"))
    assert (choice.version, choice.needed) == ("", "2.0.0")
    assert "2.0.0, which may break what uses it (major) and is not approved" in choice.obstacle
    assert choose(installed("1.0.0", "2.0.0"), known, rules("security", "one")).version == "2.0.0"
    # Another package's approval is none.
    assert choose(installed("1.0.0", "2.0.0"), known, rules("security", "two")).version == ""
    # While it waits, what else the policy says is done all the same.
    other = choose(installed("1.0.0", "2.0.0"), known, rules("minor"))
    assert (other.version, other.fixes) == ("1.5.0", ())
    assert other.obstacle


def test_nothing_goes_backwards_and_no_fix_is_said() -> None:
    # Its advisory tells only of a fix in the series before: of what is newer nobody knows.
    choice = choose(installed("2.0.0", "1.9.9"), listing("1.9.9", "2.0.0", "2.0.1"), rules("security"))
    assert (choice.version, choice.obstacle) == ("", "no newer version that this project could have is without CVE-1")
    none = choose(installed("2.0.0", "1.9.9"), listing("1.9.9", "2.0.0"), rules("major", "*"))
    assert (none.version, none.obstacle) == ("", "no newer version that this project could have is without CVE-1")


def test_ranges_of_others_and_the_language_hold_back() -> None:
    known = listing("1.0.0", "1.1.0", "1.2.0", v1_3_0=">=3.99")
    asked = installed("1.0.0", language="3.11", ranges=(("requirements.in", "<1.2"),))
    assert choose(asked, known, rules("minor")).version == "1.1.0"
    blocked = installed("1.0.0", "1.2.0", ranges=(("express 4.0.0", "<1.2"),))
    assert choose(blocked, known, rules("security")).obstacle == "express 4.0.0 asks for <1.2"
    assert choose(installed("1.0.0", language="3.11"), known, rules("minor")).version == "1.2.0"
    assert choose(installed("1.0.0"), known, rules("minor")).version == "1.3.0"


def test_withdrawn_releases_are_not_taken() -> None:
    known = Listing({"1.0.1": Release("1.0.1", OLD, withdrawn=True), "1.0.2": Release("1.0.2", OLD)})
    assert choose(installed("1.0.0", "1.0.1"), known, rules("security")).version == "1.0.2"


def test_what_has_a_fix_is_fixed_while_something_else_has_none() -> None:
    both = (Advisory(("CVE-1",), fixes=("1.0.1",)), Advisory(("CVE-2",), fixes=()))
    choice = choose(Installed("pypi", "one", "1.0.0", both), listing("1.0.1", "1.0.2"), rules("security"))
    assert (choice.version, choice.fixes) == ("1.0.1", ("CVE-1",))
    assert "without CVE-2" in choice.obstacle


def test_a_fix_counts_for_its_own_series() -> None:
    advisory = Advisory(("CVE-1",), fixes=("2.5.1", "3.1.2"))
    answers = {
        version: bool(fixed_by("pypi", [advisory], version)) for version in ("2.5.0", "2.5.1", "3.0.0", "3.1.2", "4.0")
    }
    assert answers == {"2.5.0": False, "2.5.1": True, "3.0.0": False, "3.1.2": True, "4.0": True}


def test_a_fix_counts_for_its_own_minor_series_where_several_are_mended_at_once() -> None:
    """As Django does: 5.0.9 says nothing of 5.1.0, which is newer and has it still."""
    one = installed("5.1.0", "4.2.16", "5.0.9", "5.1.1")
    choice = choose(one, listing("5.0.9", "5.1.1", "5.2"), rules("security"))
    assert (choice.version, choice.fixes, choice.obstacle) == ("5.1.1", ("CVE-1",), "")
    assert choose(
        installed("5.0.8", "5.0.9", "5.1.1"), listing("5.0.9", "5.1.0", "5.1.1"), rules("security")
    ).version == ("5.0.9")


def test_names_of_branches() -> None:
    assert all(map(is_branch, ("steward/dependencies", "a1", "x.y/z-1")))
    assert not any(map(is_branch, ("", "-x", "a..b", "a//b", "a/.b", "a.lock", "a b", "a~1", "/a", "a/")))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"branch": "--force"}, "branch is '--force'"),
        ({"author": "Jane"}, "author is 'Jane', must be like 'Jane Doe <jane@example.org>'"),
        ({"test_timeout": "soon"}, "test_timeout: "),
        ({"projects": [{"path": "/srv/a", "test": " "}]}, "test of /srv/a is empty"),
        ({"projects": [{"path": "/srv/a", "test": "true", "base": "--all"}]}, "base of /srv/a is '--all'"),
        ({"projects": [{"path": "/srv/a", "test": "true"}] * 2}, "projects: /srv/a is there twice"),
        ({"projects": [{"path": "srv/a", "test": "true"}]}, "'srv/a' is not an absolute path"),
        (
            {"projects": [{"path": "/srv/a", "test": "true", "remote": "https://jane:hunter2@git.example.org/a"}]},
            "remote of /srv/a holds a password",
        ),
        ({"projects": [{"path": "/srv/a", "test": "true", "merge_request": {"kind": "x"}}]}, "merge_request of /srv/a"),
    ],
)
def test_bad_input_is_refused(more: dict[str, t.Any], told: str) -> None:
    defaults = {name: option.get("default") for name, option in UPDATE_ARGUMENTS.items()}
    with pytest.raises(InputError) as refused:
        update_settings_from({**defaults, "projects": [{"path": "/srv/a", "test": "true"}], **more})
    assert told in str(refused.value)
