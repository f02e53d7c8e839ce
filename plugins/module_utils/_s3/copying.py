# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects copied within a bucket, by the store itself; the bytes do not travel.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .client import Store

#: One request copies no more than that; what is larger is copied in parts.
MOST_COPIED = 5 * 2**30


def copy(store: Store, source: str, target: str, size: int, etag: str, most: int = MOST_COPIED) -> None:
    """Copy the very object that bears an ETag.

    :param most: the most that one request copies, and the size of the parts of what is larger.
    :raises S3Error: with the code PreconditionFailed when it is another object by now.
    """
    asked: dict[str, t.Any] = {
        "CopySource": {"Bucket": store.settings.bucket, "Key": source},
        "CopySourceIfMatch": f'"{etag}"',
    }
    if size <= most:
        store.call("copy_object", target, **asked)
        return
    upload = store.call("create_multipart_upload", target)["UploadId"]
    try:
        parts = []
        for number, first in enumerate(range(0, size, most), 1):
            span = f"bytes={first}-{min(first + most, size) - 1}"
            answer = store.call(
                "upload_part_copy", target, UploadId=upload, PartNumber=number, CopySourceRange=span, **asked
            )
            parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        store.call("complete_multipart_upload", target, UploadId=upload, MultipartUpload={"Parts": parts})
    except BaseException:
        store.call("abort_multipart_upload", target, UploadId=upload)
        raise
