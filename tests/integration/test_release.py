# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release installed with the real git, pip and npm from stand-ins for registries, switched to, and taken back."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest
from support import bills
from support.dependencies import clean_environment
from support.modules import run_module
from support.registries import Registries
from support.releases import Host, Project
from support.updates import catalogue

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now, write_time

pytestmark = pytest.mark.packages

TESTS = [["python", "run_tests.py"]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Project]:
    with Registries(catalogue()) as registries:
        yield Project(tmp_path_factory.mktemp("project"), registries)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, project: Project) -> t.Iterator[dict[str, t.Any]]:
    """The first release by the modules themselves, the second planned, then installed with its tests, and run."""
    first, second = project.commit(), project.commit("3.1.1", "6.0.5")
    with Host(tmp_path_factory.mktemp("host"), project) as host:
        env = clean_environment()
        installed = run_module("release_install", host.install_arguments(first), env=env)
        switched = run_module("release_switch", host.switch_arguments(first), env=env)
        entries = host.entries()
        planned = host.install(second, check=True)
        untouched = entries == host.entries()
        outcome = host.install(second, tests=TESTS, require_tests=True)
        again = host.install(second, tests=TESTS, require_tests=True)
        ran = host.switch(second)
        yield {"host": host, "first": first, "second": second, "installed": installed, "switched": switched,
               "planned": planned, "untouched": untouched, "outcome": outcome, "again": again, "ran": ran}  # fmt: skip


@pytest.fixture
def cheap(tmp_path: pathlib.Path) -> t.Iterator[Host]:
    """Without pip and npm: what is tested here does not depend on them."""
    with Host(tmp_path, Project(tmp_path)) as host:
        yield host


def test_the_first_release_is_installed_and_runs(released: dict[str, t.Any]) -> None:
    installed, switched = released["installed"], released["switched"]
    assert (installed["verdict"], installed["changed"], installed["current"]) == ("findings", True, ""), installed
    assert [finding["id"] for finding in installed["findings"]] == ["untested"]
    named = ["npm express 4.0.0", "npm qs 6.0.0", "pypi jinja2 3.1.0", "pypi markupsafe 2.0"]
    assert sorted(installed["evidence"]["packages"]) == named
    assert set(installed["evidence"]["locks"]) == {"requirements.txt", "package-lock.json"}
    assert installed["diff"]["after"].splitlines()[1:] == named
    assert (switched["verdict"], switched["well"], switched["may_serve"]) == ("ok", True, True), switched["reason"]
    assert switched["done"][0]["after"]["contents_sha256"] == installed["evidence"]["contents_sha256"]


def test_check_mode_tells_what_the_next_one_brings_and_touches_nothing(released: dict[str, t.Any]) -> None:
    result, outcome = released["planned"]
    assert (result.verdict, outcome.changed, result.figures["changed_packages"]) == ("findings", True, 3), result
    assert outcome.differences == [
        {"ecosystem": "npm", "package": "qs", "before": ["6.0.0"], "after": ["6.0.5"]},
        {"ecosystem": "pypi", "package": "jinja2", "before": ["3.1.0"], "after": ["3.1.1"]},
        {"ecosystem": "pypi", "package": "markupsafe", "before": ["2.0"], "after": ["2.1"]},
    ]
    assert released["untouched"]
    assert outcome.diff["before"].splitlines()[0] == f"shop {released['first'][:16]}"


def test_a_release_is_tested_installed_once_and_seen_to_run(released: dict[str, t.Any]) -> None:
    host, second = released["host"], released["second"]
    result, outcome = released["outcome"]
    assert (result.verdict, outcome.changed, len(outcome.tests)) == ("ok", True, 1), result
    assert outcome.differences == released["planned"][1].differences
    assert (released["again"][0].verdict, released["again"][1].changed) == ("ok", False)
    result, outcome = released["ran"]
    assert (result.verdict, outcome.previous) == ("ok", released["first"][:16]), result
    assert host.asked("/version") == second[:16]
    assert json.loads(host.asked("/")) == {"jinja2": "3.1.1", "express": "4.0.0", "qs": "6.0.5"}
    assert host.switch(second)[1].changed is False
    # The environment was made under another name, and its programs work under this one.
    bin_dir = host.directory / "current" / ".venv" / "bin"
    assert not [path for path in bin_dir.iterdir() if path.is_file() and b".partial/" in path.read_bytes()]


