# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Physical backups in a bucket: pgBackRest sends them, archives to it, and a verification restores them from it."""

from __future__ import annotations

import typing as t

import pytest
from support.physical import ROWS, Physical, physical_server
from support.s3_server import ACCESS_KEY, SECRET_KEY, Bucket, S3Server
from support.tls_front import TlsFront

pytestmark = [pytest.mark.pgbackrest, pytest.mark.s3]


@pytest.fixture(scope="module")
def bucket() -> t.Iterator[Bucket]:
    with S3Server() as server:
        yield Bucket(server, "physical")


@pytest.fixture(scope="module")
def front(bucket: Bucket) -> t.Iterator[TlsFront]:
    with TlsFront(bucket.server.port) as front:  # pgBackRest speaks nothing else to a store
        yield front


@pytest.fixture(scope="module")
def physical(bucket: Bucket, front: TlsFront) -> t.Iterator[Physical]:
    """Its repository has another path in the bucket than in the file system."""
    store = {
        "repo1-type": "s3",
        "repo1-path": "/repository",
        "repo1-s3-bucket": bucket.name,
        "repo1-s3-endpoint": "127.0.0.1",
        "repo1-storage-port": str(front.port),
        "repo1-storage-verify-tls": "n",
        "repo1-s3-uri-style": "path",
        "repo1-s3-region": "us-east-1",
        "repo1-s3-key": ACCESS_KEY,
        "repo1-s3-key-secret": SECRET_KEY,
        # Most of a thousand files are small: a request for each would be most of this test's time.
        "repo1-bundle": "y",
    }
    with physical_server(store) as running:
        yield running


def test_made_and_proved(physical: Physical, bucket: Bucket) -> None:
    made = physical.back_up()
    assert (made["verdict"], made["changed"]) == ("ok", True), made
    assert not list(physical.repo.iterdir())
    assert any(key.startswith(f"repository/backup/main/{made['backup']}/") for key in bucket.listing())
    assert any(key.startswith("repository/archive/main/") for key in bucket.listing())
    proved = physical.verify()
    assert not proved["failed"], proved
    assert proved["figures"]["restored_rows"] == ROWS + 2
    assert physical.notes()["steward-verified"].endswith("Z")
    for told in (made, proved):
        assert SECRET_KEY not in str(told)


def test_what_is_gone_from_the_bucket_is_found(physical: Physical, bucket: Bucket) -> None:
    (label, *_others) = physical.labels()
    lost = [key for key in bucket.listing(f"repository/backup/main/{label}/") if "/bundle/" in key]
    for key in lost:
        bucket.delete(key)
    assert lost
    proved = physical.verify(force=True)
    assert (proved["verdict"], proved["failed"]) == ("failed", True), proved


def test_a_store_that_is_not_there(physical: Physical) -> None:
    """What could not be looked at is not well."""
    physical.configure(repo1_storage_port="1", io_timeout="2", db_timeout="10", protocol_timeout="11")
    try:
        answer = physical.back_up(force=True)
    finally:
        physical.configure()
    assert (answer["verdict"], answer["failed"]) == ("failed", True), answer
    assert SECRET_KEY not in str(answer)
