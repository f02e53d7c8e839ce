# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics module on real records, judged by Prometheus' own checker."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import typing as t

import pytest
from support import report_sample as sample
from support.modules import run_module

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

HOST = "db2.example.org"


def promtool(text: str) -> None:
    """Prometheus itself must have nothing to say about it."""
    checker = shutil.which("promtool")
    assert checker, "promtool is missing: install the Debian package prometheus"
    done = subprocess.run([checker, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), text


@pytest.fixture(name="records")
def _records(tmp_path: pathlib.Path) -> str:
    location = str(tmp_path / "records.jsonl")
    store = open_store(location)
    for one in sample.troubled(HOST):
        store.append(one)
    return location


def arguments(tmp_path: pathlib.Path, records: str, **beside: t.Any) -> dict[str, t.Any]:
    catalogue = [{"applies": entry["hosts"] == "postgres", **entry} for entry in sample.catalogue()]
    return {"path": str(tmp_path / "steward.prom"), "records": records, "catalogue": catalogue, **beside}


def test_metrics_of_real_records_pass_promtool(tmp_path: pathlib.Path, records: str) -> None:
    answer = run_module("metrics", arguments(tmp_path, records))
    assert answer["changed"]
    assert answer["verdict"] == "ok"
    assert answer["summary"] == "metrics of 9 activities written"
    text = (tmp_path / "steward.prom").read_text()
    promtool(text)
    assert f"steward_records_total {len(sample.troubled(HOST))}\n" in text
    assert "steward_records_chain_intact 1\n" in text
    assert 'steward_activity_verdict{activity="backup.verify",verdict="failed"} 1\n' in text
    assert 'steward_activity_overdue_seconds{activity="database.reindex",guide="2.3"} +Inf\n' in text
    assert [entry.name for entry in tmp_path.glob(".*")] == []


def test_written_again_is_fresh_but_not_changed(tmp_path: pathlib.Path, records: str) -> None:
    run_module("metrics", arguments(tmp_path, records))
    target = tmp_path / "steward.prom"
    written = re.compile(r"^(steward_metrics_written_timestamp_seconds) .*$", re.MULTILINE)
    target.write_text(written.sub(r"\1 1", target.read_text()))
    answer = run_module("metrics", arguments(tmp_path, records))
    assert not answer["changed"]
    assert answer["diff"]["before"] == answer["diff"]["after"]
    assert "steward_metrics_written_timestamp_seconds 1\n" not in target.read_text()


def test_a_new_record_changes_them(tmp_path: pathlib.Path, records: str) -> None:
    run_module("metrics", arguments(tmp_path, records))
    open_store(records).append(sample.until_today(sample.record("database.reindex", HOST, 0)))
    answer = run_module("metrics", arguments(tmp_path, records))
    assert answer["changed"]
    assert 'overdue_seconds{activity="database.reindex",guide="2.3"} +Inf' in answer["diff"]["before"]
    assert 'overdue_seconds{activity="database.reindex",guide="2.3"} +Inf' not in answer["diff"]["after"]


def test_check_mode_writes_nothing(tmp_path: pathlib.Path, records: str) -> None:
    answer = run_module("metrics", arguments(tmp_path, records), check=True)
    assert answer["changed"]
    assert "steward_records_total" in answer["diff"]["after"]
    assert not (tmp_path / "steward.prom").exists()


def test_tampered_records_are_told(tmp_path: pathlib.Path, records: str) -> None:
    path = pathlib.Path(records)
    path.write_text(path.read_text().replace('"verdict":"failed"', '"verdict":"ok"'))
    run_module("metrics", arguments(tmp_path, records))
    text = (tmp_path / "steward.prom").read_text()
    promtool(text)
    assert "steward_records_chain_intact 0\n" in text


def test_unreadable_records_take_the_place_of_old_good_news(tmp_path: pathlib.Path, records: str) -> None:
    run_module("metrics", arguments(tmp_path, records))
    directory = tmp_path / "a-directory.jsonl"
    directory.mkdir()
    answer = run_module("metrics", arguments(tmp_path, str(directory)))
    assert answer["failed"]
    assert answer["verdict"] == "unknown"
    assert str(directory) in answer["reason"]
    text = (tmp_path / "steward.prom").read_text()
    promtool(text)
    assert "steward_records_readable 0\n" in text
    assert "steward_activity" not in text


def test_a_missing_collector_directory_is_named(tmp_path: pathlib.Path, records: str) -> None:
    missing = str(tmp_path / "node-exporter" / "steward.prom")
    for check in (True, False):
        answer = run_module("metrics", arguments(tmp_path, records, path=missing), check=check)
        assert answer["failed"]
        assert answer["verdict"] == "failed"
        assert missing in answer["reason"]


def test_only_the_records_of_the_host_asked_for(tmp_path: pathlib.Path, records: str) -> None:
    open_store(records).append(sample.until_today(sample.record("database.reindex", "another.example.org", 0)))
    run_module("metrics", arguments(tmp_path, records, host=HOST))
    assert (
        'last_run_timestamp_seconds{activity="database.reindex",guide="2.3"} 0\n'
        in (tmp_path / "steward.prom").read_text()
    )


def test_a_wrong_period_is_named(tmp_path: pathlib.Path, records: str) -> None:
    wrong = [{"name": "database.vacuum", "every": "7 moons", "available": True}]
    answer = run_module("metrics", arguments(tmp_path, records, catalogue=wrong))
    assert answer["failed"]
    assert "7 moons" in answer["reason"]
