# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates that are killed, meet dead registries, or would bring something worse: the repository is as it was."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import time
import typing as t

import pytest
from support.dependencies import clean_environment
from support.modules import finish_module, start_module
from support.registries import Registries, advisory, python_package
from support.updates import Shop, catalogue

pytestmark = pytest.mark.packages

BRANCH = "steward/dependencies-security"


@pytest.fixture
def registries() -> t.Iterator[Registries]:
    found = catalogue()
    # The fix needs nothing else here.
    found["python"]["jinja2"] = python_package("3.1.0", "3.1.1", "3.2.0", needs=["markupsafe>=2.0"])
    with Registries(found) as registries:
        yield registries


@pytest.fixture
def shop(tmp_path: pathlib.Path, registries: Registries) -> Shop:
    return Shop(tmp_path, registries, ["pypi"])


def wait_for(process: t.Any, what: t.Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_after_a_kill_in_the_tests_nothing_is_changed_and_the_next_run_converges(shop: Shop) -> None:
    before = shop.fingerprint()
    sign = shop.directory / "the tests run"
    arguments = shop.arguments(test=f"touch '{sign}'; exec sleep 60")
    process = start_module("dependency_update", arguments, env=clean_environment())
    wait_for(process, sign.exists)
    left = shop.directory / "state" / "update"
    process.kill()
    sleepers = children_in(str(left))  # and what made the sign, if it was slow to end
    assert sleepers, "it was not killed at work"
    for sleeper in sleepers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(sleeper, signal.SIGKILL)
    process.communicate()
    assert shop.fingerprint() == before
    assert (left / "p0" / "tree").is_dir(), "it was not killed at work"

    answer = shop.update()
    assert (answer["verdict"], answer["project"]["status"]) == ("ok", "updated"), answer
    assert sorted(os.listdir(shop.directory / "state")) == ["evidence"]
    assert shop.git("rev-parse", f"{BRANCH}^") == shop.git("rev-parse", "main")
    assert shop.git("fsck", "--no-progress", "--no-dangling") == ""


def children_in(directory: str) -> list[int]:
    """Processes whose working directory is below this one of ours."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.readlink(f"/proc/{name}/cwd").startswith(directory):
                    found.append(int(name))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("part", ["osv", "simple"])
def test_a_dead_service_is_unknown_and_changes_nothing(shop: Shop, registries: Registries, part: str) -> None:
    before = shop.fingerprint()
    registries.faults[part] = "500"
    answer = shop.update()
    assert (answer["verdict"], answer["changed"]) == ("unknown", False)
    assert (answer["project"]["status"], answer["coverage"]) == ("unknown", {"looked": 0, "of": 1})
    assert shop.fingerprint() == before


def test_versions_that_do_not_go_together_stop_it_with_the_words_of_pip(shop: Shop, registries: Registries) -> None:
    before = shop.fingerprint()
    registries.catalogue["python"]["flask"]["3.0.0"]["needs"] = ["jinja2<3.1.1"]
    answer = shop.update()
    assert (answer["verdict"], answer["project"]["step"]) == ("failed", "resolve")
    assert "cannot make the new versions go together" in answer["project"]["reason"]
    assert shop.fingerprint() == before


def test_a_fix_that_brings_something_worse_is_refused(shop: Shop, registries: Registries) -> None:
    before = shop.fingerprint()
    registries.catalogue["advisories"].append(advisory("PYSEC-2026-7", "jinja2", ["3.1.1"], severity="CRITICAL"))
    answer = shop.update()
    assert (answer["verdict"], answer["project"]["step"]) == ("failed", "audit")
    assert "would bring new vulnerabilities: PYSEC-2026-7 of jinja2 3.1.1" in answer["reason"]
    assert shop.fingerprint() == before


def test_a_breaking_fix_is_told_and_left_until_somebody_approves_it(shop: Shop, registries: Registries) -> None:
    (one,) = [one for one in registries.catalogue["advisories"] if one["id"] == "PYSEC-2026-1"]
    one.update(versions=["3.1.0", "3.1.1", "3.2.0"], fixed=["4.0.0"])
    registries.catalogue["python"]["jinja2"].update(python_package("4.0.0"))
    answer = shop.update()
    assert (answer["verdict"], answer["changed"]) == ("findings", False)
    (finding,) = answer["findings"]
    assert (finding["id"], finding["severity"]) == ("dependency-fix-blocked", "high")
    assert "approve jinja2 for this project if 4.0.0 suits it" in finding["action"]
    approved = shop.update(approved=["jinja2"], check=True)
    assert [(one["to"], one["class"]) for one in approved["project"]["moves"]] == [("4.0.0", "major")]
    # What is accepted is neither.
    entry = {"id": "CVE-2026-1", "reason": "never called", "owner": "Jane Doe", "until": "2199-01-01"}
    assert shop.update(accepted=[entry], check=True)["project"]["status"] == "up-to-date"


@pytest.mark.parametrize(("file", "tool"), [("uv.lock", "uv"), ("poetry.lock", "poetry")])
def test_a_lock_whose_tool_cannot_be_used_is_refused_by_name(shop: Shop, file: str, tool: str) -> None:
    (shop.path / "requirements.txt").unlink()
    (shop.path / "pyproject.toml").write_text(
        f'[project]\nname = "shop"\nversion = "1"\ndependencies = ["jinja2>=3"]\n'
        f'[[tool.uv.index]]\nurl = "{shop.registries.index_url}"\ndefault = true\n',
        encoding="utf-8",
    )
    package = '[[package]]\nname = "jinja2"\nversion = "3.1.0"\n'
    locks = {
        "uv.lock": f'version = 1\n{package}source = {{ registry = "x" }}\n[[package]]\nname = "shop"\nversion = "1"\n'
        'source = { virtual = "." }\ndependencies = [{ name = "jinja2" }]\n',
        "poetry.lock": f'{package}[metadata]\nlock-version = "2.1"\ncontent-hash = "x"\n',
    }
    (shop.path / file).write_text(locks[file], encoding="utf-8")
    shop.commit("another tool")
    before = shop.fingerprint()
    process = start_module(
        "dependency_update",
        shop.arguments(uv="/nonexistent/uv", poetry="/nonexistent/poetry"),
        env={**clean_environment(), **shop.registries.environment()},
    )
    answer = finish_module(process)
    project = answer["projects"][0]
    assert (answer["verdict"], project["step"]) == ("failed", "resolve"), answer
    assert f"{file} is written by {tool}" in project["reason"]
    assert shop.fingerprint() == before
