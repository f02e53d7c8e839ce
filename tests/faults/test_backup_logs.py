# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of logs when something goes wrong: killed, full, damaged, two at a time."""

from __future__ import annotations

import pathlib
import random
import signal
import subprocess

import pytest
from support.backups import small_disk
from support.logs import Logs
from support.modules import finish_module


@pytest.fixture
def logs(tmp_path: pathlib.Path) -> Logs:
    return Logs(tmp_path)


def test_killed_at_any_moment_while_logs_rotate(logs: Logs) -> None:
    chance = random.Random(20261126)  # noqa: S311
    killed = 0
    logs.write("access.log", "day 0\n")
    for day in range(1, 9):
        logs.rotate("access.log", f"day {day}\n" * 2000)
        process = logs.start()
        try:
            process.wait(chance.uniform(0.2, 0.8))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        logs.contents()  # what a manifest names is whole
    assert killed > 0
    answer = logs.archive()
    assert not answer["failed"], answer
    contents = logs.contents()
    assert sorted(contents) == sorted(["day 0\n", *(f"day {day}\n" * 2000 for day in range(1, 8))])
    assert [path.name for path in logs.state.glob("spool-*")] == []


def test_a_full_disk(logs: Logs) -> None:
    with small_disk(logs.root, "256k"):
        logs.write("small.log.1", "small\n", age=7200)
        noise = random.Random(1).randbytes(600_000).hex()  # noqa: S311
        logs.write("large.log.1", noise)
        answer = logs.archive()
        assert answer["failed"]
        assert "No space left on device" in answer["reason"]
        assert logs.contents() == ["small\n"]
        (logs.log / "large.log.1").unlink()
        assert not logs.archive()["failed"]


def test_an_archive_that_was_damaged_or_is_not_mounted(logs: Logs) -> None:
    logs.write("a.log.1", "a\n")
    logs.archive()
    (manifest,) = logs.root.glob("web1/*/manifest.json")
    text = manifest.read_text()
    manifest.write_text(text[: len(text) // 2])
    answer = logs.archive()
    assert answer["failed"]
    assert f"in {logs.root}/web1 is damaged" in answer["reason"]
    assert manifest.read_text() == text[: len(text) // 2]
    gone = logs.archive(directory=str(logs.root / "elsewhere"))
    assert "make it, or mount what it lies on" in gone["reason"]


def test_a_damaged_file_is_kept_as_it_is(logs: Logs) -> None:
    path = logs.write("a.log.2.gz", "no gzip at all")
    answer = logs.archive()
    assert answer["verdict"] == "findings", answer
    assert [(one["id"], one["subject"]) for one in answer["findings"]] == [("logs-damaged", str(path))]
    assert logs.contents() == ["no gzip at all"]
    assert not logs.archive()["changed"]


def test_two_runs_at_a_time_are_one(logs: Logs) -> None:
    for number in range(20):
        logs.write(f"a{number}.log.1", f"{number}\n")
    answers = [finish_module(process) for process in [logs.start() for _number in range(3)]]
    assert {answer["verdict"] for answer in answers} <= {"ok", "unknown"}
    assert len(logs.contents()) == 20


def test_a_journal_that_cannot_be_read(logs: Logs, tmp_path: pathlib.Path) -> None:
    logs.write("a.log.1", "a\n")
    answer = logs.archive(journal=True, journal_directory=str(tmp_path / "no-journal"))
    assert answer["failed"]
    assert "journalctl ended with status" in answer["reason"]
    assert logs.contents() == ["a\n"]  # the files do not wait for it
