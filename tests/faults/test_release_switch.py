# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch to a release that is not well: back to the one of before, with the same proof. And kills at any moment."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import typing as t

import pytest
from support import bills
from support.kills import ON_DISK, killed_at
from support.releases import Host, Project

FAIL = [["sh", "-c", "echo smoke; exit 1"]]


@pytest.fixture
def host(tmp_path: pathlib.Path) -> t.Iterator[Host]:
    with Host(tmp_path, Project(tmp_path)) as ready:
        yield ready


def running(host: Host, **more: t.Any) -> str:
    """A first release, installed and in use."""
    commit = host.project.commit()
    assert host.install(commit)[0].verdict == "findings"
    assert host.switch(commit, **more)[0].verdict == "ok"
    return commit


def installed(host: Host, **more: t.Any) -> str:
    commit = host.project.commit(**more)
    assert host.install(commit)[0].verdict == "findings"
    return commit


def test_what_is_not_well_goes_back_and_is_seen_well_again(host: Host) -> None:
    good = running(host)
    bad = installed(host, broken=True)
    result, outcome = host.switch(bad, health_timeout="1s")
    assert (result.verdict, outcome.well, outcome.went_back) == ("failed", True, True), result
    assert "/health answered 500 instead of 200" in result.reason
    assert f"the release {good[:16]} runs again and was seen well" in result.reason
    assert [(finding.id, finding.severity) for finding in result.findings] == [("went-back", "high")]
    assert host.asked("/version") == good[:16]
    assert host.entries()[-1] == f"current -> releases/{good[:16]}"
    # What was tried is on record, and counts for no stage: `after` is empty.
    (done,) = result.done
    assert (done["action"], done["before"], done["after"]) == ("went-back", {"release": good[:16]}, {})
    kept = bills.kept(done["evidence"])
    told = kept["switch.json"]
    assert (told["how"], told["release"]["commit"], told["before"], told["after"]) == (
        "went back",
        bad,
        good[:16],
        good[:16],
    )
    assert kept["difference.json"] == []
    # Tests of the running release, and a process that does not say that it is the release.
    better = installed(host)
    result, outcome = host.switch(better, tests=FAIL)
    assert "the tests of the running release failed: sh ended with status 1: smoke" in result.reason
    assert (outcome.well, host.asked("/version")) == (True, good[:16])
    result, outcome = host.switch(better, version_url=f"{host.url}/", health_timeout="1s")
    assert "does not say the release" in result.reason
    # By that address neither does the old one, so nobody saw that it is well.
    assert (outcome.beside()["may_serve"], outcome.went_back) == (False, True)
    assert "cannot be undone" in result.reason
    # The next run brings it to its end.
    result, outcome = host.switch(better)
    assert (result.verdict, host.asked("/version"), outcome.well) == ("ok", better[:16], True), result


def test_a_restart_that_starts_nothing_is_none(host: Host) -> None:
    good = running(host)
    better = installed(host)
    result, outcome = host.switch(better, restart_commands=[["true"]], restart_timeout="1s")
    assert (result.verdict, outcome.well, outcome.beside()["may_serve"]) == ("failed", False, False)
    assert "is still the process of before" in result.reason
    result, outcome = host.switch(good)
    assert (result.verdict, host.asked("/version")) == ("ok", good[:16])


def test_broken_before_is_told_apart(host: Host) -> None:
    running(host)
    better = installed(host)
    (host.directory / "sick").write_text("")
    restarts = host.restarts()
    result, outcome = host.switch(better)
    assert (result.verdict, outcome.beside()["may_serve"], host.restarts()) == ("failed", True, restarts)
    assert "it was broken before: " in result.reason
    assert "answered 500 instead of 200 (asked for 3 s)" in result.reason
    assert result.reason.endswith("; to switch all the same, set accept_broken; nothing was touched")
    result, outcome = host.switch(better, accept_broken=True, health_timeout="1s")
    assert (result.verdict, outcome.well, outcome.went_back) == ("failed", False, True)
    assert "it was broken before, too" in result.reason
    (host.directory / "sick").unlink()
    result, outcome = host.switch(better)
    assert (result.verdict, host.asked("/version")) == ("ok", better[:16])


def test_the_way_back_is_gone_once(host: Host) -> None:
    first = running(host)
    second = installed(host, qs="6.0.5")
    assert host.switch(second)[0].verdict == "ok"
    result, outcome = host.switch(second, state="returned", check=True)
    assert (result.verdict, outcome.changed, host.asked("/version")) == ("ok", True, second[:16])
    result, outcome = host.switch(second, state="returned")
    assert (result.verdict, result.done[0]["action"], host.asked("/version")) == ("ok", "return", first[:16])
    assert outcome.differences == [{"ecosystem": "npm", "package": "qs", "before": ["6.0.5"], "after": ["6.0.0"]}]
    result, outcome = host.switch(second, state="returned")
    assert (result.verdict, outcome.changed, host.asked("/version")) == ("ok", False, first[:16])


