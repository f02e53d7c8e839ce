# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files fetched from a store: in ranges, several at a time, and never taken for good before their bytes were hashed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os

from .checksums import sha256_of_file
from .client import Store
from .errors import S3Error
from .streams import Streams


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One object to be fetched into a file, and what its bytes must come to."""

    key: str
    path: str
    bytes: int
    sha256: str


class Damaged(S3Error):
    """What the store gave is not what was sent to it."""


def fetch(store: Store, streams: Streams, wanted: Wanted) -> int:
    """Fetch one object and return how many bytes came over the line; none when the file is there already and right.

    :raises Damaged: when the object is not there, or its bytes are not those that were wanted. No file stays then.
    :raises S3Error: when it cannot be fetched.
    """
    if _is_there(wanted):
        return 0
    os.makedirs(os.path.dirname(wanted.path), mode=0o700, exist_ok=True)
    place = f"s3://{store.settings.bucket}/{wanted.key}"
    try:
        head = store.head(wanted.key)
    except S3Error as exc:
        if exc.is_missing:
            raise Damaged(f"{place} is not there", exc.code) from exc
        raise
    if int(head["ContentLength"]) != wanted.bytes:
        raise Damaged(f"{place} has {head['ContentLength']} bytes instead of {wanted.bytes}")
    etag = str(head.get("ETag") or "").strip('"')
    descriptor = os.open(wanted.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        _fill(store, streams, descriptor, wanted, etag)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if not _is_there(wanted):
        os.unlink(wanted.path)
        raise Damaged(f"{place} is not what was sent there: the SHA-256 of what came is another")
    return wanted.bytes


def _fill(store: Store, streams: Streams, descriptor: int, wanted: Wanted, etag: str) -> None:
    each = store.settings.part_bytes

    def fetch_range(first: int) -> None:
        data = store.read(wanted.key, first, min(each, wanted.bytes - first), etag)
        _write_all(descriptor, data, first)

    streams.each_part(fetch_range, range(0, wanted.bytes, each))


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _is_there(wanted: Wanted) -> bool:
    try:
        return os.stat(wanted.path).st_size == wanted.bytes and sha256_of_file(wanted.path) == wanted.sha256
    except FileNotFoundError:
        return False
