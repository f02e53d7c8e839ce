# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups copied to a real S3 server: what is sent, what is not sent again, what is told, what is removed."""

from __future__ import annotations

import datetime
import json
import pathlib

import pytest
from support.offsite import FILES, SYSTEM, Offsite, new_bucket
from support.s3_server import S3Server

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import stamp, utc_now

pytest_plugins = ("support.offsite_fixtures",)
pytestmark = pytest.mark.s3

NAME = "20261120T000000Z"


def days_ago(days: float) -> str:
    return stamp(utc_now() - datetime.timedelta(days=days))


def test_a_copy_is_the_backup_and_the_second_run_changes_nothing(offsite: Offsite) -> None:
    offsite.make(NAME)
    foretold = offsite.copy(check=True)
    assert foretold["changed"]
    assert foretold["copied"] == [NAME]
    (planned,) = foretold["planned"]
    assert (planned["action"], planned["reason"]) == ("copy", "it is not there yet")
    assert planned["estimate"] == {"bytes": sum(FILES.values()), "objects": len(FILES)}
    assert f"{SYSTEM}/{NAME} proved" in foretold["diff"]["after"]
    assert offsite.bucket.listing() == []

    made = offsite.copy()
    assert not made["failed"], made
    assert (made["verdict"], made["changed"], made["copied"]) == ("ok", True, [NAME])
    assert made["coverage"] == {"looked": 1, "of": 1}
    figures = made["figures"]
    assert figures["sent_bytes"] >= sum(FILES.values())
    assert figures["resumed_bytes"] == 0
    assert figures["kept_copies"] == 1
    assert figures["rpo_seconds"] > 0
    offsite.assert_sound(NAME)
    extra = {"manifest.json", "verified.json", "offsite.json"}
    assert {key.split("/", 3)[3] for key in offsite.bucket.listing()} == set(FILES) | extra
    record = json.loads(offsite.bucket.read(f"{offsite.base(NAME)}/offsite.json"))
    assert record["state"] == "proved"
    assert set(record["etags"]) == {*FILES, "verified.json"}
    assert "SHA-256" in record["by"]

    before = offsite.bucket.tree()
    again = offsite.copy()
    assert (again["verdict"], again["changed"], again["planned"]) == ("ok", False, [])
    assert "no copy needed: 1 proved copies" in again["summary"]
    assert offsite.bucket.tree() == before
    assert not offsite.copy(check=True)["changed"]


def test_only_what_was_verified_is_copied_unless_asked_for(offsite: Offsite) -> None:
    offsite.make(NAME, verified=False)
    refused = offsite.copy()
    assert refused["verdict"] == "failed"
    assert "not verified yet" in refused["reason"]
    assert offsite.bucket.listing() == []
    made = offsite.copy(unverified=True)
    assert made["copied"] == [NAME]
    offsite.assert_sound(NAME)
    # The proof that came later is sent after.
    offsite.declare(NAME, "verified.json")
    again = offsite.copy()
    assert again["planned"][0]["reason"] == "its copy lacks what came later: verified.json"
    assert again["figures"]["sent_objects"] == 1
    assert f"{offsite.base(NAME)}/verified.json" in offsite.bucket.listing()


def test_what_is_known_to_be_bad_is_never_copied(offsite: Offsite) -> None:
    offsite.make("20261118T000000Z")
    offsite.make("20261119T000000Z", verified=False)
    offsite.declare("20261119T000000Z", "refuted.json")
    offsite.make(NAME)
    (offsite.path / NAME / "manifest.json").write_text("{}")
    told = offsite.copy(unverified=True)
    assert told["copied"] == ["20261118T000000Z"]
    assert "offsite-bad-backup" in [finding["id"] for finding in told["findings"]]
    assert offsite.listed() == ["20261118T000000Z"]


def test_damage_does_not_travel(offsite: Offsite) -> None:
    """A file that rotted since it was verified: nothing of the backup is sent, and the copies of others are."""
    offsite.make("20261118T000000Z")
    offsite.make(NAME)
    path = offsite.path / NAME / "shop/3.dat"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    told = offsite.copy()
    assert told["verdict"] == "failed"
    assert f"{path} was altered" in told["reason"]
    assert told["coverage"] == {"looked": 1, "of": 2}
    assert offsite.bucket.listing(offsite.base(NAME)) == []
    offsite.assert_sound("20261118T000000Z")


def test_a_file_that_is_gone_is_named(offsite: Offsite) -> None:
    offsite.make(NAME)
    (offsite.path / NAME / "globals.sql").unlink()
    told = offsite.copy()
    assert told["verdict"] == "failed"
    assert "globals.sql cannot be read: No such file" in told["reason"]


def test_no_backup_at_all(offsite: Offsite) -> None:
    assert offsite.copy()["reason"] == f"there is no backup in {offsite.path}"
    assert offsite.copy(check=True)["verdict"] == "skipped"


