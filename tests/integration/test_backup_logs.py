# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs archived over days of rotation: to a directory, to a real S3 server, by the role through ansible-playbook."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import re
import shutil
import time

import pytest
from support.canary import secrets_in
from support.logs import Logs, write_journal
from support.offsite import new_bucket
from support.plays import Play
from support.s3_server import S3Server

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now

pytest_plugins = ("support.offsite_fixtures", "support.plays_fixtures")
pytestmark = pytest.mark.s3


@pytest.fixture
def logs(tmp_path: pathlib.Path) -> Logs:
    return Logs(tmp_path)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_nothing_twice_and_nothing_lost_across_rotation(logs: Logs, compression: str) -> None:
    logs.write("access.log", "day 0\n")
    for day in range(1, 4):
        logs.rotate("access.log", f"day {day}\n")
        answer = logs.archive(compression=compression)
        assert not answer["failed"], answer
        assert answer["archived"] == [str(logs.log / "access.log.1")]
        assert answer["coverage"] == {"looked": 1, "of": 1}
        assert sorted(logs.contents()) == [f"day {number}\n" for number in range(day)]
    again = logs.archive(compression=compression)
    assert (again["verdict"], again["changed"]) == ("ok", False)
    # The state of the host is lost, and a day passes without a run: still each content once.
    shutil.rmtree(logs.state)
    logs.rotate("access.log", "day 4\n")
    logs.rotate("access.log", "day 5\n")
    foretold = logs.archive(check=True, compression=compression)
    assert len(foretold["archived"]) == 2
    assert len(logs.archive(compression=compression)["archived"]) == 2
    assert sorted(logs.contents()) == [f"day {number}\n" for number in range(5)]
    assert [path.name for path in logs.state.glob("spool-*")] == []


def test_two_days_with_the_very_same_content_are_two(logs: Logs) -> None:
    """Also when the first of them is archived, compressed and rotated on before the second one comes."""
    logs.write("quiet.log", "nothing happened\n", age=3 * 86400)
    for day in (2, 1):
        logs.rotate("quiet.log", "nothing happened\n")
        os.utime(logs.log / "quiet.log", (time.time() - day * 86400,) * 2)
        answer = logs.archive()
        assert answer["archived"] == [str(logs.log / "quiet.log.1")], answer
    assert not logs.archive()["changed"]
    first, second = logs.entries()
    assert first["content_sha256"] == second["content_sha256"]
    assert first["modified"] < second["modified"]
    assert logs.contents() == ["nothing happened\n"] * 2
    # Both at once, as after a day without a run.
    shutil.rmtree(logs.root / "web1")
    assert len(logs.archive()["archived"]) == 2


def test_a_pattern_for_live_files_only_is_told(logs: Logs) -> None:
    logs.write("access.log", "day 0\n")
    logs.rotate("access.log", "day 1\n")
    pattern = str(logs.log / "*.log")
    answer = logs.archive(paths=[pattern])
    assert (answer["verdict"], answer["archived"]) == ("findings", [])
    (finding,) = answer["findings"]
    assert (finding["id"], finding["action"]) == ("logs-rotated-missed", f"write {pattern}*")


def test_what_is_still_written_to_is_left(logs: Logs) -> None:
    logs.write("app.log", "live\n")
    logs.write("young.log.1", "young\n", age=0)
    path = logs.write("held.log.1", "held\n")
    with path.open("a") as handle:
        answer = logs.archive()
        assert answer["archived"] == []
        assert answer["coverage"] == {"looked": 0, "of": 2}
        handle.write("late\n")
    logs.write("held.log.1", "held\nlate\n")
    logs.write("young.log.1", "young\n")
    assert len(logs.archive()["archived"]) == 2
    assert sorted(logs.contents()) == ["held\nlate\n", "young\n"]


