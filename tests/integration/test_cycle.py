# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cycle through ansible-playbook, as a user runs it. Activities are done by the test role `probe`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import typing as t

import pytest
from support.plays import NAMES, ROLES, Fleet, changed

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

pytest_plugins = ("support.plays_fixtures",)


def test_the_first_run_does_all_and_the_second_changes_nothing(fleet: Fleet) -> None:
    status, told = fleet.run()
    assert status == 0, told
    assert fleet.recorded("db1") == fleet.recorded("db2") == dict.fromkeys(NAMES, "ok")
    assert "backup.verify ok: looked at all 3 of it" in told
    page = fleet.report.read_text(encoding="utf-8")
    assert "not automated yet" in page
    record = open_store(str(fleet.records / "db1.jsonl")).read()[0]
    assert (record["activity"], record["guide"], record["type"]) == ("backup.database", "5.1", "preventive")
    assert record["host"] == "db1"
    assert record["ran"]["controller"]
    before = {path: path.stat().st_mtime_ns for path in (fleet.report, *fleet.records.iterdir())}
    status, told = fleet.run()
    assert status == 0, told
    assert changed(told, "db1") == changed(told, "db2") == 0
    assert "db1: nothing due; next: backup.database in 23 h" in told
    assert {path: path.stat().st_mtime_ns for path in (fleet.report, *fleet.records.iterdir())} == before


def test_a_failing_activity_does_not_stop_the_others_and_is_told_at_the_end(fleet: Fleet) -> None:
    fleet.activities["backup.database"]["entry"] = "shaped"
    fleet.activities["database.vacuum"]["entry"] = "break"
    fleet.activities["database.analyze"]["entry"] = "silent"
    status, told = fleet.run("--limit", "db1")
    assert status == 2, told
    assert fleet.recorded() == {
        **dict.fromkeys(NAMES, "ok"),
        **dict.fromkeys(("backup.database", "database.vacuum", "database.analyze"), "failed"),
    }
    end = told.split("PLAY [Tell what needs attention]")[1]
    assert "db1 needs attention:" in end
    assert "database.vacuum failed: VACUUM failed (Break in the middle: the disk is gone)" in end
    assert "without publishing probe_result" in end
    assert "/dev/null/records.jsonl" in end
    assert "database.reindex" not in end
    page = fleet.report.read_text(encoding="utf-8")
    assert "the disk is gone" in page
    assert "not in this run" in page  # db2

    fleet.activities["database.vacuum"]["entry"] = "good"
    status, told = fleet.run("--limit", "db1")
    assert status == 2, told
    assert (
        "database.vacuum failed: failed last time: Break in the middle: the disk is gone; tried again from 20" in told
    )
    assert "cycle_force=true" in told
    assert len(open_store(str(fleet.records / "db1.jsonl")).read()) == len(NAMES)

    for entry in ("backup.database", "database.analyze"):
        fleet.activities[entry]["entry"] = "good"
    status, told = fleet.run("--limit", "db1", "-e", "cycle_force=true")
    assert status == 0, told
    assert fleet.recorded() == dict.fromkeys(NAMES, "ok")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"cycle_activities": {"database.vacum": {"every": "3d"}}}, "did you mean 'database.vacuum'?"),
        (
            {"cycle_activities": {"database.vacuum": {"evry": "3d"}}},
            "unknown key 'evry' in database.vacuum; did you mean 'every'?",
        ),
        ({"cycle_activities": {"database.vacuum": {"every": "3 dayz"}}}, "database.vacuum: every: duration '3 dayz'"),
        (
            {"cycle_activities": {"database.vacuum": {"window": "Sunn 01:00-05:00"}}},
            "database.vacuum: window: window 'Sunn",
        ),
        ({"cycle_freezes": [{"reason": "r", "ownr": "o", "end": "2027-01-01"}]}, "did you mean 'owner'?"),
        (
            {"cycle_only": ["database.vacum"]},
            "cycle_only: unknown activity 'database.vacum'; did you mean 'database.vacuum'?",
        ),
        ({"cycle_cadence": "weekley"}, "cycle_cadence: unknown cadence 'weekley'; did you mean 'weekly'?"),
        ({"cycle_activites": {}}, "unknown variable 'cycle_activites'; did you mean 'cycle_activities'?"),
        ({"maintenance_record": "/x"}, "unknown variable 'maintenance_record'; did you mean 'maintenance_records'?"),
        ({"cycle_force": "{{ no_such_variable }}"}, "no_such_variable"),
        ({"cycle_activities": {"database.vacuum": {"hosts": "postgrse"}}}, "did you mean 'postgres'?"),
    ],
)
def test_a_slip_of_the_pen_for_one_host_stops_the_run_before_any_host_is_touched(
    fleet: Fleet, variables: dict[str, t.Any], message: str
) -> None:
    directory = fleet.directory / "host_vars"
    directory.mkdir()
    (directory / "db2.yml").write_text(json.dumps(variables), encoding="utf-8")
    command = fleet.command()
    # The other test settings would outrank those of the host.
    place = command.index("-e")
    del command[place : place + 2]
    done = subprocess.run(
        command, env=fleet.environment, cwd=fleet.directory, capture_output=True, text=True, check=False
    )
    told = re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert done.returncode != 0, told
    assert message in told
    assert "no host was touched" in told
    assert "db2" in told
    assert not fleet.records.exists()
    assert "Read the records" not in told