@pytest.mark.parametrize("damage", ["lost", "shorter", "other", "manifest"])
def test_a_copy_that_is_not_right_any_more_is_found_and_sent_again(offsite: Offsite, damage: str) -> None:
    offsite.make(NAME)
    offsite.copy()
    key = f"{offsite.base(NAME)}/{'manifest.json' if damage == 'manifest' else 'shop/toc.dat'}"
    content = offsite.bucket.read(key)
    if damage == "lost":
        offsite.bucket.delete(key)
    else:
        offsite.bucket.write(key, content[:-1] + (b"" if damage == "shorter" else bytes([content[-1] ^ 1])))
    told = offsite.copy()
    assert not told["failed"], told
    assert told["planned"][0]["reason"].startswith("its copy is damaged")
    assert told["figures"]["sent_objects"] == (0 if damage == "manifest" else 1)
    offsite.assert_sound(NAME)
    assert not offsite.copy()["changed"]


def test_a_damaged_copy_whose_backup_is_gone_is_told(offsite: Offsite) -> None:
    offsite.make("20261118T000000Z")
    offsite.make(NAME)
    offsite.copy()
    offsite.bucket.delete(f"{offsite.base('20261118T000000Z')}/globals.sql")
    (offsite.path / "20261118T000000Z").rename(offsite.path / "elsewhere")
    told = offsite.copy()
    (finding,) = told["findings"]
    assert (finding["id"], finding["severity"]) == ("offsite-damaged", "high")
    assert "globals.sql is missing" in finding["message"]


def test_the_copy_of_another_backup_is_not_overwritten(offsite: Offsite, tmp_path: pathlib.Path) -> None:
    offsite.make(NAME)
    offsite.copy()
    before = offsite.bucket.tree()
    other = Offsite(offsite.bucket, tmp_path / "other")
    other.make(NAME)
    other.make("20261121T000000Z")
    told = other.copy()
    assert told["copied"] == ["20261121T000000Z"]
    assert "offsite-other-backup" in [finding["id"] for finding in told["findings"]]
    assert {key: value for key, value in offsite.bucket.tree().items() if NAME in key} == before


def test_retention(offsite: Offsite) -> None:
    old, older, young = days_ago(40), days_ago(50), days_ago(1)
    for name in (old, older):
        offsite.make(name)
    offsite.copy(retention="100d")
    assert offsite.listed() == sorted([older, old])
    offsite.make(young)
    foretold = offsite.copy(check=True)
    assert (foretold["copied"], sorted(foretold["pruned"])) == ([young], sorted([older, old]))
    told = offsite.copy()
    assert not told["failed"], told
    assert (told["copied"], sorted(told["pruned"])) == ([young], sorted([older, old]))
    offsite.assert_sound(young)
    assert {key.split("/")[2] for key in offsite.bucket.listing()} == {young}
    # The old backups lie here still: they are not sent to be removed again.
    again = offsite.copy()
    assert (again["changed"], again["planned"]) == (False, [])


def test_the_only_proved_copy_stays_whatever_its_age(offsite: Offsite) -> None:
    old = days_ago(400)
    offsite.make(old)
    assert offsite.copy()["copied"] == [old]
    assert offsite.copy()["pruned"] == []
    # A younger one that was not verified counts for nothing.
    offsite.make(days_ago(1), verified=False)
    told = offsite.copy(unverified=True)
    assert len(told["copied"]) == 1
    assert told["pruned"] == []
    assert len(offsite.listed()) == 2


def test_a_pinned_copy_stays(offsite: Offsite) -> None:
    """The pin may come later than the copy; it is sent after."""
    old, young = days_ago(40), days_ago(1)
    offsite.make(old)
    offsite.copy()
    (offsite.path / old / "pinned.json").write_text("{}")
    offsite.make(young)
    assert offsite.copy(retention="100d")["planned"][1]["reason"] == "its copy lacks what came later: pinned.json"
    told = offsite.copy()
    assert (told["changed"], told["pruned"]) == (False, [])
    offsite.assert_sound(old, young)


def test_nothing_is_removed_when_the_newest_copy_cannot_be_proved_again(offsite: Offsite) -> None:
    """Nothing is sent in this run, so the newest is asked for anew before an old one goes."""
    old, young = days_ago(40), days_ago(1)
    for name in (old, young):
        offsite.make(name)
    offsite.copy(retention="100d")
    (offsite.path / young).rename(offsite.path / "elsewhere")
    offsite.bucket.write(f"{offsite.base(young)}/globals.sql", b"other")
    told = offsite.copy()
    assert told["pruned"] == []
    assert old in offsite.listed()


def test_an_old_copy_goes_in_a_run_that_sends_nothing_but_proves(offsite: Offsite) -> None:
    old, young = days_ago(40), days_ago(1)
    for name in (old, young):
        offsite.make(name)
    offsite.copy(retention="100d")
    told = offsite.copy()
    assert (told["copied"], told["pruned"]) == ([], [old])
    offsite.assert_sound(young)


def test_nothing_is_removed_when_something_failed(offsite: Offsite) -> None:
    old, young, bad = days_ago(40), days_ago(2), days_ago(1)
    offsite.make(old)
    offsite.copy(retention="100d")
    offsite.make(young)
    offsite.make(bad)
    (offsite.path / bad / "globals.sql").write_bytes(b"rotten")
    told = offsite.copy()
    assert told["verdict"] == "failed"
    assert (told["copied"], told["pruned"]) == ([young], [])
    assert old in offsite.listed()


