# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of an update alone: tests that are run, vulnerabilities that are compared, a repository that is looked at."""

from __future__ import annotations

import datetime
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse

import pytest
from support.bills import problems
from support.dependencies import sound, write_requirements
from support.registries import Registries

from ansible_collections.steward.maintenance.plugins.module_utils._core import evidence
from ansible_collections.steward.maintenance.plugins.module_utils._packages import notes, proving, sbom, work
from ansible_collections.steward.maintenance.plugins.module_utils._packages.judging import Place, Vulnerability
from ansible_collections.steward.maintenance.plugins.module_utils._packages.lanes import Due, Lane
from ansible_collections.steward.maintenance.plugins.module_utils._packages.looks import Advisory
from ansible_collections.steward.maintenance.plugins.module_utils._packages.model import Node, Project, Source
from ansible_collections.steward.maintenance.plugins.module_utils._packages.moving import Move, StepError, Tools
from ansible_collections.steward.maintenance.plugins.module_utils._packages.repository import (
    Author,
    GitError,
    Repository,
    commit_files,
)
from ansible_collections.steward.maintenance.plugins.module_utils._packages.requirements import read_requirements
from ansible_collections.steward.maintenance.plugins.module_utils._packages.update_arguments import Wanted
from ansible_collections.steward.maintenance.plugins.module_utils._packages.web import Http, NoAnswer

pytestmark = pytest.mark.packages

NOW = datetime.datetime(2026, 11, 26, tzinfo=datetime.timezone.utc)
ME = Author("steward.maintenance", "steward@localhost")