def test_a_switch_leaves_the_lists_of_parts_of_both_releases(released: dict[str, t.Any]) -> None:
    first, second = released["first"][:16], released["second"][:16]
    done = released["switched"]["done"][0]
    kept = bills.valid(done["evidence"])
    assert (kept["sbom-before.json"]["components"], kept["switch.json"]["before"]) == ([], "")
    result, outcome = released["ran"]
    kept = bills.valid(result.done[0]["evidence"])
    assert set(kept) == {"sbom-before.json", "sbom-after.json", "difference.json", "switch.json"}
    urls = [bills.purls(kept[f"sbom-{when}.json"]) for when in ("before", "after")]
    assert urls[0] - urls[1] == {"pkg:pypi/jinja2@3.1.0", "pkg:pypi/markupsafe@2.0", "pkg:npm/qs@6.0.0"}
    assert urls[1] - urls[0] == {"pkg:pypi/jinja2@3.1.1", "pkg:pypi/markupsafe@2.1", "pkg:npm/qs@6.0.5"}
    assert urls[0] & urls[1] == {"pkg:npm/express@4.0.0"}
    assert kept["difference.json"] == outcome.differences == released["outcome"][1].differences
    assert [kept[f"sbom-{when}.json"]["metadata"]["component"]["version"] for when in ("before", "after")] == [
        first,
        second,
    ]
    places = {one["purl"]: one["evidence"]["occurrences"] for one in kept["sbom-after.json"]["components"]}
    assert [one["location"] for one in places["pkg:npm/qs@6.0.5"]] == ["node_modules/qs"]
    told = kept["switch.json"]
    assert (told["before"], told["after"], told["how"], told["release"]["commit"]) == (
        first,
        second,
        "switched",
        released["second"],
    )
    assert set(told["release"]["programs"]) == {"git", "node", "npm", "pip", "python"}
    assert told["release"]["programs"]["git"].startswith("git version ")
    assert told["release"]["tests"] == released["outcome"][1].tests
    # Nothing was switched, so there is nothing to tell.
    again, outcome = released["host"].switch(second)
    assert ("evidence" in again.done[0], outcome.beside()["evidence_dir"]) == (False, "")


def test_evidence_that_cannot_be_kept_is_told_and_stops_nothing(cheap: Host) -> None:
    commit = cheap.project.commit(qs="6.2.0")
    assert cheap.install(commit)[0].verdict == "findings"
    (cheap.state / "evidence").write_text("a file, where a directory has to be")
    result, outcome = cheap.switch(commit)
    assert [finding.id for finding in result.findings] == ["evidence-lost"], result
    assert (outcome.well, "evidence" in result.done[0], cheap.asked("/version")) == (True, False, commit[:16])


def test_the_running_tests_are_in_the_evidence_and_the_oldest_goes(cheap: Host) -> None:
    commits = [cheap.project.commit(qs=f"6.3.{number}") for number in range(2)]
    for commit in commits:
        assert cheap.install(commit)[0].verdict == "findings"
    assert cheap.switch(commits[0])[0].verdict == "ok"
    parent = next((cheap.state / "evidence").iterdir())
    for number in range(30):
        shutil.copytree(next(parent.iterdir()), parent / f"2001-01-{number + 1:02}T000000Z-x")
    (parent / "2001-01-01T000000Z-y.new").mkdir()
    result, outcome = cheap.switch(commits[1], tests=[["echo", "smoke"]])
    (test,) = result.done[0]["running_tests"]
    assert (test["command"], test["output_sha256"]) == ("echo smoke", hashlib.sha256(b"smoke\n").hexdigest())
    assert bills.valid(result.done[0]["evidence"])["switch.json"]["running_tests"] == [test]
    names = sorted(path.name for path in parent.iterdir())
    assert (len(names), names[0]) == (24, "2001-01-09T000000Z-x")
    # Both switches may have been made within one second: then the names of the releases order them.
    assert pathlib.Path(outcome.kept["directory"]).name in names[-2:]


