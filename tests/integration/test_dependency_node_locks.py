# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks that the real pnpm and Yarn 1 wrote: moved exactly where a fix needs it, installed from, and tested."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from support.node_locks import TEST, Node, newer, old
from support.registries import Registries
from support.updates import YOUNG

pytestmark = pytest.mark.packages


@pytest.fixture(params=["pnpm", "yarn"])
def tool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def registries() -> t.Iterator[Registries]:
    with Registries(old()) as registries:
        yield registries


@pytest.fixture
def shop(tmp_path: pathlib.Path, registries: Registries, tool: str) -> Node:
    made = Node(tmp_path, registries, tool)
    registries.catalogue["node"].update(newer())
    return made


def test_a_fix_of_what_others_bring_goes_into_the_lock_and_no_further(shop: Node, tmp_path: pathlib.Path) -> None:
    before = shop.fingerprint()
    planned = shop.update(check=True, test=TEST)
    assert planned["project"]["status"] == "planned", planned["reason"]
    assert shop.fingerprint() == before
    assert planned["diff"][0]["before"] == f"{shop.lock}: qs 6.0.0\n"
    # The lowest version without it, and not the newest that the range of express allows.
    assert planned["diff"][0]["after"] == f"{shop.lock}: qs 6.0.5\n"

    answer = shop.update(test=TEST)
    project = answer["project"]
    assert (answer["verdict"], project["status"]) == ("ok", "updated"), answer["reason"]
    assert shop.git("show", "--name-only", "--format=", project["commit"]) == shop.lock
    # The tests ran in what the tool installed from that very lock.
    evidence = pathlib.Path(project["evidence"])
    assert (evidence / "tests.log").read_text() == "4.0.0 6.0.5 1.0.0\n"
    programs = json.loads((evidence / "update.json").read_text())["programs"]
    assert programs[shop.tool][:3] == {"pnpm": "10.", "yarn": "1.2"}[shop.tool]
    assert all("qs" in line or "integrity" in line or "6.0." in line for line in shop.differing(project["commit"]))
    assert not any("depd" in line for line in shop.differing(project["commit"]))
    place = shop.install_frozen(project["commit"], tmp_path / "again")
    assert (place / "node_modules" / "express" / "package.json").is_file()
    again = shop.update(test=TEST)
    assert (again["changed"], again["project"]["status"]) == (False, "waiting")


def test_a_newer_version_brings_what_it_needs_and_leaves_the_range_that_it_fits(shop: Node) -> None:
    answer = shop.update(test=TEST, policy="minor")
    project = answer["project"]
    assert (answer["verdict"], project["status"]) == ("ok", "updated"), answer["reason"]
    moved = {one["package"]: (one["from"], one["to"], one["why"]) for one in project["moves"]}
    assert moved == {
        "express": ("4.0.0", "4.1.0", "routine"),
        "depd": ("1.0.0", "1.1.0", "routine"),
        "qs": ("6.0.0", "6.0.5", "fix"),
        "ms": ("", "1.0.0", "needed"),
    }
    assert shop.git("show", "--name-only", "--format=", project["commit"]) == shop.lock
    assert (pathlib.Path(project["evidence"]) / "tests.log").read_text() == "4.1.0 6.0.5 1.1.0\n"


def test_what_is_out_of_its_range_changes_that_range_alone(shop: Node) -> None:
    answer = shop.update(test=TEST, policy="major")
    project = answer["project"]
    assert (answer["verdict"], project["status"]) == ("ok", "updated"), answer["reason"]
    assert shop.git("show", "--name-only", "--format=", project["commit"]).split() == ["package.json", shop.lock]
    assert shop.differing(project["commit"], "package.json") == [
        '-        "express": "^4.0.0",', '+        "express": "^5.0.0",']  # fmt: skip
    assert (pathlib.Path(project["evidence"]) / "tests.log").read_text() == "5.0.0 6.0.5 1.1.0\n"


def test_a_fix_that_somebodys_range_does_not_allow_is_told_and_left(shop: Node, registries: Registries) -> None:
    (one,) = [one for one in registries.catalogue["advisories"] if one["package"] == "qs"]
    one.update(versions=["6.0.0", "6.0.5", "6.1.0"], range="<7.0.0")
    registries.catalogue["node"]["qs"]["7.0.0"] = {}
    answer = shop.update(test=TEST, approved=["qs"])
    assert (answer["verdict"], answer["project"]["status"]) == ("findings", "up-to-date"), answer["reason"]
    assert "express 4.0.0 asks for ^6.0.0" in answer["findings"][0]["message"]


def test_what_comes_along_waits_where_nothing_is_fixed(shop: Node, registries: Registries) -> None:
    registries.catalogue["advisories"] = [one for one in registries.catalogue["advisories"] if one["package"] != "qs"]
    registries.catalogue["node"]["ms"] = {"1.0.0": {"uploaded": YOUNG}}
    before = shop.fingerprint()
    answer = shop.update(test=TEST, policy="minor")
    assert (answer["verdict"], answer["project"]["step"]) == ("failed", "resolve"), answer
    assert shop.fingerprint() == before


def test_two_versions_of_a_package_move_each_where_it_is(
    tmp_path: pathlib.Path, registries: Registries, tool: str
) -> None:
    """One of them under another name."""
    node = registries.catalogue["node"]
    node["send"] = {"1.0.0": {"dependencies": {"qs": "5.0.0 - 5.0.9", "@s/ms": "^1.0.0"}}}
    node["@s/ms"] = {"1.0.0": {}}
    node["qs"] = {"5.0.0": {}, "6.0.0": {}}
    asked = {"express": "^4.0.0", "depd": "^1.0.0", "send": "^1.0.0", "query": "npm:qs@^6.0.0"}
    shop = Node(tmp_path, registries, tool, dependencies=asked)
    node.update(newer())
    node["qs"] = {version: {} for version in ("5.0.0", "5.0.1", "5.0.2", "6.0.0", "6.0.5", "6.1.0")}
    (one,) = [one for one in registries.catalogue["advisories"] if one["package"] == "qs"]
    one.update(versions=["5.0.0", "6.0.0"], range="<5.0.1 || >=6.0.0 <6.0.4")
    test = TEST.replace('require("depd"))', 'require("query"))')
    answer = shop.update(test=test)
    project = answer["project"]
    assert (answer["verdict"], project["status"]) == ("ok", "updated"), answer["reason"]
    assert sorted((one["from"], one["to"]) for one in project["moves"]) == [("5.0.0", "5.0.1"), ("6.0.0", "6.0.5")]
    assert (pathlib.Path(project["evidence"]) / "tests.log").read_text() == "4.0.0 6.0.5 6.0.5\n"
    assert shop.git("show", "--name-only", "--format=", project["commit"]) == shop.lock
