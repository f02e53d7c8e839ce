# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verification of a real backup compares, and what it measures against the objectives."""

from __future__ import annotations

import pytest
from support.backups import backups_of, make_old, rewrite
from support.postgres import PrivatePostgres

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, v text, at timestamptz DEFAULT '2026-03-29 01:30:00+00', n numeric, f float8,
  b bytea, i interval DEFAULT '1 mon 3 days', m money DEFAULT 12.5, a int[] DEFAULT '{1,2}');
INSERT INTO t (id, v, n, f, b)
  SELECT g, 'ü' || g, g / 3.0, g / 3.0, decode(md5(g::text), 'hex') FROM generate_series(1, 500) g;
CREATE TABLE steward_row (steward_row int, x int);
INSERT INTO steward_row VALUES (1, 2), (1, 2), (3, NULL);
CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE checked (id int, t int REFERENCES t, u int);
ALTER TABLE checked ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;
ALTER TABLE checked ADD CONSTRAINT later FOREIGN KEY (u) REFERENCES t NOT VALID;
SELECT lo_from_bytea(0, 'large'), lo_from_bytea(0, 'objects');
"""
NOT_VALID = (
    'constraints that were valid are not valid any more: "public"."checked"."later"; "public"."checked"."positive"'
)


@pytest.fixture(scope="module")
def server():
    with PrivatePostgres() as running:
        running.run_sql("CREATE DATABASE shop")
        running.run_sql(SCHEMA, "shop")
        # What a role or a database is set to must not change what a value looks like when it is compared.
        running.run_sql(
            "ALTER DATABASE shop SET DateStyle = 'German'; ALTER DATABASE shop SET TimeZone = 'Asia/Kolkata'"
        )
        running.run_sql(
            "ALTER DATABASE shop SET extra_float_digits = 0; ALTER DATABASE shop SET bytea_output = 'escape'"
        )
        yield running


@pytest.fixture
def backups(server):
    with backups_of(server) as place:
        yield place


def shop(body):
    return next(entry for entry in body["databases"] if entry["name"] == "shop")


def table(body, name):
    return next(one for one in shop(body)["stored_tables"] if one["name"] == name)


def test_contents_are_compared(server, backups):
    """Every row is as it was, and a row that is another one with the same count is found out."""
    assert not backups.back_up(databases=["shop"], content_checksums=True)["failed"]
    proved = backups.verify()
    assert not proved["failed"], proved
    assert proved["figures"]["compared_checksums"] == 4
    first = backups.manifest()
    # The order of rows and their place on the disk are no contents.
    server.run_sql("UPDATE t SET v = v WHERE id % 2 = 0; UPDATE steward_row SET x = x", "shop")
    backups.back_up(databases=["shop"], content_checksums=True, force=True)
    checksum = {one["name"]: one["checksum"] for one in shop(first)["stored_tables"]}
    assert {one["name"]: one["checksum"] for one in shop(backups.manifest())["stored_tables"]} == checksum
    assert shop(first)["large_objects_checksum"] == shop(backups.manifest())["large_objects_checksum"]
    server.run_sql("UPDATE t SET v = 'u1' WHERE id = 1", "shop")
    try:
        backups.back_up(databases=["shop"], content_checksums=True, force=True)
    finally:
        server.run_sql("UPDATE t SET v = 'ü1' WHERE id = 1", "shop")
    changed = {one["name"]: one["checksum"] for one in shop(backups.manifest())["stored_tables"]}
    assert [name for name in checksum if checksum[name] != changed[name]] == ["t"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda body: table(body, "t").update(checksum="1"),
            'table "public"."t" has as many rows, but not the contents that were dumped',
        ),
        (
            lambda body: shop(body).update(large_objects_checksum="1"),
            "the large objects do not have the contents that were dumped",
        ),
        (
            lambda body: shop(body)["not_valid"].clear(),
            NOT_VALID,
        ),
    ],
    ids=["table", "large objects", "constraints"],
)
def test_differences_are_named(backups, change, expected):
    backups.back_up(databases=["shop"], content_checksums=True)
    assert shop(backups.manifest())["not_valid"] == [["public", "checked", "later"], ["public", "checked", "positive"]]
    rewrite(backups, change)
    answer = backups.verify()
    assert answer["verdict"] == "failed"
    assert expected in answer["reason"]
    assert list(backups.scratch.iterdir()) == []


def test_missed_objectives_are_findings(backups):
    backups.back_up(databases=["shop"])
    answer = backups.verify(rto="1s", rpo="")
    missed = [finding for finding in answer["findings"] if finding["id"].startswith("backup-r")]
    slow = answer["figures"]["restore_seconds"] > 1
    assert [finding["id"] for finding in missed] == (["backup-rto"] if slow else [])
    assert not answer["failed"]
    make_old(backups, 0, "20260101T000000Z")
    late = backups.verify()
    assert late["verdict"] == "findings"
    (finding,) = [one for one in late["findings"] if one["id"] == "backup-rpo"]
    assert (finding["severity"], finding["threshold"]) == ("high", 86400)
    assert "the recovery point objective is 1 d" in finding["message"]
    assert late["figures"]["rpo_seconds"] == pytest.approx(finding["value"], abs=60)


def test_bad_arguments_are_named_before_anything_is_touched(backups):
    for wrong, expected in (
        ({"rto": "soon"}, "rto: duration 'soon' cannot be read"),
        ({"retention": "30"}, "retention: duration '30' has no unit"),
        ({"keep_daily": -1}, "keep_daily is -1: give the number of days to keep, 0 for none"),
        ({"jobs": 0}, "jobs is 0: give the number of connections"),
    ):
        assert expected in backups.verify(**wrong)["msg"]
    for wrong, expected in (
        ({"max_age": "daily"}, "max_age: duration 'daily' cannot be read"),
        ({"jobs": 0}, "jobs is 0: give the number of connections"),
        ({"standby": {"port": 1}}, "standby: say where it is, with host, unix_socket or service"),
    ):
        assert expected in backups.back_up(**wrong)["msg"]
    assert not backups.path.exists()
