# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates of dependencies with the real git, pip, pip-audit and npm, against stand-ins for what they ask."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from support import bills
from support.dependencies import clean_environment
from support.forges import TOKEN, FakeForge
from support.registries import Registries, wheel_hash
from support.updates import SECRET, Shop, catalogue

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError

pytestmark = pytest.mark.packages

BRANCH = "steward/dependencies-security"


@pytest.fixture(scope="module")
def registries() -> t.Iterator[Registries]:
    with Registries(catalogue()) as registries:
        yield registries


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory, registries: Registries) -> dict[str, t.Any]:
    """A security update of both ecosystems: first only planned, then done, then asked for again."""
    shop = Shop(tmp_path_factory.mktemp("updated"), registries)
    before = shop.fingerprint()
    planned = shop.update(check=True)
    untouched = shop.fingerprint() == before and not (shop.directory / "state").exists()
    subprocess.run(["git", "init", "--quiet", "--bare", str(shop.directory / "origin.git")], check=True)
    shop.git("remote", "add", "origin", str(shop.directory / "origin.git"))
    (shop.directory / "token").write_text(TOKEN, encoding="utf-8")
    (shop.directory / "token").chmod(0o600)
    with FakeForge() as forge:
        where = {"kind": "gitlab", "api": f"{forge.url}/api/v4", "project": "group/shop", "target": "main"}
        handing = {"remote": "origin", "merge_request": {**where, "token_file": str(shop.directory / "token")}}
        answer = shop.run(**handing, approved=["markup*"])
        again = shop.update(**handing, approved=["markup*"])
        requests = list(forge.requests)
        # As after a kill between the branch and its way to the others.
        shop.git("push", "--quiet", "--delete", "origin", BRANCH)
        forge.requests.clear()
        lost = shop.update(**handing, approved=["markup*"])
        found_again = [shop.git("ls-remote", "origin", BRANCH).split()[:1], len(forge.requests)]
    given = {"shop": shop, "planned": planned, "untouched": untouched, "answer": answer, "again": again}
    return {**given, "requests": requests, "lost": lost, "found_again": found_again}


def test_check_mode_tells_the_exact_versions_and_touches_nothing(updated: dict[str, t.Any]) -> None:
    planned = updated["planned"]
    assert (planned["verdict"], planned["changed"], planned["reason"]) == ("ok", True, "")
    assert planned["project"]["status"] == "planned"
    (diff,) = planned["diff"]
    # The nearest version without it, though it is young; what it needs goes along, to the lowest that fits.
    assert diff["before"].splitlines() == [
        "package-lock.json: qs 6.0.0",
        "requirements.txt: jinja2 3.1.0",
        "requirements.txt: markupsafe 2.0",
    ]
    assert diff["after"].splitlines() == [
        "package-lock.json: qs 6.0.5",
        "requirements.txt: jinja2 3.1.1",
        "requirements.txt: markupsafe 2.1",
    ]
    assert updated["untouched"]


def test_the_update_is_one_commit_on_a_branch_and_the_checkout_is_as_it_was(updated: dict[str, t.Any]) -> None:
    shop, answer = updated["shop"], updated["answer"]
    project = answer["projects"][0]
    assert (answer["verdict"], answer["changed"], project["status"]) == ("ok", True, "updated"), answer
    assert answer["diff"] == updated["planned"]["diff"]
    assert shop.git("rev-parse", BRANCH) == project["commit"]
    assert shop.git("rev-parse", f"{BRANCH}^") == shop.git("rev-parse", "main") == project["base"]
    assert shop.git("diff", "--name-only", "main", BRANCH).split() == ["package-lock.json", "requirements.txt"]
    assert shop.git("symbolic-ref", "--short", "HEAD") == "main"
    assert shop.git("status", "--porcelain").split() == ["??", "notes.txt"]
    assert project["tree"]["unchanged"] is True
    message = shop.git("log", "-1", "--format=%B", BRANCH)
    assert "jinja2 3.1.0 -> 3.1.1 (patch): fixes CVE-2026-1" in message
    assert "markupsafe 2.0 -> 2.1" in message
    assert shop.git("log", "-1", "--format=%an", BRANCH) == "steward.maintenance"


def test_the_same_update_again_changes_nothing(updated: dict[str, t.Any]) -> None:
    again = updated["again"]
    assert (again["verdict"], again["changed"], again["project"]["status"]) == ("ok", False, "waiting")
    assert again["project"]["commit"] == updated["answer"]["projects"][0]["commit"]


def test_the_branch_is_pushed_and_its_merge_asked_for_once(updated: dict[str, t.Any]) -> None:
    shop, project = updated["shop"], updated["answer"]["projects"][0]
    assert shop.git("ls-remote", "origin", BRANCH).split()[0] == project["commit"]
    (request,) = updated["requests"]
    assert (request["branch"], request["target"], request["title"]) == (BRANCH, "main", "Update 2 packages")
    assert "jinja2 3.1.0 -> 3.1.1 (patch): fixes CVE-2026-1" in request["text"]
    assert project["merge_request"] == updated["again"]["project"]["merge_request"]
    assert project["merge_request"].endswith("/group/shop/1")


