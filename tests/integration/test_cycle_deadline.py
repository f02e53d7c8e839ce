# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when an activity may go on, as ansible-playbook shows it: the test role `probe` listens to the engine."""

from __future__ import annotations

import datetime

from support.plays import Fleet

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now, write_time
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

pytest_plugins = ("support.plays_fixtures",)


def _told(fleet: Fleet) -> dict[str, str]:
    """The last summary of each activity of db1."""
    return {one["activity"]: one["summary"] for one in open_store(str(fleet.records / "db1.jsonl")).read()}


def test_a_role_is_told_when_its_window_ends_and_no_argument_moves_that_end(fleet: Fleet) -> None:
    now = utc_now().replace(second=0, microsecond=0)
    opened, closes = now - datetime.timedelta(hours=1), now + datetime.timedelta(hours=2)
    window = f"daily {opened:%H:%M}-{closes:%H:%M} UTC"
    fleet.activities["database.vacuum"] = {"role": "probe", "entry": "told", "window": window}
    fleet.activities["database.analyze"] = {"role": "probe", "entry": "told"}
    only = ["database.vacuum", "database.analyze"]
    end = write_time(closes)

    status, told = fleet.run("--limit", "db1", cycle_only=only)
    assert status == 0, told
    assert _told(fleet) == {
        "database.vacuum": f"told to stop at {end}, in any case at {end}",
        "database.analyze": "told to stop at , in any case at ",
    }

    sooner, later = now + datetime.timedelta(hours=1), now + datetime.timedelta(hours=3)
    for given, kept in ((sooner, sooner), (later, closes)):
        status, told = fleet.run(
            "--limit", "db1", cycle_only=only, cycle_force=True, maintenance_deadline=f"{given:%Y-%m-%d %H:%M} UTC"
        )
        assert status == 0, told
        assert _told(fleet)["database.vacuum"].endswith(f"in any case at {write_time(kept)}")
        assert _told(fleet)["database.analyze"].endswith(f"in any case at {write_time(given)}")


def test_what_has_not_begun_when_its_time_is_over_is_recorded_as_skipped(fleet: Fleet) -> None:
    past = write_time(utc_now() - datetime.timedelta(minutes=1))
    status, told = fleet.run("--limit", "db1", cycle_only=["database.vacuum"], maintenance_deadline=past)
    assert status == 0, told
    assert fleet.recorded() == {"database.vacuum": "skipped"}
    assert f"its time was over at {past}, before its turn came" in told


def test_a_deadline_that_cannot_be_read_stops_the_run_before_any_host_is_touched(fleet: Fleet) -> None:
    extra = ["[postgres:vars]", "maintenance_deadline=soon"]
    fleet.write_inventory({"postgres": ["db1", "db2"]}, extra)
    status, told = fleet.run()
    assert status == 2, told
    assert "no host was touched: maintenance_deadline: time 'soon' cannot be read" in told
    assert not fleet.records.exists()
