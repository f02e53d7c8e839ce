# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration in Git when something goes wrong: what is gone or closed, killed runs, several hosts at a time."""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading

import pytest
from support.configuration import Configuration
from support.modules import finish_module


def test_what_is_gone_or_closed_is_told_and_stays(tmp_path: pathlib.Path) -> None:
    web = Configuration(tmp_path)
    web.write("a/x", "1\n")
    web.write("b/x", "2\n")
    paths = [str(web.root / "a"), str(web.root / "b" / "x"), str(web.root / "never")]
    first = web.keep(paths=paths)
    assert [(one["id"], one["severity"]) for one in first["findings"]] == [("configuration-vanished", "medium")]

    # A disk that is not mounted looks like this; so does a directory that became a file.
    shutil.rmtree(web.root / "a")
    shutil.rmtree(web.root / "b")
    web.write("b", "a file")
    second = web.keep(paths=paths)
    assert second["verdict"] == "findings"
    assert not second["changed"]
    told = {one["subject"].rpartition("etc/")[2]: (one["id"], one["severity"]) for one in second["findings"]}
    assert told == {
        "a": ("configuration-vanished", "high"),
        "b/x": ("configuration-unreadable", "high"),
        "never": ("configuration-vanished", "medium"),
    }
    assert second["coverage"]["of"] - second["coverage"]["looked"] == 3
    assert (web.show("a/x"), web.show("b/x")) == ("1\n", "2\n")
    # Taken off the list, it is deleted, and the history has it.
    assert web.keep(paths=[str(web.root / "b")])["changed"]
    assert web.show("a/x", first["commit"]) == "1\n"


@pytest.mark.parametrize("remote", [False, True])
def test_killed_at_any_moment(tmp_path: pathlib.Path, remote: bool) -> None:
    """After each kill the repository is sound, and the next run commits, or sends, what the killed one did not."""
    repository = f"file://{tmp_path}/configuration.git" if remote else ""
    web = Configuration(tmp_path, repository=repository)
    web.git("init", "--quiet", "--bare", str(web.bare))
    chance = random.Random(20261126)  # noqa: S311
    killed = 0
    for number in range(8):
        for name in range(30):
            web.write(f"d{name % 5}/{name}", f"{number}\n" * (name + 1))
        process = web.start()
        try:
            process.wait(chance.uniform(0.15, 0.9))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        web.git("fsck", "--strict")
    assert killed > 0
    answer = web.keep()
    assert not answer["failed"], answer
    assert web.git("rev-parse", "web1").strip() == answer["commit"]
    assert web.show("d4/29") == "7\n" * 30
    assert not web.keep()["changed"]
    assert sorted(path.name for path in web.state.glob("*.new")) == []


def test_several_hosts_and_one_repository(tmp_path: pathlib.Path) -> None:
    repository = f"file://{tmp_path}/configuration.git"
    hosts = [Configuration(tmp_path, f"web{number}", repository) for number in range(4)]
    hosts[0].git("init", "--quiet", "--bare", str(hosts[0].bare))
    answers = {}

    def keep(host: Configuration) -> None:
        host.write("a", host.branch)
        answers[host.branch] = host.keep()

    threads = [threading.Thread(target=keep, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["verdict"] for answer in answers.values()) == ["ok"] * len(hosts), answers
    assert all(host.show("a") == host.branch for host in hosts)


def test_somebody_else_writes_to_the_branch(tmp_path: pathlib.Path) -> None:
    """Two copies of one host, as after a failed migration: both histories stay, and a rewritten one is told."""
    repository = f"file://{tmp_path}/configuration.git"
    web = Configuration(tmp_path / "one", repository=repository)
    web.bare = tmp_path / "configuration.git"
    web.git("init", "--quiet", "--bare", str(web.bare))
    web.write("a", "1\n")
    first = web.keep()["commit"]
    other = Configuration(tmp_path / "two", repository=repository)
    other.bare = web.bare
    other.write("b", "2\n")
    assert other.keep()["verdict"] == "ok"
    web.write("a", "3\n")
    assert web.keep()["verdict"] == "ok"
    assert web.commits() == 3
    web.git("update-ref", "refs/heads/web1", rewritten(web, f"{first}^{{tree}}"))
    told = web.keep()
    (finding,) = told["findings"]
    assert (finding["id"], finding["severity"]) == ("configuration-history", "high")
    assert "refs/steward/lost/" in finding["message"]
    # The repository is emptied: all of it comes back from the copy.
    shutil.rmtree(web.bare)
    web.git("init", "--quiet", "--bare", str(web.bare))
    back = web.keep()
    assert "all of it is sent again" in back["findings"][0]["message"]
    assert web.git("rev-parse", "web1").strip() == back["commit"]


def rewritten(web: Configuration, tree: str) -> str:
    """A commit of that tree that has no history."""
    somebody = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    return web.git(*somebody, "commit-tree", tree, "-m", "rewritten").strip()


def test_a_repository_that_cannot_be_asked(tmp_path: pathlib.Path) -> None:
    web = Configuration(tmp_path, repository=f"file://{tmp_path}/configuration.git")
    web.write("a", "1\n")
    refused = web.keep()
    assert refused["failed"]
    assert "git ls-remote ended with status" in refused["reason"]
    web.git("init", "--quiet", "--bare", str(web.bare))
    assert web.keep()["verdict"] == "ok"
    shutil.rmtree(web.bare)
    back = web.bring(directory=str(tmp_path / "back"))
    assert [finding["id"] for finding in back["findings"]] == ["configuration-not-asked"]
    assert (tmp_path / "back" / str(web.root).lstrip("/") / "a").read_text() == "1\n"


def test_two_runs_at_a_time_are_one(tmp_path: pathlib.Path) -> None:
    web = Configuration(tmp_path)
    web.state.mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe")  # a pipe among the files is not waited for
    shutil.move(str(tmp_path / "pipe"), web.root / "pipe")
    web.write("a", "1\n")
    processes = [web.start() for _number in range(4)]
    verdicts = sorted(finish_module(process)["verdict"] for process in processes)
    assert set(verdicts) <= {"ok", "unknown"}
    assert "ok" in verdicts
    assert web.commits() == 1


def test_a_repository_that_was_tampered_with(tmp_path: pathlib.Path) -> None:
    """A manifest that leads out of the directory is refused before anything is written."""
    web = Configuration(tmp_path)
    web.write("a", "1\n")
    web.keep()
    evil = '{"format": 1, "paths": {"../../evil": {"kind": "file", "mode": "0644", "owner": "0", "group": "0"}}}'
    path = tmp_path / "evil.json"
    path.write_text(evil)
    blob = web.git("hash-object", "-w", str(path)).strip()
    index = {"GIT_INDEX_FILE": str(tmp_path / "index")}
    web.git("update-index", "--add", "--cacheinfo", f"100644,{blob},.steward-manifest.json", env=index)
    web.git("update-ref", "refs/heads/web1", rewritten(web, web.git("write-tree", env=index).strip()))
    answer = web.bring(directory=str(tmp_path / "back"))
    assert answer["failed"]
    assert "names the path '../../evil'" in answer["reason"]
    assert not (tmp_path / "back").exists()
