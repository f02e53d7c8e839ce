# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three disasters, drilled on a real server, a real store and a real switch, and what is measured."""

from __future__ import annotations

import datetime
import shutil

import pytest
from support.backups import make_old
from support.drills import APP_PASSWORD, ROWS, Drills

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now, write_time

pytest_plugins = ("support.offsite_fixtures", "support.drills_fixtures")
pytestmark = pytest.mark.s3


def test_a_database_failure_is_measured_and_touches_nothing(drills: Drills) -> None:
    before = drills.production()
    foretold = drills.drill("database_failure", check=True)
    assert (foretold["verdict"], foretold["changed"]) == ("ok", False)
    assert foretold["planned"][0]["subject"] == drills.backups.sets()[0].name
    assert "RPO" in foretold["summary"]

    answer = drills.drill("database_failure", health_command=drills.asks(f"(SELECT count(*) FROM orders) = {ROWS}"))
    assert (answer["verdict"], answer["changed"]) == ("ok", False), answer
    figures = answer["figures"]
    assert figures["rto_seconds"] >= figures["recovery_seconds"] > figures["restore_seconds"] > 0
    assert 0 <= figures["rpo_seconds"] < 600
    assert (figures["rto_target_seconds"], figures["rpo_target_seconds"]) == (3600, 86400)
    assert answer["summary"].startswith("database failure: RTO ")
    assert "of 1 h, RPO " in answer["summary"]
    assert answer["summary"].endswith("the application was well")
    assert answer["coverage"] == {"looked": 5, "of": 5}  # two proofs for each of two databases, and the application
    assert drills.left() == []
    assert drills.production() == before


def test_nobody_asked_is_not_covered(drills: Drills) -> None:
    answer = drills.drill("database_failure", rto="1s")
    assert answer["coverage"] == {"looked": 4, "of": 5}
    assert "no application was asked" in answer["summary"]
    missed = [finding for finding in answer["findings"] if finding["id"] == "drill-rto"]
    assert [finding["threshold"] for finding in missed] == [1]
    assert missed[0]["value"] == answer["figures"]["rto_seconds"] > 1


def test_a_late_backup_misses_the_rpo(drills: Drills) -> None:
    kept = drills.backups.path
    drills.backups.path = kept.parent / "late"
    shutil.copytree(kept, drills.backups.path)
    late = utc_now() - datetime.timedelta(hours=30)
    make_old(drills.backups, 0, late.strftime("%Y%m%dT%H%M%SZ"))
    try:
        answer = drills.drill("database_failure")
    finally:
        shutil.rmtree(drills.backups.path)
        drills.backups.path = kept
    assert answer["verdict"] == "findings", answer
    (missed,) = answer["findings"]
    assert (missed["id"], missed["severity"], missed["threshold"]) == ("drill-rpo", "high", 86400)
    assert missed["value"] == answer["figures"]["rpo_seconds"] >= 30 * 3600
    assert "RPO 1 d 6 h of 1 d" in answer["summary"]


def test_a_full_system_failure_counts_the_rebuild(drills: Drills) -> None:
    failed = utc_now().replace(microsecond=0)
    begun = drills.backups.sets()[0].name
    assert begun <= failed.strftime("%Y%m%dT%H%M%SZ")
    answer = drills.drill(
        "system_failure",
        failed_at=write_time(failed),
        health_command=drills.asks("(SELECT setting FROM pg_settings WHERE name = 'fsync') = 'on'"),
    )
    assert answer["verdict"] == "ok", answer
    figures = answer["figures"]
    assert figures["rto_seconds"] >= figures["rebuild_seconds"] + figures["fetch_seconds"] + figures["recovery_seconds"]
    assert figures["restored_rows"] == ROWS
    assert answer["backup"] == f"s3://{drills.offsite.bucket.name}/" + drills.offsite.base(
        begun, str(drills.backups.manifest()["server"]["system_identifier"])
    )
    assert drills.left() == []