def test_what_was_not_handed_over_is_handed_over_by_the_next_run(updated: dict[str, t.Any]) -> None:
    lost = updated["lost"]
    assert (lost["verdict"], lost["changed"], lost["project"]["status"]) == ("ok", True, "waiting")
    assert updated["found_again"] == [[updated["answer"]["projects"][0]["commit"]], 1]


def test_the_lock_of_pip_changes_where_needed_and_its_hashes_hold(
    updated: dict[str, t.Any], tmp_path: pathlib.Path
) -> None:
    shop = updated["shop"]
    before, after = shop.file_of("main", "requirements.txt"), shop.file_of(BRANCH, "requirements.txt")
    known = shop.registries.catalogue["python"]
    expected = before.replace("jinja2==3.1.0", "jinja2==3.1.1").replace("markupsafe==2.0", "markupsafe==2.1")
    for name, old, new in (("jinja2", "3.1.0", "3.1.1"), ("markupsafe", "2.0", "2.1")):
        expected = expected.replace(wheel_hash(name, old, known[name][old]), wheel_hash(name, new, known[name][new]))
    assert after == expected
    file = tmp_path / "requirements.txt"
    file.write_text(after + "\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--target",
        str(tmp_path / "there"),
    ]
    subprocess.run([*command, "--requirement", str(file)], check=True, env=clean_environment())
    assert (tmp_path / "there" / "jinja2-3.1.1.dist-info").is_dir()


def test_the_lock_of_npm_changes_where_needed_and_npm_ci_takes_it(
    updated: dict[str, t.Any], tmp_path: pathlib.Path
) -> None:
    shop = updated["shop"]
    assert shop.file_of("main", "package.json") == shop.file_of(BRANCH, "package.json")
    before, after = (json.loads(shop.file_of(commit, "package-lock.json")) for commit in ("main", BRANCH))
    changed = {path for path in after["packages"] if path and after["packages"][path] != before["packages"].get(path)}
    assert changed == {"node_modules/qs"}
    assert set(before["packages"]) == set(after["packages"])
    place = shop.check_out(BRANCH, tmp_path / "there")
    command = ["npm", "ci", "--no-audit", "--cache", str(tmp_path / "cache")]
    subprocess.run(command, check=True, cwd=place, env=clean_environment(), capture_output=True)
    assert json.loads((place / "node_modules" / "qs" / "package.json").read_text())["version"] == "6.0.5"


def test_the_evidence(updated: dict[str, t.Any]) -> None:
    project = updated["answer"]["projects"][0]
    place = pathlib.Path(project["evidence"])
    assert place.stat().st_mode & 0o777 == 0o700
    told = json.loads((place / "update.json").read_text())
    assert (told["outcome"], told["commit"]) == ("tested", project["commit"])
    assert told["approvals"] == {"breaking_steps": ["markup*"], "accepted": []}
    assert set(told["programs"]) == {"system", "git", "pip", "npm", "node"}
    assert all(told["programs"].values())
    # The tests ran in what was installed.
    assert (place / "tests.log").read_text() == "jinja2 3.1.1\nqs 6.0.5\n"
    assert project["test"]["output_bytes"] == len("jinja2 3.1.1\nqs 6.0.5\n")
    assert json.loads((place / "difference.json").read_text()) == [
        {"ecosystem": "npm", "package": "qs", "before": ["6.0.0"], "after": ["6.0.5"]},
        {"ecosystem": "pypi", "package": "jinja2", "before": ["3.1.0"], "after": ["3.1.1"]},
        {"ecosystem": "pypi", "package": "markupsafe", "before": ["2.0"], "after": ["2.1"]},
    ]
    (done,) = updated["answer"]["done"]
    assert (done["subject"], done["action"], done["after"]["commit"]) == (project["path"], "update", project["commit"])
    assert done["test"] == project["test"]
    assert bills.purls(bills.valid(done["evidence"])["sbom-after.json"]) == {
        "pkg:npm/express@4.0.0", "pkg:npm/qs@6.0.5", "pkg:pypi/flask@3.0.0", "pkg:pypi/jinja2@3.1.1",
        "pkg:pypi/markupsafe@2.1"}  # fmt: skip


def test_the_token_of_npm_is_used_and_shows_nowhere(updated: dict[str, t.Any]) -> None:
    shop = updated["shop"]
    assert SECRET in (shop.path / ".npmrc").read_text()
    told = json.dumps({name: updated[name] for name in ("planned", "answer", "again")})
    kept = [path.read_text() for path in pathlib.Path(updated["answer"]["projects"][0]["evidence"]).iterdir()]
    assert len(kept) == 5
    assert not [text for text in (told, shop.git("log", "-p", BRANCH), *kept) if SECRET in text]


