# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One sentence for each refusal, that names the cause and what would be right."""

from __future__ import annotations

import datetime
import email.utils

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now, write_time
from ansible_collections.steward.maintenance.plugins.module_utils._s3.errors import refusal

PLACE = "s3://backups/steward/1/x"


def refused(code, operation="PutObject", status=400, headers=None, **more):
    answer = {
        "Error": {"Code": code, **more},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers or {}},
    }
    return refusal(operation, PLACE, answer)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("ExpiredToken", "the session token has expired: give one that is still valid"),
        ("InvalidAccessKeyId",
         "the store does not accept these credentials (InvalidAccessKeyId): look at access_key and secret_key"),
        ("NoSuchBucket", "there is no bucket 'backups' in this store"),
        ("AccessDenied", "access denied: these credentials lack s3:PutObject on {PLACE}"),
        ("QuotaExceeded", "the store is full: it refused PutObject on {PLACE} (QuotaExceeded)"),
        ("XMinioStorageFull", "the store is full: it refused PutObject on {PLACE} (XMinioStorageFull)"),
        ("SlowDown", "the store did not recover in time: it kept answering SlowDown to PutObject on {PLACE}"),
        ("NoSuchKey", "{PLACE} is not there"),
        ("EntityTooSmall", "the store wants larger parts than part_bytes says (it refused {PLACE})"),
        ("Strange", "the store refused PutObject on {PLACE}: Strange: it said nothing more"),
    ],
)  # fmt: skip
def test_each_refusal_has_a_sentence(code, told):
    error = refused(code)
    assert str(error) == told.replace("{PLACE}", PLACE)
    assert error.code == code


@pytest.mark.parametrize(
    ("operation", "right"),
    [
        ("HeadObject", "s3:GetObject"),
        ("UploadPart", "s3:PutObject"),
        ("ListObjectsV2", "s3:ListBucket"),
        ("ListObjectVersions", "s3:ListBucketVersions"),
        ("DeleteObject", "s3:DeleteObject"),
        ("PutObjectRetention", "s3:PutObjectRetention"),
    ],
)
def test_the_right_that_is_missing_is_named(operation, right):
    assert f"lack {right} on" in str(refused("AccessDenied", operation))


def test_an_answer_without_a_body_is_told_by_its_status():
    """HEAD has none, and the SDK makes a code of the status."""
    assert refused("403", "HeadObject", 403).is_denied
    assert refused("404", "HeadObject", 404).is_missing
    assert "the store is full" in str(refused("507", status=507))


@pytest.mark.parametrize(("minutes", "which"), [(20, "ahead of"), (-20, "behind")])
def test_the_difference_of_the_clocks(minutes, which):
    theirs = utc_now() - datetime.timedelta(minutes=minutes)
    by_body = refused("RequestTimeTooSkewed", ServerTime=write_time(theirs))
    by_header = refused("RequestTimeTooSkewed", headers={"date": email.utils.format_datetime(theirs)})
    odd_body = refused(
        "RequestTimeTooSkewed", ServerTime="today", headers={"date": email.utils.format_datetime(theirs)}
    )
    for error in (by_body, by_header, odd_body):
        assert f"{which} the store's: set it right" in str(error)
        assert "20 min" in str(error) or "19 min 5" in str(error)
    assert "differs too much" in str(refused("RequestTimeTooSkewed"))


def test_another_region_is_named():
    assert str(refused("PermanentRedirect", Region="eu-west-1")).endswith("set region to 'eu-west-1'")
    assert str(refused("301", status=301, headers={"x-amz-bucket-region": "us-west-2"})).endswith("to 'us-west-2'")
    assert str(refused("PermanentRedirect")).endswith("set region to its own")