def test_before_the_first_copy_there_is_nothing_to_restore(drills: Drills) -> None:
    answer = drills.drill("system_failure", failed_at="2020-01-01T00:00:00Z")
    assert answer["verdict"] == "failed"
    assert "the oldest copy" in answer["reason"]
    assert "rto_seconds" not in answer["figures"]


def test_a_regional_outage_moves_traffic_there_and_back(drills: Drills) -> None:
    """Seen from the network: the role of the application logs in with its old password, reads, and cannot write."""
    psql = f"{drills.server.bin_dir}/psql"
    place = f"host=127.0.0.1 port={drills.port} user=app dbname=shop"
    seen = drills.state.parent / "seen"
    look = (
        f"{psql} --no-psqlrc -At -d '{place}' -c 'SELECT count(*) FROM orders' >{seen};"
        f" {psql} --no-psqlrc -d '{place}' -c 'DELETE FROM orders' >>{seen} 2>&1;"
        f" PGPASSWORD=wrong {psql} --no-psqlrc -d '{place}' -c 'SELECT 1' >>{seen} 2>&1; true"
    )
    # The password is in a file, as the documentation wants it.
    passfile = drills.state.parent / "pgpass"
    passfile.write_text(f"127.0.0.1:*:*:app:{APP_PASSWORD}\n")
    passfile.chmod(0o600)
    commands = [drills.switch.command("recovery"), ["env", f"PGPASSFILE={passfile}", "sh", "-c", look]]
    answer = drills.drill(
        "regional_outage", traffic_to_recovery=commands, listen_addresses="127.0.0.1", allow_from=["127.0.0.0/8"]
    )
    assert (answer["verdict"], answer["changed"]) == ("ok", True), answer
    assert drills.switch.told == ["recovery", "normal"]
    assert drills.switch.place == "normal"
    told = seen.read_text()
    assert told.startswith(f"{ROWS}\n"), told
    assert "read-only transaction" in told
    assert "password authentication failed" in told
    figures = answer["figures"]
    assert figures["rto_seconds"] > figures["switch_seconds"] > 0
    assert figures["back_seconds"] > 0
    assert "traffic switched and back again" in answer["summary"]
    assert not (drills.state / "traffic.json").exists()
    assert drills.left() == []


def test_without_a_switch_it_is_half_a_drill(drills: Drills) -> None:
    none = {"traffic_to_recovery": [], "traffic_back": [], "recovery_url": "", "normal_url": ""}
    answer = drills.drill("regional_outage", health_command=drills.asks("true"), **none)
    assert [finding["id"] for finding in answer["findings"]] == ["drill-no-traffic"]
    assert answer["coverage"]["of"] - answer["coverage"]["looked"] == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"bucket": ""}, "bucket is empty: a regional outage takes the backups of the host with it"),
        ({"traffic_back": []}, "traffic_back is empty: give all of"),
        ({"normal_url": "nowhere"}, "normal_url 'nowhere' is no URL"),
        ({"traffic_back": [["ok"], []]}, "traffic_back has []: each command is a list of words"),
        ({"allow_from": ["10.0.0.1/8"], "listen_addresses": "*"}, "allow_from has '10.0.0.1/8': write a network"),
        ({"listen_addresses": "*"}, "allow_from is empty: give listen_addresses and allow_from together"),
        ({"failed_at": "2126-01-01T00:00:00Z"}, "by the clock of this host that is in the future"),
        ({"failed_at": "yesterday"}, "failed_at: time 'yesterday' cannot be read"),
        ({"rto": "soon"}, "rto: duration 'soon'"),
    ],
)
def test_a_slip_of_the_pen_drills_nothing(drills: Drills, more: dict[str, str], words: str) -> None:
    answer = drills.drill("regional_outage", **more)
    assert answer["failed"]
    assert words in answer["msg"]
    assert drills.switch.told == []
    assert drills.left() == []