def test_old_releases_go_and_never_those_that_are_needed(host: Host) -> None:
    names = [running(host)[:16]]
    for number in range(3):
        names.append(installed(host, qs=f"6.0.{number}")[:16])
        assert host.switch(names[-1], keep=3)[0].verdict == "ok"
    assert set(host.entries()) == {*names[1:], f"current -> releases/{names[3]}", f"previous -> releases/{names[2]}"}
    standing = os.open(host.directory / "releases" / names[1], os.O_RDONLY)
    child = os.fork()
    if child == 0:
        os.fchdir(standing)
        signal.pause()
        os._exit(0)
    try:
        names.append(installed(host, qs="6.0.9")[:16])
        result, _outcome = host.switch(names[-1], keep=2)
        told = [(finding.id, finding.subject) for finding in result.findings]
        assert told == [("release-in-use", names[1])], result
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(standing)
    assert host.switch(names[-1], keep=2)[1].removed == [names[1]]


@pytest.fixture
def quick(tmp_path: pathlib.Path) -> t.Iterator[Host]:
    """What runs is a process that stands in its release; it is well where that has no file `broken`."""
    pid = tmp_path / "pid"
    kill = f"kill -9 $(cat {pid}) 2>/dev/null"
    start = f"cd $(readlink -f {tmp_path}/shop/current) && {{ setsid sleep 300 >/dev/null 2>&1 & echo $! >{pid}; }}"
    with Host(tmp_path, Project(tmp_path)) as host:
        usual = host.switch
        more = {"restart_commands": [["sh", "-c", f"{kill}; {start}"]], "pid_files": [str(pid)], "version_url": "",
                "health_url": "", "health_command": ["sh", "-c", f"test ! -e /proc/$(cat {pid})/cwd/broken"],
                "keep": 100}  # fmt: skip
        host.switch = lambda release, **given: usual(release, **{**more, **given})  # type: ignore[method-assign]
        yield host
        subprocess.run(["sh", "-c", kill], check=False)


def standing(host: Host) -> str:
    """The release in which the process stands."""
    pid = (host.directory.parent / "pid").read_text().strip()
    return os.path.basename(os.readlink(f"/proc/{pid}/cwd"))


def test_an_installation_killed_at_any_change_ends_like_an_unkilled_one(host: Host) -> None:
    at = 0
    while True:
        at += 1
        commit = host.project.commit(qs=f"6.1.{at}")
        was_killed = killed_at(at, ON_DISK, lambda new=commit: host.install(new))
        assert all(name.endswith(".partial") or (host.directory / "releases" / name / "app.py").exists()
                   for name in host.entries()), at  # fmt: skip
        assert host.install(commit)[0].verdict == "findings", at
        assert not [name for name in host.entries() if name.endswith((".partial", ".removed"))]
        assert host.entries()[: at + 1] == sorted(host.entries())
        if not was_killed:
            break
    assert at > 10


def test_a_switch_killed_at_any_change_ends_like_an_unkilled_one(quick: Host) -> None:
    releases = [running(quick), installed(quick)]
    at = 0
    while True:
        at += 1
        wanted, before = releases[at % 2], releases[(at - 1) % 2]
        was_killed = killed_at(at, ON_DISK, lambda new=wanted: quick.switch(new))
        # Whatever starts now, it starts from one of the two, as a whole.
        assert (quick.directory / "current").resolve().name in (wanted[:16], before[:16])
        result, outcome = quick.switch(wanted)
        assert (result.verdict, standing(quick), outcome.well) == ("ok", wanted[:16], True), (at, result)
        assert quick.entries()[-2:] == [f"current -> releases/{wanted[:16]}", f"previous -> releases/{before[:16]}"]
        # However it came there, its evidence is there, as a whole.
        places = sorted((quick.state / "evidence").glob("*/*"))
        assert not [place for place in places if place.suffix in (".new", ".old")], at
        assert any(json.loads((place / "switch.json").read_text())["after"] == wanted[:16] for place in places), (
            at,
            places,
        )
        if not was_killed:
            break
    assert at > 10


def test_a_way_back_killed_at_any_change_ends_where_it_was_to_end(quick: Host) -> None:
    good, bad = running(quick), installed(quick, broken=True)
    # What is killed before the restart, on the way there, is killed above.
    at = 8
    while True:
        at += 1
        was_killed = killed_at(at, ON_DISK, lambda: quick.switch(bad, health_timeout="1s"))
        result, outcome = quick.switch(good)
        assert (result.verdict, standing(quick), outcome.well) == ("ok", good[:16], True), (at, result)
        if not was_killed:
            break
    assert at > 12