def test_when_tests_fail_nothing_changes(tmp_path: pathlib.Path, registries: Registries) -> None:
    shop = Shop(tmp_path, registries, ["pypi"])
    before = shop.fingerprint()
    answer = shop.update(test="echo the reason is here; exit 3")
    project = answer["project"]
    assert (answer["verdict"], answer["changed"]) == ("failed", False)
    assert (project["status"], project["step"], project["output"]) == ("failed", "test", "the reason is here")
    assert shop.fingerprint() == before
    assert project["tree"]["unchanged"] is True
    assert os.listdir(tmp_path / "state") == ["evidence"]
    (done,) = answer["done"]
    assert (done["action"], done["after"]) == ("keep", {})
    assert bills.valid(done["evidence"])["update.json"]["outcome"] == "failed"


def test_the_evidence_has_a_bound_and_what_is_not_ours_stays(tmp_path: pathlib.Path, registries: Registries) -> None:
    shop = Shop(tmp_path, registries, ["pypi"])
    passed = pathlib.Path(shop.update(evidence_keep=2)["project"]["evidence"])
    (passed.parent / "notes").mkdir()
    (passed.parent / "2020-01-01T000000Z").write_text("somebody's own file", encoding="utf-8")
    # Another one is to be made, and its tests fail, again and again.
    shop.git("branch", "-D", BRANCH)
    failed = []
    for status in ("3", "4", "5"):
        answer = shop.update(test=f"exit {status}", evidence_keep=2)
        assert answer["verdict"] == "failed", answer
        failed.append(pathlib.Path(answer["project"]["evidence"]))
        assert bills.valid(answer["done"][0]["evidence"])["update.json"]["outcome"] == "failed"
    kept = {*failed[1:], passed, passed.parent / "notes", passed.parent / "2020-01-01T000000Z"}
    assert set(passed.parent.iterdir()) == kept
    # Check mode, and a run that has nothing to update, remove nothing.
    assert shop.update(check=True, evidence_keep=1)["project"]["status"] == "planned"
    assert set(passed.parent.iterdir()) == kept
    assert shop.update(evidence_keep=2)["project"]["status"] == "updated"
    before = set(passed.parent.iterdir())
    assert not passed.exists()
    assert shop.update(evidence_keep=1)["project"]["status"] == "waiting"
    assert set(passed.parent.iterdir()) == before


def test_a_number_of_evidence_that_would_keep_none_is_refused(tmp_path: pathlib.Path, registries: Registries) -> None:
    shop = Shop(tmp_path, registries, ["pypi"])
    with pytest.raises(InputError, match=r"^evidence_keep is 0, must be how many are kept: 1 or more$"):
        shop.update(evidence_keep=0)


def test_the_monthly_update_takes_what_is_old_enough(tmp_path: pathlib.Path, registries: Registries) -> None:
    shop = Shop(tmp_path, registries)
    (shop.path / "requirements.in").write_text("flask==3.0.0\njinja2>=3,<3.2\nmarkupsafe\n", encoding="utf-8")
    shop.commit("what it was compiled from")
    answer = shop.update(policy="minor")
    moves = {one["package"]: one for one in answer["project"]["moves"]}
    # flask 3.1.0 is too young, 4.0.0 is another class, jinja2 3.2.0 is out of its range. What others bring moves only
    # to fix it; what comes new is old enough, too.
    assert {name: (one["to"], one["why"]) for name, one in moves.items()} == {
        "flask": ("3.0.1", "routine"), "jinja2": ("3.1.1", "fix"), "markupsafe": ("2.2", "routine"),
        "itsdangerous": ("2.0", "needed"), "express": ("4.1.0", "routine"), "qs": ("6.0.5", "fix"),
        "ms": ("1.0.0", "needed")}  # fmt: skip
    assert (moves["flask"]["needs_before"], moves["flask"]["needs"]) == (">=3.7", ">=3.8")
    assert moves["express"]["notes"] == ["4.1.0: BREAKING: no more X"]
    assert (answer["verdict"], answer["project"]["status"]) == ("ok", "updated")
    branch = "steward/dependencies-minor"
    assert shop.file_of(branch, "requirements.in") == "flask==3.0.1\njinja2>=3,<3.2\nmarkupsafe"
    known = wheel_hash("itsdangerous", "2.0", {})
    block = f"itsdangerous==2.0 \\\n    --hash=sha256:{known}\n    # via flask\n"
    assert block in shop.file_of(branch, "requirements.txt")
    message = shop.git("log", "-1", "--format=%B", branch)
    assert "now needs Python >=3.8, before >=3.7" in message
    assert "express 4.1.0: BREAKING: no more X" in message
