# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills in which something goes wrong: what is injected, what is told, and that nothing of it is left behind."""

from __future__ import annotations

import pathlib
import shutil
import signal
import socket
import typing as t

import pytest
from support import s3_faults as faults
from support.backups import make_old, processes_naming
from support.drills import Drills, answer_of
from support.offsite import Offsite, new_bucket
from support.postgres import wait_for
from support.s3_faults import FaultyStore
from support.s3_server import SECRET_KEY

pytest_plugins = ("support.offsite_fixtures", "support.drills_fixtures")
pytestmark = pytest.mark.s3


@pytest.fixture
def spare(drills: Drills) -> t.Iterator[Drills]:
    """The same with a directory of backups, and a bucket, that a test may damage."""
    kept, sent = drills.backups.path, drills.offsite
    drills.backups.path = kept.parent / "spare"
    shutil.copytree(kept, drills.backups.path)
    drills.offsite = Offsite(new_bucket(sent.bucket.server), drills.backups.path)
    yield drills
    shutil.rmtree(drills.backups.path)
    drills.backups.path, drills.offsite = kept, sent


def damage(backup: pathlib.Path) -> None:
    """A byte of the globals is another one: the manifest knows."""
    path = backup / "globals.sql"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def two_backups(drills: Drills) -> tuple[str, str]:
    newest = drills.backups.sets()[0]
    older = drills.backups.path / "copy"
    shutil.copytree(newest, older)
    shutil.move(str(older), drills.backups.path / "20990101T000000Z")
    return make_old(drills.backups, 1, "20200101T000000Z"), newest.name


def assert_clean(drills: Drills) -> None:
    """Traffic is where it belongs, no note and no file is left, and no server lives."""
    assert drills.switch.place == "normal"
    assert not (drills.state / "traffic.json").exists()
    assert drills.left() == []
    assert processes_naming(str(drills.backups.scratch)) == []


def test_a_damaged_backup_costs_the_data_since_the_older_one(spare: Drills) -> None:
    old, newest = two_backups(spare)
    damage(spare.backups.path / newest)
    before = spare.production()
    answer = spare.drill("database_failure", rpo="")
    assert answer["verdict"] == "findings", answer
    (found,) = answer["findings"]
    assert (found["id"], found["subject"]) == ("drill-backup-damaged", newest)
    assert "globals.sql" in found["message"]
    assert answer["backup"].endswith(old)
    assert answer["figures"]["rpo_seconds"] > 365 * 86400
    assert spare.production() == before  # no statement is left beside the damaged one, either


def test_when_no_backup_is_whole_the_drill_fails(spare: Drills) -> None:
    old, newest = two_backups(spare)
    damage(spare.backups.path / newest)
    damage(spare.backups.path / old)
    answer = spare.drill("database_failure")
    assert answer["failed"]
    assert answer["reason"] == f"none of {newest}, {old} can be restored"
    assert len(answer["findings"]) == 2
    assert "rto_seconds" not in answer["figures"]
    assert_clean(spare)


def test_a_copy_that_rotted_and_copies_that_are_not_there(spare: Drills, proxy: FaultyStore) -> None:
    missing = spare.drill("system_failure")
    assert missing["failed"]
    assert "there is no copy of a backup in" in missing["reason"]
    assert SECRET_KEY not in str(missing)

    old, newest = two_backups(spare)
    for name in (old, newest):
        spare.offsite.declare(name, "verified.json")
    copied = spare.offsite.copy(retention="36500d")
    assert copied["figures"]["copied_backups"] == 2, copied
    proxy.inject(rf"GET .*{newest}/globals\.sql", faults.giving_other_bytes)
    answer = spare.drill("system_failure", rpo="", endpoint_url=proxy.url)
    proxy.heal()
    assert [finding["id"] for finding in answer["findings"]] == ["drill-backup-damaged"], answer
    assert answer["backup"].endswith(old)
    assert_clean(spare)


def test_an_ill_application_and_a_taken_port(drills: Drills) -> None:
    ill = drills.drill("database_failure", health_command=drills.asks("false"), health_timeout="1s")
    assert ill["failed"]
    assert "restored and proved, but the application is not well" in ill["reason"]
    assert "rto_seconds" not in ill["figures"]
    assert ill["figures"]["rpo_seconds"] >= 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", drills.port))
        taken.listen()
        answer = drills.drill("regional_outage", listen_addresses="127.0.0.1", allow_from=["127.0.0.1/32"])
    assert answer["failed"]
    assert "did not start" in answer["reason"]
    assert drills.switch.told == []
    assert_clean(drills)


