# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store answers when it refuses, as one sentence that names the cause.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import email.utils
import typing as t

from .._core.clock import parse_time, utc_now
from .._core.durations import format_duration
from .._core.suggest import InputError

#: The right that an operation needs, where it is not named like the operation.
_RIGHTS = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "CompleteMultipartUpload": "s3:PutObject",
    "CopyObject": "s3:GetObject or s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "HeadObject": "s3:GetObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
    "ListParts": "s3:ListMultipartUploadParts",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:GetObject or s3:PutObject",
}

DENIED = ("AccessDenied", "AllAccessDisabled", "AccountProblem", "403")
MISSING = ("NoSuchKey", "NotFound", "404", "NoSuchVersion")
#: A store that does not know SHA-256 checksums says one of these to a request that bears one.
UNKNOWN_FEATURE = ("NotImplemented", "InvalidArgument", "InvalidRequest", "501")
_FULL = ("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "507")
_WRONG_CREDENTIALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "TokenRefreshRequired", "401")
_WRONG_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301")
_BROKEN_ON_THE_WAY = ("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidDigest")
_BUSY = ("SlowDown", "ServiceUnavailable", "InternalError", "Throttling", "RequestTimeout", "500", "502", "503", "504")


class S3Error(Exception):
    """Something about the store did not work; the text names the cause and never a secret.

    :ivar code: the store's own word for it, empty when it gave no answer.
    """

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code

    @property
    def is_missing(self) -> bool:
        return self.code in MISSING

    @property
    def is_denied(self) -> bool:
        return self.code in DENIED


def refusal(operation: str, place: str, answer: t.Mapping[str, t.Any]) -> S3Error:
    """The error for a request that the store refused.

    :param operation: as the SDK names it, such as ``PutObject``.
    :param place: what was asked for, such as ``s3://bucket/key``.
    :param answer: the parsed answer: ``Error`` with the store's words, ``ResponseMetadata`` with status and headers.
    """
    error = answer.get("Error") or {}
    code = str(error.get("Code") or "")
    status = str((answer.get("ResponseMetadata") or {}).get("HTTPStatusCode") or "")
    words = code if code and not code.isdigit() else status or code
    return S3Error(_sentence(operation, place, words, answer), words)


def _sentence(operation: str, place: str, code: str, answer: t.Mapping[str, t.Any]) -> str:
    bucket = place.split("/")[2] if place.startswith("s3://") else place
    if code == "RequestTimeTooSkewed":
        return _skew(answer)
    right = _RIGHTS.get(operation, f"s3:{operation}")
    for codes, sentence in (
        (("ExpiredToken", "ExpiredTokenException"), "the session token has expired: give one that is still valid"),
        (
            _WRONG_CREDENTIALS,
            f"the store does not accept these credentials ({code}): look at access_key and secret_key",
        ),
        (("NoSuchBucket",), f"there is no bucket {bucket!r} in this store"),
        (DENIED, f"access denied: these credentials lack {right} on {place}"),
        (_FULL, f"the store is full: it refused {operation} on {place} ({code})"),
        (_BROKEN_ON_THE_WAY, f"{place} did not arrive as it was sent: the store computed another checksum ({code})"),
        (_WRONG_REGION, _region(bucket, answer)),
        (MISSING, f"{place} is not there"),
        (_BUSY, f"the store did not recover in time: it kept answering {code} to {operation} on {place}"),
        (("InvalidPart", "InvalidPartOrder"), f"{place}: the store does not have a part as it was sent ({code})"),
        (("EntityTooSmall",), f"the store wants larger parts than part_bytes says (it refused {place})"),
    ):
        if code in codes:
            return sentence
    said = str((answer.get("Error") or {}).get("Message") or "it said nothing more")
    return f"the store refused {operation} on {place}: {code}: {said}"


def _skew(answer: t.Mapping[str, t.Any]) -> str:
    theirs = _their_time(answer)
    if theirs is None:
        return "this host's clock differs too much from the store's: set it right"
    apart = (utc_now() - theirs).total_seconds()
    which = "ahead of" if apart > 0 else "behind"
    return f"this host's clock is {format_duration(abs(apart))} {which} the store's: set it right"


def _their_time(answer: t.Mapping[str, t.Any]) -> datetime.datetime | None:
    told = str((answer.get("Error") or {}).get("ServerTime") or "")
    if told:
        try:
            return parse_time(told)
        except InputError:
            pass  # some stores write it in a way of their own; the header is written by every web server alike
    headers = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    parsed = email.utils.parsedate_tz(headers.get("date", ""))
    return (
        None
        if parsed is None
        else datetime.datetime.fromtimestamp(email.utils.mktime_tz(parsed), datetime.timezone.utc)
    )


def _region(bucket: str, answer: t.Mapping[str, t.Any]) -> str:
    headers = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    right = (answer.get("Error") or {}).get("Region") or headers.get("x-amz-bucket-region")
    return f"bucket {bucket!r} is in another region" + (
        f": set region to {right!r}" if right else ": set region to its own"
    )