def git(place: pathlib.Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ["-c", "user.name=Jane Doe", "-c", "user.email=jane@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=place, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> pathlib.Path:
    place = tmp_path / "shop"
    (place / "api").mkdir(parents=True)
    (place / "api" / "requirements.txt").write_text("a==1\n", encoding="utf-8")
    (place / ".gitignore").write_text("node_modules\n", encoding="utf-8")
    git(place, "init", "--quiet", "--initial-branch", "main")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message", "begin")
    return place


def begun(repository: pathlib.Path) -> work.Work:
    scratch = pathlib.Path(tempfile.mkdtemp(dir=repository.parent))
    wanted = Wanted(str(repository / "api"), "true", "minor", (), "HEAD", "")
    one = work.Work(wanted, str(scratch))
    work.begin(one, "steward/dependencies")
    return one


def test_tests_see_their_own_environment_and_their_end_is_told(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    command = 'echo "$VIRTUAL_ENV:$PYTHONPATH:$PATH"; pwd'
    (tmp_path / "a b").mkdir()
    tested = proving.test(str(tmp_path), command, "/the/environment", 10, str(tmp_path / "a b"))
    first, second = tested.output.decode().splitlines()
    assert first.startswith(f"/the/environment::/the/environment/bin:{tmp_path}/node_modules/.bin:")
    assert second == str(tmp_path)


def test_tests_that_fail_and_tests_that_hang_are_told_with_what_they_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(proving.FailedTests, match="status 3") as failed:
        proving.test(str(tmp_path), "echo password=hunter2; echo why >&2; exit 3", "", 10, str(tmp_path))
    assert failed.value.output == "password=********\nwhy"
    with pytest.raises(proving.FailedTests, match="did not end within 1 s") as hung:
        proving.test(str(tmp_path), "echo so far; sleep 50", "", 1, str(tmp_path))
    assert (hung.value.step, hung.value.output) == ("test", "so far")


def test_tests_that_change_what_was_committed_are_no_proof(repository: pathlib.Path) -> None:
    one = begun(repository)
    one.plan.moves = [Move("pypi", "a", "1", "2", "routine", files=["requirements.txt"])]
    (pathlib.Path(one.place) / "requirements.txt").write_text("a==2\n", encoding="utf-8")
    work.commit(one, ME)
    work.test(one, "", 10)
    one.wanted = Wanted(one.wanted.path, "echo b==1 >>requirements.txt", "minor", (), "HEAD", "")
    with pytest.raises(StepError, match="the tests changed api/requirements"):
        work.test(one, "", 10)


def test_the_branch_is_written_at_once_and_only_from_where_it_stood(repository: pathlib.Path) -> None:
    one = begun(repository)
    assert one.branch == "steward/dependencies-minor-api"
    one.plan.moves = [Move("pypi", "a", "1", "2", "routine", files=["requirements.txt"])]
    (pathlib.Path(one.place) / "requirements.txt").write_text("a==2\n", encoding="utf-8")
    work.commit(one, ME)
    assert one.repository is not None
    git(repository, "branch", one.branch)
    with pytest.raises(GitError, match="update-ref"):
        one.repository.publish(one.top, one.commit, one.branch, "")
    assert git(repository, "rev-parse", one.branch) == one.base
    one.repository.publish(one.top, one.commit, one.branch, one.base)
    assert git(repository, "show", f"{one.branch}:api/requirements.txt") == "a==2"
    assert one.repository.told_by(one.commit) == (one.base, one.plan_digest())
    assert one.repository.digest(one.branch) == one.digest_before
    assert not (repository / ".git" / "FETCH_HEAD").exists()


def test_a_branch_of_somebody_else_is_never_written(repository: pathlib.Path) -> None:
    branch, mine = "steward/dependencies-minor-api", repository.parent / "mine"
    assert work.judge_branch(begun(repository)) is False
    git(repository, "worktree", "add", "--quiet", "-b", branch, str(mine))
    git(mine, "commit", "--quiet", "--allow-empty", "--message", "an older update\n\nSteward-Dependencies: 0123")
    # It is ours, but stands in somebody's checkout: it would be pulled away under it.
    with pytest.raises(StepError, match="is checked out"):
        work.judge_branch(begun(repository))
    git(mine, "commit", "--quiet", "--allow-empty", "--message", "mine")
    with pytest.raises(StepError, match="has commits of somebody else"):
        work.judge_branch(begun(repository))
    git(mine, "reset", "--quiet", "--hard", "HEAD^")
    git(repository, "worktree", "remove", "--force", str(mine))
    # What is ours alone gives way to what the base needs now, unless it is that already.
    one = begun(repository)
    assert work.judge_branch(one) is False
    git(repository, "branch", "--force", branch, "main")
    same = f"x\n\nSteward-Dependencies: {one.plan_digest()}"
    tip = git(repository, "commit-tree", "main^{tree}", "-p", "main", "-m", same)
    git(repository, "update-ref", f"refs/heads/{branch}", tip)
    again = begun(repository)
    assert work.judge_branch(again) is True
    assert again.commit == tip


def test_a_commit_takes_nothing_else_along(repository: pathlib.Path) -> None:
    one = begun(repository)
    (pathlib.Path(one.top) / ".gitignore").write_text("x\n", encoding="utf-8")
    git(pathlib.Path(one.top), "add", ".gitignore")
    with pytest.raises(GitError, match="gitignore would be committed, too"):
        commit_files(one.top, ["api/requirements.txt"], "x", ME, 10)


def test_the_digest_sees_every_change(repository: pathlib.Path) -> None:
    looked = Repository(str(repository), 10)
    digests = [looked.digest("ours")]

    def changed() -> bool:
        digests.append(looked.digest("ours"))
        return digests[-1] not in digests[:-1]

    (repository / "new.txt").write_text("x", encoding="utf-8")
    assert changed()
    stamp = (repository / "new.txt").stat().st_mtime_ns
    (repository / "new.txt").write_text("y", encoding="utf-8")
    os.utime(repository / "new.txt", ns=(stamp, stamp))
    assert changed(), "same size, same time, other content"
    (repository / "new.txt").chmod(0o755)
    assert changed()
    git(repository, "add", "new.txt")
    assert changed(), "only the index"
    git(repository, "branch", "other")
    assert changed()
    (repository / "node_modules").mkdir()
    (repository / "node_modules" / "x.js").write_text("x", encoding="utf-8")
    assert changed()
    git(repository, "symbolic-ref", "HEAD", "refs/heads/other")
    assert changed()
    git(repository, "branch", "ours")
    assert not changed(), "our own branch is what may change"


def test_what_is_no_repository_or_no_commit_is_refused(tmp_path: pathlib.Path, repository: pathlib.Path) -> None:
    with pytest.raises(GitError, match="there is no directory"):
        Repository(str(tmp_path / "nowhere"), 10)
    with pytest.raises(GitError, match="'nothing' is no commit"):
        Repository(str(repository), 10).commit_of("nothing")


def known(package: str, version: str, *ids: str) -> list[Vulnerability]:
    lane = Lane("high", 0, "now")
    return [
        Vulnerability("pypi", (package, version), Advisory((one,)), "high", None,
                      [Place("/srv/shop", [], [], Due(lane, NOW, NOW, 0.0))])
        for one in ids
    ]  # fmt: skip


def test_what_the_scanners_say_afterwards_decides() -> None:
    one = work.Work(Wanted("/srv/shop", "true", "security", (), "HEAD", ""), "/nowhere")
    one.plan.moves = [Move("pypi", "a", "1", "2", "fix", ("CVE-1",))]
    before = known("a", "1", "CVE-1", "CVE-2")
    work.judge_fixed(one, before, [])
    # What has no fix stays, in the new version as in the old.
    work.judge_fixed(one, before, known("a", "2", "CVE-2"))
    with pytest.raises(StepError, match="still there: CVE-1 of a 2"):
        work.judge_fixed(one, before, known("a", "2", "CVE-1"))
    with pytest.raises(StepError, match="new vulnerabilities: CVE-9 of b 1"):
        work.judge_fixed(one, before, known("b", "1", "CVE-9"))


def test_evidence_is_whole_closed_and_written_anew(tmp_path: pathlib.Path) -> None:
    place = evidence.new_place(str(tmp_path / "kept"), "2026-11-27T03:00:00Z", "0123456789ab")
    assert os.path.basename(place) == "2026-11-27T030000Z-0123456789ab"
    evidence.write_evidence(place, {"a.json": {"b": 1}, "tests.log": b"first"})
    os.mkdir(f"{place}.new")  # what a killed run left
    digests = evidence.write_evidence(place, {"tests.log": b"second"})
    assert os.listdir(os.path.dirname(place)) == ["2026-11-27T030000Z-0123456789ab"]
    assert os.listdir(place) == ["tests.log"]
    assert oct(os.stat(os.path.join(place, "tests.log")).st_mode & 0o777) == "0o600"
    assert list(digests) == ["tests.log"]


def test_the_list_of_parts_is_what_the_standard_says() -> None:
    """By the schema of CycloneDX 1.6 that comes with pip-audit."""
    source = Source("/srv/shop", "package-lock.json", "npm", "lock")
    source.add(Node("node_modules/@a/b", "@a/b", "1.0.0", wants=["node_modules/c"]))
    source.add(Node("node_modules/c", "c", "2.0.0"))
    source.direct = {"node_modules/@a/b": "^1.0.0"}
    hashes = {"pkg:npm/c@2.0.0": ["a" * 64]}
    bill = sbom.bill_of(Project("/srv/shop", [source]), "/srv/shop", "2026-11-26T00:00:00Z", hashes)
    assert problems(bill) == []
    # It is a check that can fail.
    assert problems({**bill, "components": [{"name": "no type"}]})


def test_a_file_that_is_not_what_was_locked_is_not_installed(tmp_path: pathlib.Path) -> None:
    with Registries(sound()) as registries:
        write_requirements(tmp_path, registries.catalogue, {"jinja2": "3.1.0"}, registries)
        source = read_requirements(str(tmp_path), "requirements.txt")
        project = Project(str(tmp_path), [source])
        tools = Tools(
            sys.executable,
            "npm",
            "pnpm",
            "yarn",
            "uv",
            "poetry",
            60,
            10,
            False,
            lambda _names: {},
            lambda _moment: True,
        )
        environment = proving.install(str(tmp_path), project, tools, str(tmp_path / "good"))
        assert os.path.isdir(environment)
        registries.catalogue["python"]["jinja2"]["3.1.0"]["python"] = ">=3"  # another file of the same name
        with pytest.raises(StepError, match="pip cannot install") as refused:
            proving.install(str(tmp_path), project, tools, str(tmp_path / "bad"))
        assert "DO NOT MATCH THE HASHES" in refused.value.output
        # What comes out must be what was locked, whatever the tool says.
        source.nodes["jinja2==3.1.0"].version = "3.0.9"
        with pytest.raises(StepError, match="not what was locked: jinja2 3"):
            proving._compare(str(tmp_path), project, environment)


@pytest.mark.parametrize(
    "page",
    [
        "# 2.0.0\n- Removed x\n# 1.0.0\n- Removed y\n",
        "<!DOCTYPE html><h2>2.0.0</h2><ul><li>Removed <b>x</b></ul><script>breaking()</script><h2>1.0.0</h2>Removed y",
    ],
    ids=["text", "page"],
)
def test_a_changelog_is_read_where_it_may_be_asked_for(page: str) -> None:
    http = Http(5)
    with Registries(sound()) as registries:
        registries.catalogue["changes"] = {"one": page}
        url = f"{registries.url}/changes/one"
        text = notes.fetched_changelog(http, url, {urllib.parse.urlsplit(url).netloc})
        assert notes.scan(text, "pypi", "1.0.0", "2.0.0") == ["2.0.0: Removed x"]
        # Anybody may write an address into a package: hosts of the inside are not asked for it.
        with pytest.raises(NoAnswer, match="it is not encrypted"):
            notes.fetched_changelog(http, url, set())
        with pytest.raises(NoAnswer, match="answered 404"):
            notes.fetched_changelog(http, f"{registries.url}/changes/two", {urllib.parse.urlsplit(url).netloc})


def test_a_branch_is_pushed_unless_it_has_something_of_somebody_else(repository: pathlib.Path) -> None:
    git(repository.parent, "init", "--quiet", "--bare", "origin.git")
    there = repository.parent / "origin.git"
    ours = ["commit", "--quiet", "--allow-empty", "--message", "x\n\nSteward-Dependencies: 1"]
    looked, base = Repository(str(repository), 10), git(repository, "rev-parse", "main")
    git(repository, "checkout", "--quiet", "-b", "ours")
    git(repository, *ours)
    first = git(repository, "rev-parse", "ours")
    assert looked.push(str(there), "ours", first, base) is True
    assert looked.push(str(there), "ours", first, base) is False
    git(repository, "reset", "--quiet", "--hard", base)
    git(repository, *ours[:-1], "y\n\nSteward-Dependencies: 2")
    second = git(repository, "rev-parse", "ours")
    assert looked.push(str(there), "ours", second, base) is True
    assert git(there, "rev-parse", "ours") == second
    # A commit that is not known here, made there by somebody else.
    tree = git(there, "rev-parse", f"{second}^{{tree}}")
    theirs = git(there, "commit-tree", tree, "-p", second, "-m", "theirs")
    git(there, "update-ref", "refs/heads/ours", theirs)
    with pytest.raises(GitError, match="has commits of somebody else"):
        looked.push(str(there), "ours", first, base)
    assert git(there, "rev-parse", "ours") == theirs