def test_days_that_have_had_their_time(logs: Logs) -> None:
    logs.write("a.log.1", "a\n")
    logs.archive()
    (made,) = (logs.root / "web1").iterdir()
    old = (utc_now() - datetime.timedelta(days=95)).strftime("%Y-%m-%d")
    shutil.copytree(made, made.parent / old)
    logs.write("old.log.1", "too old to be kept\n", age=91 * 86400)
    foretold = logs.archive(check=True)
    assert (foretold["pruned"], (made.parent / old).exists()) == ([old], True)
    answer = logs.archive()
    assert answer["pruned"] == [old]
    assert answer["archived"] == []
    assert [path.name for path in made.parent.iterdir()] == [made.name]
    assert not logs.archive()["changed"]


def test_to_a_bucket_and_a_directory(logs: Logs, s3: S3Server) -> None:
    bucket = new_bucket(s3)
    logs.write("a.log.1", "a\n" * 100_000)
    foretold = logs.archive(check=True, **bucket.arguments())
    assert foretold["changed"]
    assert bucket.listing() == []
    answer = logs.archive(**bucket.arguments())
    assert not answer["failed"], answer
    assert answer["figures"]["archived_files"] == 2
    assert not secrets_in(str(answer).encode())
    day = utc_now().strftime("%Y-%m-%d")
    manifest = json.loads(bucket.read(f"steward/logs/web1/{day}/manifest.json"))
    (entry,) = manifest["entries"]
    assert entry["path"] == str(logs.log / "a.log.1")
    (kept,) = logs.entries()
    assert bucket.read(f"steward/logs/web1/{day}/{entry['name']}") == kept["file"].read_bytes()
    before = bucket.tree()
    assert not logs.archive(**bucket.arguments())["changed"]
    assert bucket.tree() == before
    # Another target, later: it gets what it does not have, and only that.
    shutil.rmtree(logs.root / "web1")
    assert logs.archive(**bucket.arguments())["figures"]["archived_files"] == 1
    assert bucket.tree() == before


def test_the_journal_goes_on_where_it_ended(logs: Logs, tmp_path: pathlib.Path) -> None:
    journal = tmp_path / "journal"
    asked = {"paths": [], "journal": True, "journal_directory": str(journal)}

    def lines() -> list[list[str]]:
        return [re.findall(r"^MESSAGE=line (\d+)$", text, re.MULTILINE) for text in logs.contents()]

    journal.mkdir()
    assert [finding["id"] for finding in logs.archive(**asked)["findings"]] == ["logs-journal-empty"]
    write_journal(journal, "a", 1, 5)
    assert logs.archive(**asked)["verdict"] == "ok"
    assert lines() == [["1", "2", "3", "4", "5"]]
    assert not logs.archive(**asked)["changed"]
    shutil.rmtree(logs.state)
    write_journal(journal, "b", 6, 3)
    assert logs.archive(**asked)["verdict"] == "ok"
    assert lines()[1:] == [["6", "7", "8"]]
    # The journal threw away more than was archived: what is left is archived all the same.
    shutil.rmtree(journal)
    write_journal(journal, "c", 108, 2)
    answer = logs.archive(**asked)
    assert [finding["id"] for finding in answer["findings"]] == ["logs-journal-gap"], answer
    assert answer["findings"][0]["value"] == 100
    assert lines()[2:] == [["108", "109"]]
    assert logs.archive(**asked)["verdict"] == "ok"


def test_the_role_and_the_cycle(logs: Logs, play: Play) -> None:
    logs.write("a.log.1", "a\n")
    play.variables.update(
        backup_logs_paths=logs.arguments["paths"],
        backup_logs_directory=str(logs.root),
        backup_logs_host="web1",
        backup_logs_state_dir=str(logs.state),
        backup_logs_os_user="",
        backup_logs_journal=False,
        maintenance_records=str(play.directory / "records.jsonl"),
        cycle_report_path="",
        cycle_activities={"backup.logs": {"available": True}},
    )
    only = '{"cycle_only": ["backup.logs"]}'
    status, told = play.run("-e", only, roles=["steward.maintenance.cycle"])
    assert status == 0, told
    assert logs.contents() == ["a\n"]
    (record,) = [json.loads(line) for line in (play.directory / "records.jsonl").read_text().splitlines()]
    assert (record["activity"], record["verdict"]) == ("backup.logs", "ok")
    assert record["figures"]["archived_files"] == 1