def test_copies_that_were_never_completed_go_when_nobody_adds_to_them(offsite: Offsite) -> None:
    offsite.make(days_ago(0.1))
    stale = days_ago(30)
    offsite.bucket.write(f"{offsite.base(stale)}/globals.sql", b"half")
    told = offsite.copy()
    assert told["pruned"] == []  # its objects are young: somebody else may be at it
    offsite.wait_until_older(stale, 1)
    told = offsite.copy(incomplete_after="1s")
    assert told["pruned"] == [stale]
    assert offsite.bucket.listing(offsite.base(stale)) == []


def test_object_lock(s3: S3Server, tmp_path: pathlib.Path) -> None:
    locked = Offsite(new_bucket(s3, lock=True), tmp_path / "backups")
    old, young = days_ago(40), days_ago(1)
    locked.make(old)
    lock = {"lock_mode": "GOVERNANCE", "lock_days": 3, "retention": "100d"}
    assert locked.copy(**lock)["copied"] == [old]
    head = locked.bucket.client.head_object(Bucket=locked.bucket.name, Key=f"{locked.base(old)}/shop/3.dat")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    left = head["ObjectLockRetainUntilDate"] - utc_now()
    assert datetime.timedelta(days=2, hours=23) < left <= datetime.timedelta(days=3)
    locked.make(young)
    told = locked.copy()
    assert (told["verdict"], told["copied"], told["pruned"]) == ("findings", [young], [])
    (finding,) = told["findings"]
    assert (finding["id"], finding["subject"]) == ("offsite-locked", old)
    assert "an object lock (GOVERNANCE) keeps it until" in finding["message"]
    locked.assert_sound(old, young)


def test_a_versioned_bucket_gives_its_space_back(offsite: Offsite) -> None:
    client, name = offsite.bucket.client, offsite.bucket.name
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    old, young = days_ago(40), days_ago(1)
    offsite.make(old)
    offsite.copy()
    offsite.make(young)
    assert offsite.copy()["pruned"] == [old]
    left = client.list_object_versions(Bucket=name, Prefix=offsite.base(old))
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")
    offsite.assert_sound(young)


def test_a_lock_on_a_bucket_that_has_none_is_refused_before_anything_is_sent(offsite: Offsite) -> None:
    offsite.make(NAME)
    told = offsite.copy(lock_mode="COMPLIANCE")
    assert told["verdict"] == "failed"
    assert f"bucket '{offsite.bucket.name}' has no object lock" in told["reason"]
    assert offsite.bucket.listing() == []


def test_uploads_that_somebody_left_are_given_up(offsite: Offsite) -> None:
    """Those of a backup that lies here are ours; of others, those that are old. moto says of all that they are."""
    offsite.make(NAME)
    offsite.copy()
    begin = offsite.bucket.client.create_multipart_upload
    begin(Bucket=offsite.bucket.name, Key=f"{offsite.base(NAME)}/shop/3.dat")
    begin(Bucket=offsite.bucket.name, Key=f"{offsite.base('20261101T000000Z')}/shop/3.dat")
    begin(Bucket=offsite.bucket.name, Key="somebody/else")
    told = offsite.copy()
    assert told["figures"]["aborted_uploads"] == 2
    assert offsite.bucket.uploads() == ["somebody/else"]


def test_backups_of_two_servers(offsite: Offsite) -> None:
    offsite.make("20261118T000000Z", system="1")
    offsite.make(NAME, system="2")
    assert sorted(offsite.copy()["copied"]) == ["20261118T000000Z", NAME]
    assert (offsite.listed("1"), offsite.listed("2")) == (["20261118T000000Z"], [NAME])
    refused = offsite.fetch(offsite.path.parent / "new")
    assert "system_identifier is empty: there are copies of 2 servers, name one of 1, 2" in refused["reason"]
    assert not offsite.fetch(offsite.path.parent / "new", system_identifier="2")["failed"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"bucket": "s3://x"}, "bucket 's3://x' cannot be one"),
        ({"endpoint_url": "s3.example.com"}, "endpoint_url cannot be read"),
        ({"secret_key": ""}, "secret_key is empty"),
        ({"access_key": ""}, "access_key is empty"),
        ({"profile": "x"}, "profile is 'x' although access_key is given"),
        ({"streams": 0}, "streams is 0: it must be between 1 and 64"),
        ({"part_bytes": 1}, "part_bytes is 1: it must be between 65536 and"),
        ({"lock_days": 0}, "lock_days is 0: it must be between 1 and 36500"),
        ({"retention": "30"}, "duration '30' has no unit"),
    ],
)
def test_bad_input_is_named_before_anything_is_touched(offsite: Offsite, wrong: dict[str, str], told: str) -> None:
    offsite.make(NAME)
    answer = offsite.copy(**wrong)
    assert answer["failed"]
    assert told in answer["msg"]
    assert offsite.bucket.listing() == []