def run_own_play(fleet: Fleet, **variables: t.Any) -> tuple[int, str]:
    """The role in a play of the user's own, with settings that only the play has."""
    play = {"hosts": "all", "gather_facts": False, "vars": variables, "roles": ["steward.maintenance.cycle"]}
    playbook = fleet.directory / "own.yml"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    command = [fleet.command()[0], "-i", str(fleet.directory / "inventory"), str(playbook)]
    done = subprocess.run(
        command, env=fleet.environment, cwd=fleet.directory, capture_output=True, text=True, check=False
    )
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"cycle_ony": []}, "did you mean 'cycle_only'?"),
        ({"cycle_activities": {"database.vacum": {}}}, "did you mean 'database.vacuum'?"),
    ],
)
def test_a_slip_of_the_pen_in_a_play_is_refused_too(fleet: Fleet, variables: dict[str, t.Any], message: str) -> None:
    status, told = run_own_play(fleet, **variables)
    assert status != 0
    assert message in told
    assert "no host was touched" in told
    assert not fleet.records.exists()


def test_the_role_works_in_a_play_of_the_users_own(fleet: Fleet) -> None:
    fleet.write_inventory({"shop": ["db1"]})
    for activity in fleet.activities.values():
        activity["hosts"] = "shop"
    fleet.activities["database.reindex"]["entry"] = "break"
    status, told = run_own_play(fleet, cycle_activities=fleet.activities)
    assert status == 2, told
    assert fleet.recorded() == {**dict.fromkeys(NAMES, "ok"), "database.reindex": "failed"}
    assert "db1 needs attention:" in told
    assert not fleet.report.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": "nobody_wrote_this"}, "role 'nobody_wrote_this' was not found"),  # ansible-core's words
        ({"entry": "good_ol"}, "database.vacuum: entry: the role 'probe' has no tasks/good_ol.yml"),
        ({"entry": "torn"}, "torn.yml cannot be read"),
    ],
)
def test_a_role_that_cannot_be_loaded_is_refused_before_any_host_is_touched(
    fleet: Fleet, change: dict[str, str], message: str
) -> None:
    # ansible-core would drop the host in the middle of the run and end with exit status 0.
    roles = fleet.directory / "roles"
    shutil.copytree(ROLES, roles)
    (roles / "probe" / "tasks" / "torn.yml").write_text("- name: [unended\n", encoding="utf-8")
    fleet.roles = roles
    fleet.activities["database.vacuum"].update(change)
    status, told = fleet.run()
    assert status != 0, told
    assert message in told
    assert "no host was touched" in told
    assert not fleet.records.exists()


def test_a_misspelt_group_is_not_nothing_to_do(fleet: Fleet) -> None:
    fleet.write_inventory({"postgress": ["db1"]})
    status, told = fleet.run()
    assert status != 0
    assert "no activity of the catalogue applies to any of the 1 hosts of this run" in told
    assert "is 'postgress' meant?" in told
    assert not fleet.records.exists()


def test_a_host_that_cannot_be_reached_is_told_in_the_report(fleet: Fleet) -> None:
    fleet.write_inventory({"postgres": ["db1", "db2 ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1"]})
    status, told = fleet.run(cycle_only=["database.vacuum"])
    assert status == 4, told
    assert fleet.recorded() == {"database.vacuum": "ok"}
    page = fleet.report.read_text(encoding="utf-8")
    assert re.search("records not read: [^<]*127.0.0.1", page)
    assert "not in this run" not in page


def test_check_mode_records_nothing_and_says_so(fleet: Fleet) -> None:
    status, told = fleet.run("--check", "--diff", "--limit", "db1")
    assert status == 0, told
    assert "in check mode, without a change and without a record" in told
    assert "database.vacuum ok: looked at all 3 of it" in told
    assert not fleet.records.exists()
    assert not fleet.report.exists()


def test_after_a_kill_the_next_run_completes(fleet: Fleet) -> None:
    mark = fleet.directory / "began"
    fleet.activities["database.vacuum"]["entry"] = "slow"
    command = fleet.command("--limit", "db1", probe_mark=str(mark))
    run = subprocess.Popen(
        command, env=fleet.environment, cwd=fleet.directory, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while not mark.exists():
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert set(fleet.recorded()) == {"backup.database", "backup.verify"}
    fleet.activities["database.vacuum"]["entry"] = "good"
    status, told = fleet.run("--limit", "db1")
    assert status == 0, told
    assert fleet.recorded() == dict.fromkeys(NAMES, "ok")
    assert open_store(str(fleet.records / "db1.jsonl")).verify().intact
