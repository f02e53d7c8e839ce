# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the cycle through ansible-playbook. They are our own logic, so one ansible-core is enough for them."""

from __future__ import annotations

import os

from support.plays import Fleet, changed

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

pytest_plugins = ("support.plays_fixtures",)


def test_records_that_cannot_be_written_stop_the_host_before_it_acts(fleet: Fleet) -> None:
    fleet.records.mkdir()
    fleet.records.chmod(0o555)
    if os.geteuid() == 0:
        # Root writes everywhere: the host's account is one that may not.
        become = ["ansible_become=true", "ansible_become_method=su", "ansible_become_user=nobody"]
        become += ["ansible_become_flags='-s /bin/sh'", "ansible_python_interpreter=/usr/bin/python3"]
        fleet.write_inventory({"postgres": ["db1"]}, become)
    status, told = fleet.run("--limit", "db1")
    assert status != 0
    assert f"the records in {fleet.records}/db1.jsonl cannot be written: Permission denied" in told, told
    assert "nothing was done" in told
    assert "Publish a result" not in told
    assert list(fleet.records.iterdir()) == []


def test_a_broken_chain_keeps_the_run_red_while_the_work_goes_on(fleet: Fleet) -> None:
    fleet.run("--limit", "db1", cycle_only=["backup.database", "backup.verify"])
    path = fleet.records / "db1.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("all 3", "all 9", 1), encoding="utf-8")
    status, told = fleet.run("--limit", "db1", cycle_only=["database.vacuum"])
    assert status == 2, told
    assert "their chain is broken: record 1 was altered" in told.split("PLAY [Tell what needs attention]")[1]
    assert fleet.recorded()["database.vacuum"] == "ok"


def test_a_change_that_needs_a_request_is_skipped_and_recorded_until_there_is_one(fleet: Fleet) -> None:
    fleet.activities["database.vacuum"]["change"] = "normal"
    only = ["database.vacuum"]
    status, told = fleet.run("--limit", "db1", cycle_only=only)
    assert status == 0, told
    assert "no change request was given" in told
    assert fleet.recorded() == {"database.vacuum": "skipped"}
    status, told = fleet.run("--limit", "db1", cycle_only=only)
    assert changed(told, "db1") == 0
    status, told = fleet.run("--limit", "db1", cycle_only=only, cycle_change_request="CR-7")
    assert status == 0, told
    last = open_store(str(fleet.records / "db1.jsonl")).read()[-1]
    assert (last["verdict"], last["change"]) == ("ok", "CR-7")


def test_a_cadence_and_a_freeze_leave_the_rest_alone(fleet: Fleet) -> None:
    status, told = fleet.run("--limit", "db1", playbook="run_daily")
    assert status == 0, told
    assert set(fleet.recorded()) == {"backup.database", "backup.verify", "recovery.retire"}
    freeze = {"reason": "sale", "owner": "Ann", "end": "2999-12-31"}
    status, told = fleet.run("-v", "--limit", "db1", playbook="run_weekly", cycle_freezes=[freeze])
    assert status == 0, told
    assert "database.vacuum: frozen by Ann until 3000-01-01T00:00:00Z: sale" in told
    assert set(fleet.recorded()) == {"backup.database", "backup.verify", "database.review", "recovery.retire"}


def test_a_report_that_cannot_be_written_makes_the_run_red(fleet: Fleet) -> None:
    status, told = fleet.run(
        "--limit", "db1", cycle_report_path="/dev/null/report.html", cycle_only=["database.vacuum"]
    )
    assert status == 2, told
    assert "the report was not written" in told.split("PLAY [Tell what needs attention]")[1]
    assert fleet.recorded() == {"database.vacuum": "ok"}


def test_metrics_are_written_on_each_host_when_asked_for(fleet: Fleet) -> None:
    path = f"{fleet.directory}/{{{{ inventory_hostname }}}}.prom"
    status, told = fleet.run("--limit", "db1", cycle_metrics_path=path, cycle_only=["database.vacuum"])
    assert status == 0, told
    text = (fleet.directory / "db1.prom").read_text(encoding="utf-8")
    assert "database.vacuum" in text
    assert "security.access" not in text
