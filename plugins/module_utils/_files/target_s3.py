# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket as the place of a tree.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import threading
import typing as t

from .._s3.checksums import Digest
from .._s3.client import Store, Upload
from .._s3.copying import MOST_COPIED, copy
from .._s3.errors import S3Error
from .._s3.settings import StoreSettings
from .._s3.streams import Streams
from .._s3.upload import Sender
from .names import LONGEST_KEY
from .target import CURRENT, KEPT, TREE, Held, Refused

#: What a store says of one name or one file that it cannot keep, while it keeps others.
_NOT_THIS_ONE = (
    "BadDigest",
    "EntityTooLarge",
    "InvalidObjectName",
    "InvalidURI",
    "KeyTooLong",
    "KeyTooLongError",
    "PreconditionFailed",
    "XMinioInvalidObjectName",
    "XMinioObjectExistsAsDirectory",
    "XMinioParentIsObject",
)
#: Parts of large objects that are in memory at the same time, and large objects that are on their way.
_LARGE_AT_ONCE = 4
_RANGE = 8 * 2**20


class S3Target:
    """Use as a context manager."""

    def __init__(self, settings: StoreSettings, tree: str, most_copied: int = MOST_COPIED) -> None:
        self.store = Store(settings)
        self.place = f"{settings.place}/{tree}"
        self.part_bytes = settings.part_bytes
        self._base = f"{settings.key(tree)}/"
        self._streams = Streams(min(_LARGE_AT_ONCE, settings.streams))
        self._sender = Sender(self.store, self._streams)
        self._large = threading.Semaphore(_LARGE_AT_ONCE)
        self._most_copied = most_copied
        self._begun: dict[str, list[Upload]] | None = None
        self._begun_lock = threading.Lock()

    def __enter__(self) -> S3Target:
        return self

    def __exit__(self, *exc: object) -> None:
        self._streams.__exit__(*exc)

    def listing(self, below: str) -> t.Iterator[Held]:
        prefix = self._base + below
        skip = len(prefix)
        for key, size, etag in self.store.keys(prefix):
            yield Held(key[skip:], size, etag)

    def words(self, below: str) -> list[str]:
        prefix = self._base + below
        if below == KEPT:
            return self.store.directories(prefix)
        return [key[len(prefix) :] for key, _size, _etag in self.store.keys(prefix)]

    def read(self, key: str) -> bytes | None:
        try:
            return self.store.read(self._base + key)
        except S3Error as exc:
            if exc.is_missing:
                return None
            raise

    def download(self, key: str, path: str) -> None:
        head = self.store.head(self._base + key)
        size, etag = int(head["ContentLength"]), str(head.get("ETag") or "").strip('"')
        with open(path, "wb") as handle:
            handle.writelines(
                self.store.read(self._base + key, first, min(_RANGE, size - first), etag)
                for first in range(0, size, _RANGE)
            )

    def settle(self, data: bytes) -> None:
        self._sender.probe(self._base + TREE, data)

    def holds(self, held: Held, digest: Digest) -> bool:
        return self._sender.trust.etag and held.bytes == digest.size and held.etag == digest.etag

    def send(self, key: str, data: bytes, digest: Digest) -> str:
        self._refuse_long(key)
        with _one_file():
            return self._sender.send_bytes(self._base + key, data, digest)

    def send_file(self, key: str, path: str, digest: Digest) -> str:
        self._refuse_long(key)
        full = self._base + key
        with self._large, _one_file():
            self._sender.send(full, path, digest, self._begun_of(full))
            wrong = self._sender.difference(full, digest)
            if wrong:
                raise S3Error(wrong)
            return str(self.store.head(full).get("ETag") or "").strip('"')

    def keep(self, held: Held, run: str) -> None:
        source, kept = self._base + CURRENT + held.key, f"{self._base}{KEPT}{run}/{held.key}"
        self._refuse_long(f"{KEPT}{run}/{held.key}")
        with _one_file():
            copy(self.store, source, kept, held.bytes, held.etag, self._most_copied)
        there = int(self.store.head(kept)["ContentLength"])
        if there != held.bytes:
            raise S3Error(f"{self.place}/{KEPT}{run}/{held.key} has {there} bytes instead of {held.bytes}")

    def remove(self, key: str) -> None:
        self.store.call("delete_object", self._base + key)

    def remove_below(self, below: str) -> int:
        prefix = self._base + below
        if self._is_versioned():
            targets = [(key, {"VersionId": version}) for key, version, _etag in self.store.versions(prefix)]
        else:
            targets = [(key, {}) for key, _size, _etag in self.store.keys(prefix)]
        with Streams(self.store.settings.streams) as streams:
            streams.each_object(lambda one: self.store.call("delete_object", one[0], **one[1]), targets)
        return len(targets)

    def blocks(self, key: str, size: int) -> t.Iterator[bytes]:
        full = self._base + key
        if size <= self.part_bytes:
            yield self.store.read(full)
            return
        etag = str(self.store.head(full).get("ETag") or "").strip('"')
        for first in range(0, size, self.part_bytes):
            yield self.store.read(full, first, min(self.part_bytes, size - first), etag)

    def tidy(self) -> int:
        """Those of this run are over; whoever else writes here does not hold the lock and should not be here."""
        left = list(self.store.uploads(self._base))
        for upload in left:
            self._sender.give_up(upload)
        return len(left)

    def _begun_of(self, key: str) -> list[Upload]:
        """Uploads in parts that a killed run left: asked for once, when the first large file is sent."""
        with self._begun_lock:
            if self._begun is None:
                self._begun = {}
                for upload in self.store.uploads(self._base):
                    self._begun.setdefault(upload.key, []).append(upload)
            return self._begun.pop(key, [])

    def _refuse_long(self, key: str) -> None:
        count = len((self._base + key).encode())
        if count > LONGEST_KEY:
            raise Refused(f"its key would have {count} bytes, and S3 allows {LONGEST_KEY}")

    def _is_versioned(self) -> bool:
        try:
            return bool(self.store.call("get_bucket_versioning").get("Status"))
        except S3Error as exc:
            if exc.code == "NotImplemented":
                return False
            raise


@contextlib.contextmanager
def _one_file() -> t.Iterator[None]:
    """Makes of what a store says of one file only a refusal of that file; all else ends the run."""
    try:
        yield
    except S3Error as exc:
        if exc.code in _NOT_THIS_ONE:
            raise Refused(str(exc)) from exc
        raise