def answer(host: str, evidence: dict[str, t.Any], verdict: str = "ok", **more: t.Any) -> dict[str, t.Any]:
    """What records_info says of a host of the stage before."""
    record = {"host": host, "activity": "release.staging", "verdict": verdict, "check_mode": False,
              "ended": more.pop("ended", write_time(utc_now())),
              "done": [{"subject": "shop", "action": "release", "after": evidence}]}  # fmt: skip
    return {"records": [record], "chain": {"intact": True, "problem": ""}, **more}


def test_what_was_tested_is_what_is_installed(released: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    """On another host, from the same locks: the same bytes in every package."""
    evidence = released["ran"][0].done[0]["after"]
    stage = {"stage": "staging", "hosts": ["s1"], "answers": [answer("s1", evidence)]}
    with Host(tmp_path, released["host"].project) as host:
        result, outcome = host.install(released["second"], stage_before=stage, require_tests=True)
        assert result.verdict == "ok", result
        assert result.summary.endswith("as it was tested in staging")
        # The tests of the stage before are part of what is known of it.
        assert outcome.evidence["tests"] == evidence["tests"]
        assert outcome.evidence["contents_sha256"] == evidence["contents_sha256"]


def test_what_was_not_tested_is_not_installed(cheap: Host) -> None:
    """Another lock stops before anything is installed, other contents under the same version before it has a name."""
    commit = cheap.project.commit(qs="6.0.9")
    evidence = cheap.install(commit)[1].evidence
    shutil.rmtree(cheap.directory / "releases" / commit[:16])
    entries = cheap.entries()
    other = {**evidence, "locks": {"lock.json": "0" * 64}}
    named = {**evidence, "contents_sha256": "1" * 64, "packages": ["npm qs 6.0.8"]}
    reasons = {}
    for name, told in {"lock": other, "named": named, "contents": {**evidence, "contents_sha256": "1" * 64}}.items():
        stage = {"stage": "staging", "hosts": ["s1"], "answers": [answer("s1", told)]}
        result, outcome = cheap.install(commit, stage_before=stage)
        assert (result.verdict, outcome.changed, cheap.entries()) == ("failed", False, entries), result
        assert "all was undone" in result.reason
        reasons[name] = result.reason
    assert "not what was tested in staging: the locks lock.json" in reasons["lock"]
    assert "(npm qs 6.0.8, npm qs 6.0.9)" in reasons["named"]
    assert "(the same versions with other contents)" in reasons["contents"]
    untested = cheap.install(commit, require_tests=True)[0]
    assert (untested.verdict, "no tests of this release were run before" in untested.reason) == ("failed", True)


def test_failing_tests_change_nothing(cheap: Host) -> None:
    entries = cheap.entries()
    failing = [["sh", "-c", "echo what went wrong; exit 3"]]
    result, outcome = cheap.install(cheap.project.commit(qs="6.0.7"), tests=failing)
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert "the tests failed: sh -c echo what went wrong; exit 3 ended with status 3" in result.reason
    assert outcome.output == "what went wrong\n"
    assert cheap.entries() == entries


def test_what_was_changed_since_then_is_not_switched_to(cheap: Host) -> None:
    commit = cheap.project.commit(qs="6.1.0")
    assert cheap.install(commit)[0].verdict == "findings"
    manifest = cheap.directory / "releases" / commit[:16] / "node_modules" / "qs" / "package.json"
    manifest.write_text(manifest.read_text() + "\n")
    result, outcome = cheap.switch(commit)
    assert (result.verdict, outcome.beside()["may_serve"], outcome.changed) == ("failed", True, False)
    assert "is not what was installed: other contents of qs; nothing was touched" in result.reason
    assert cheap.restarts() == []
    # It is not in use, so it is made anew.
    result, outcome = cheap.install(commit)
    assert (result.verdict, outcome.changed) == ("findings", True)
    assert not manifest.read_text().endswith("\n")


def test_programs_of_an_environment_are_whole(released: dict[str, t.Any]) -> None:
    python = released["host"].directory / "current" / ".venv" / "bin" / "python"
    asked = [str(python), "-c", "import jinja2, sys; print(jinja2.version, sys.prefix)"]
    told = subprocess.run(asked, stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    assert told == ["3.1.1", str(python.parent.parent)]
    assert sys.prefix != told[1]