@pytest.mark.parametrize("fault", ["refused", "not seen"])
def test_a_switch_that_does_not_work_is_taken_back(drills: Drills, fault: str) -> None:
    broken = ["sh", "-c", "echo no such zone >&2; exit 4"] if fault == "refused" else ["true"]
    answer = drills.drill("regional_outage", traffic_to_recovery=[broken], traffic_timeout="1s")
    assert answer["failed"]
    words = "ended with status 4: no such zone" if fault == "refused" else "traffic did not reach the recovery site"
    assert words in answer["reason"]
    assert drills.switch.told == ["normal"]
    assert "rto_seconds" not in answer["figures"]
    assert_clean(drills)


def test_a_probe_that_always_says_yes_proves_nothing(drills: Drills) -> None:
    answer = drills.drill("regional_outage", recovery_url="", recovery_command=["true"])
    assert answer["failed"]
    assert "although no traffic was sent there" in answer["reason"]
    assert drills.switch.told == []
    assert_clean(drills)


def test_traffic_that_does_not_come_back_is_said_loudly_and_brought_back_next(drills: Drills) -> None:
    answer = drills.drill("regional_outage", traffic_back=[["false"]], traffic_timeout="1s")
    assert answer["failed"]
    assert answer["reason"].startswith("TRAFFIC IS NOT KNOWN TO BE BACK WHERE IT BELONGS")
    (lost,) = [finding for finding in answer["findings"] if finding["severity"] == "critical"]
    assert (lost["id"], lost["action"].split()[:2]) == ("drill-traffic-lost", ["run", "false"])
    assert drills.switch.place == "recovery"
    assert (drills.state / "traffic.json").exists()
    assert drills.left() == []

    # What is left is first seen in check mode, and then mended alone.
    looked = drills.drill("regional_outage", check=True, only_switch_back=True)
    assert "a drill left its note" in looked["summary"]
    assert drills.switch.place == "recovery"
    back = drills.drill("regional_outage", only_switch_back=True)
    assert (back["verdict"], back["changed"]) == ("ok", True), back
    assert_clean(drills)


def test_ended_by_a_signal_while_traffic_is_away(drills: Drills, tmp_path: pathlib.Path) -> None:
    """The command that sends traffic away takes its time; a second signal does not disturb the way back."""
    begun = tmp_path / "begun"
    slow = ["sh", "-c", f"{drills.switch.command('recovery')[2]}; touch {begun}; sleep 30"]
    slow_back = ["sh", "-c", f"touch {begun}.back; sleep 1; {drills.switch.command('normal')[2]}"]
    commands = {"traffic_to_recovery": [slow], "traffic_back": [slow_back], "traffic_timeout": "40s"}
    process = drills.start("regional_outage", **commands)
    wait_for(begun.exists, "traffic is away", 60)
    process.send_signal(signal.SIGTERM)
    wait_for(pathlib.Path(f"{begun}.back").exists, "it is on its way back")
    process.send_signal(signal.SIGHUP)
    answer = answer_of(process)
    assert answer["failed"]
    assert answer["reason"].startswith("the drill was ended by SIGTERM")
    assert drills.switch.told == ["recovery", "normal"]
    assert_clean(drills)


def test_killed_while_traffic_is_away(drills: Drills, tmp_path: pathlib.Path) -> None:
    """Its server dies with it. The next drill sends traffic back before anything else, and removes what is left."""
    begun = tmp_path / "begun"
    slow = ["sh", "-c", f"{drills.switch.command('recovery')[2]}; touch {begun}; sleep 3"]
    process = drills.start("regional_outage", traffic_to_recovery=[slow])
    wait_for(begun.exists, "traffic is away", 60)
    process.kill()
    process.communicate()
    assert drills.switch.place == "recovery"
    wait_for(lambda: not processes_naming(str(drills.backups.scratch)), "its server is gone", 30)

    answer = drills.drill("regional_outage")
    assert [finding["id"] for finding in answer["findings"]] == ["drill-left-behind"], answer
    assert drills.switch.told == ["recovery", "normal", "recovery", "normal"]
    assert_clean(drills)


def test_two_drills_at_a_time_are_one(drills: Drills, tmp_path: pathlib.Path) -> None:
    begun = tmp_path / "begun"
    asking = ["sh", "-c", f"touch {begun}; while test -e {begun}; do sleep 0.1; done"]
    first = drills.start("database_failure", health_command=asking, health_timeout="2m")
    wait_for(begun.exists, "the first drill is at work", 60)
    second = drills.drill("database_failure")
    assert (second["verdict"], second["failed"]) == ("unknown", True)
    assert "another run holds" in second["reason"]
    # The first one is asked again and again: whoever is asked makes the file anew.
    begun.unlink()
    assert answer_of(first)["verdict"] == "ok"
    assert_clean(drills)
