# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release goes from development over staging to production, under a constant load of requests, and none fails.

The playbook promote_release is run with ansible-playbook, with the real git, pip, npm and HAProxy.
"""

from __future__ import annotations

import datetime
import json
import typing as t

import pytest
from support import bills
from support.promotions import STAGES, Estate

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import parse_time

pytestmark = [pytest.mark.packages, pytest.mark.haproxy]

UP = {"web1": "UP", "web2": "UP", "web3": "UP"}


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Estate]:
    with Estate(tmp_path_factory.mktemp("estate")) as estate:
        yield estate


@pytest.fixture(scope="module")
def updated(estate: Estate) -> dict[str, t.Any]:
    """A security update: planned, and taken through all stages."""
    before = estate.seen()
    commit = estate.project.commit("3.1.1", "6.0.5")
    planned = estate.run("--check", "--diff", "--limit", "development", release_commit=commit)
    untouched = estate.seen() == before
    ran = estate.run(release_commit=commit)
    return {"commit": commit, "planned": planned, "untouched": untouched, "ran": ran}


def test_the_plan_names_the_exact_versions_and_touches_nothing(updated: dict[str, t.Any]) -> None:
    planned = updated["planned"]
    assert planned.status == 0, planned.told
    for line in ("-pypi jinja2 3.1.0", "+pypi jinja2 3.1.1", "-npm qs 6.0.0", "+npm qs 6.0.5"):
        assert line in planned.told
    assert updated["untouched"]


def test_a_security_update_goes_through_all_stages_without_a_failed_request(
    estate: Estate, updated: dict[str, t.Any]
) -> None:
    ran = updated["ran"]
    assert (ran.status, ran.failed) == (0, []), ran.told
    assert ran.requests > 300
    assert {json.loads(said)["jinja2"] for said in ran.answers} == {"3.1.0", "3.1.1"}
    assert {version for _entries, _restarts, version in estate.seen().values()} == {updated["commit"][:16]}
    assert estate.standing() == UP
    print(f"|: a security update through three stages: {ran.requests} requests, {len(ran.failed)} failed :|")


def test_it_is_on_record_and_the_same_everywhere(estate: Estate, updated: dict[str, t.Any]) -> None:
    last = {name: estate.records(name)[-1] for name in estate.hosts}
    for stage, names in STAGES.items():
        for name in names:
            record = last[name]
            assert (record["activity"], record["verdict"]) == (f"release.{stage}", "ok"), record
            assert record["done"][0]["before"] == {"release": estate.first[:16]}
    evidence = [record["done"][0]["after"] for record in last.values()]
    assert {one["commit"] for one in evidence} == {updated["commit"]}
    assert len({json.dumps([one["locks"], one["contents_sha256"], one["tests"]]) for one in evidence}) == 1
    assert evidence[0]["tests"][0]["command"] == "python run_tests.py"
    assert last["web1"]["change"] == "CR-17"
    # Each host's record vouches for the lists of parts of before and afterwards.
    for name, record in last.items():
        kept = bills.valid(record["done"][0]["evidence"])
        changed = [(one["package"], one["before"], one["after"]) for one in kept["difference.json"]]
        assert changed == [
            ("qs", ["6.0.0"], ["6.0.5"]),
            ("jinja2", ["3.1.0"], ["3.1.1"]),
            ("markupsafe", ["2.0"], ["2.1"]),
        ], name
    order = ["dev1", "stage1", "web1", "web2", "web3"]
    # A start is told by the clock of the controller and put right by a whole number of seconds, which may be one off.
    second = datetime.timedelta(seconds=1)
    for one, other in zip(order, order[1:]):
        began = parse_time(last[other]["started"])
        assert parse_time(last[one]["ended"]) <= began + second, f"{other} began before {one} was done"


def test_an_update_whose_tests_fail_changes_nothing(estate: Estate) -> None:
    before, records = estate.seen(), len(estate.records("stage1"))
    ran = estate.run(release_commit=estate.project.commit("3.1.1", "6.1.0", tests=1))
    assert (ran.status != 0, ran.failed, estate.seen() == before) == (True, [], True), ran.told
    assert "the tests failed: python run_tests.py ended with status 1" in ran.told
    assert estate.records("dev1")[-1]["verdict"] == "failed"
    assert len(estate.records("stage1")) == records


def test_what_breaks_on_the_canary_goes_back_and_no_request_fails(estate: Estate) -> None:
    before = estate.seen()
    good = before["web1"][2]
    bad = estate.project.commit("3.1.1", "6.0.5", broken_on="web1")
    # Without packages, which are installed above, it is over sooner.
    ran = estate.run(release_commit=bad, release_parts=[], release_tests=[["true"]], release_health_timeout="2s")
    assert (ran.status != 0, ran.failed) == (True, []), ran.told
    assert ran.requests > 100
    after = estate.seen()
    assert {name: after[name] for name in ("web2", "web3")} == {name: before[name] for name in ("web2", "web3")}
    assert after["web1"][1:] == ([*before["web1"][1], bad[:16], good], good)
    assert after["stage1"][2] == bad[:16]
    assert estate.standing() == UP
    record = estate.records("web1")[-1]
    assert (record["verdict"], [finding["id"] for finding in record["findings"]]) == ("failed", ["went-back"])
    assert f"the release {good} runs again and was seen well" in record["reason"]
    print(f"|: broken on the canary, and back: {ran.requests} requests, {len(ran.failed)} failed :|")
    # Staging goes back, too. That is on record, so nobody takes the release for one that is tested.
    back = estate.run("--limit", "staging", playbook="return_release", promote_groups={"production": "staging"})
    assert (back.status, estate.seen()["stage1"][2]) == (0, good), back.told
    assert [estate.records("stage1")[-1][key] for key in ("activity", "verdict")] == ["release.return", "ok"]
    refused = estate.run("--limit", "web2", release_commit=bad, release_parts=[])
    assert refused.status != 0
    assert f"stage1 in staging has the release {good} of shop, not {bad[:16]}; nothing was touched" in refused.told
    assert estate.seen()["web2"] == before["web2"]
