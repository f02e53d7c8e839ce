# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files sent to a store, and what the store says of them afterwards.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The store gets a checksum with each request and refuses what does not fit it. Afterwards it is asked what it holds, and
a piece of it is read back: an answer of 200 proves nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import random
import typing as t

from .._core.clock import utc_now
from .checksums import Digest, Part, digest_of_bytes
from .client import Store, Upload
from .errors import UNKNOWN_FEATURE, S3Error
from .settings import Lock
from .streams import Streams

_READ_BACK = 64 * 2**10
_GONE_UPLOAD = "NoSuchUpload"


@dataclasses.dataclass(frozen=True)
class Trust:
    """What a store is able to say of an object, found out by asking it."""

    sha256: bool
    etag: bool

    @property
    def words(self) -> str:
        kinds = [word for word, known in (("SHA-256", self.sha256), ("MD5 in the ETag", self.etag)) if known]
        return " and ".join(kinds) or "size only"


class Sender:
    """Sends objects to one store, after :meth:`probe` found out what it is able to prove.

    :raises S3Error: from every method, naming the object.
    """

    def __init__(self, store: Store, streams: Streams, lock: Lock | None = None) -> None:
        self.store = store
        self.streams = streams
        self.trust = Trust(sha256=store.knows("PutObject", "ChecksumSHA256"), etag=False)
        self._lock = lock

    def probe(self, key: str, data: bytes) -> None:
        """Send a first, small object, and learn from what the store says of it; it is read back whole."""
        digest = digest_of_bytes(data)
        if self.trust.sha256:
            try:
                self._put(key, data, digest.parts[0])
                known = "ChecksumSHA256" in self.store.head(key)
            except S3Error as exc:
                if exc.code not in UNKNOWN_FEATURE:
                    raise
                known = False
            self.trust = Trust(known, etag=False)
        if not self.trust.sha256:
            self._put(key, data, digest.parts[0])
        head = self.store.head(key)
        self.trust = Trust(self.trust.sha256, etag=_etag(head) == digest.etag)
        wrong = self.difference(key, digest)
        if not wrong and self.store.read(key) != data:
            wrong = f"{self._place(key)} was stored as something else: it does not read back as it was sent"
        if wrong:
            raise S3Error(wrong)

    def send(self, key: str, path: str, digest: Digest, begun: t.Sequence[Upload] = ()) -> int:
        """Send one file and return how many bytes went over the line.

        :param begun: uploads of this very key that a killed run left: the newest is gone on with, the others are
            given up.
        """
        if digest.is_multipart:
            return self._send_parts(key, path, digest, begun)
        for upload in begun:
            self.give_up(upload)
        with open(path, "rb") as handle:
            self._put(key, handle.read(), digest.parts[0])
        return digest.size

    def send_bytes(self, key: str, data: bytes, digest: Digest) -> str:
        """Send a few bytes in one request, and return the ETag; what the store has then is for the caller to see."""
        return self._put(key, data, digest.parts[0])

    def put(self, key: str, data: bytes) -> None:
        """Send a few bytes, and look at what the store has then."""
        digest = digest_of_bytes(data)
        self._put(key, data, digest.parts[0])
        wrong = self.difference(key, digest)
        if wrong:
            raise S3Error(wrong)
        self.have_locked(key)

    def have_locked(self, key: str) -> None:
        """See that an object has the lock that is asked for; what was sent by an earlier run gets it now."""
        if not self._lock or self._is_locked(key, self._lock):
            return
        wanted = self._lock.parameters()
        retention = {"Mode": wanted["ObjectLockMode"], "RetainUntilDate": wanted["ObjectLockRetainUntilDate"]}
        self.store.call("put_object_retention", key, Retention=retention)
        if not self._is_locked(key, self._lock):
            raise S3Error(f"{self._place(key)} is not locked although the store was told to lock it")

    def _is_locked(self, key: str, lock: Lock) -> bool:
        until = self.store.head(key).get("ObjectLockRetainUntilDate")
        # A copy takes its time to send, and a day more or less is nothing that a lock of days could mean.
        return until is not None and until > utc_now() + datetime.timedelta(days=lock.days - 1)

    def difference(self, key: str, digest: Digest) -> str:
        """What the store says of an object that does not fit the file; an empty text when all of it fits."""
        try:
            head = self.store.head(key)
        except S3Error as exc:
            if exc.is_missing:
                return f"{self._place(key)} is not there"
            raise
        size, checksum, etag = int(head["ContentLength"]), head.get("ChecksumSHA256"), _etag(head)
        if size != digest.size:
            return f"{self._place(key)} has {size} bytes instead of {digest.size}"
        # Some stores leave the number of parts away from it.
        if self.trust.sha256 and checksum not in (digest.checksum, digest.checksum.partition("-")[0]):
            told = f"is {checksum}" if checksum else "is unknown to the store"
            return f"{self._place(key)} was stored as something else: its SHA-256 {told} instead of {digest.checksum}"
        if self.trust.etag and etag != digest.etag:
            return f"{self._place(key)} was stored as something else: its ETag is {etag} instead of {digest.etag}"
        return ""

    def read_back(self, key: str, path: str, digest: Digest) -> str:
        """Read a piece at a random place, and say if it is not the file's; all of it where it is small."""
        count = min(_READ_BACK, digest.size)
        if not count:
            return ""
        first = random.randint(0, digest.size - count)  # noqa: S311 (a sample)
        with open(path, "rb") as handle:
            handle.seek(first)
            wanted = handle.read(count)
        if self.store.read(key, first, count) == wanted:
            return ""
        return f"{self._place(key)} was stored as something else: {count} bytes from {first} on are not the file's"

    def give_up(self, upload: Upload) -> None:
        try:
            self.store.call("abort_multipart_upload", upload.key, UploadId=upload.id)
        except S3Error as exc:
            if exc.code != _GONE_UPLOAD:
                raise

    def _send_parts(self, key: str, path: str, digest: Digest, begun: t.Sequence[Upload]) -> int:
        ordered = sorted(begun, key=lambda upload: upload.begun)
        for upload in ordered[:-1]:
            self.give_up(upload)
        upload = ordered[-1] if ordered else self._begin(key)
        there = self._parts_there(upload, digest) if ordered else {}
        missing = [part for part in digest.parts if part.number not in there]
        etags = dict(zip((part.number for part in missing), self._send_missing(upload, path, missing)))
        etags.update(there)
        parts = [{"PartNumber": part.number, "ETag": etags[part.number], **self._named(part)} for part in digest.parts]
        try:
            self.store.call("complete_multipart_upload", key, UploadId=upload.id, MultipartUpload={"Parts": parts})
        except S3Error as exc:
            # A retry finds no upload any more when the first attempt succeeded and only its answer was lost.
            if exc.code != _GONE_UPLOAD or self.difference(key, digest):
                self._give_up_quietly(upload)
                raise
        return sum(part.size for part in missing)

    def _begin(self, key: str) -> Upload:
        known = {"ChecksumAlgorithm": "SHA256"} if self.trust.sha256 else {}
        answer = self.store.call("create_multipart_upload", key, **known, **self._locked())
        return Upload(key, answer["UploadId"], utc_now())

    def _parts_there(self, upload: Upload, digest: Digest) -> dict[int, str]:
        """The ETags of the parts that a killed run has sent and that the store says to be the file's."""
        wanted = {part.number: part for part in digest.parts}
        found = {}
        for entry in self.store.parts(upload):
            part = wanted.get(entry["PartNumber"])
            if part is None or int(entry["Size"]) != part.size:
                continue
            etag, checksum = entry["ETag"].strip('"'), entry.get("ChecksumSHA256")
            if checksum == part.checksum or (not checksum and self.trust.etag and etag == part.md5.hex()):
                found[part.number] = etag
        return found

    def _send_missing(self, upload: Upload, path: str, missing: t.Sequence[Part]) -> list[str]:
        def send_one(part: Part) -> str:
            with open(path, "rb") as handle:
                handle.seek(part.offset)
                data = handle.read(part.size)
            more = {"UploadId": upload.id, "PartNumber": part.number}
            answer = self.store.call("upload_part", upload.key, Body=data, **more, **self._checked(part))
            return self._accepted(upload.key, answer, part)

        try:
            return self.streams.each_part(send_one, missing)
        except S3Error as exc:
            if exc.code and not exc.is_denied:
                # It will not get better by going on with this upload, and what lies there takes space.
                self._give_up_quietly(upload)
            raise

    def _give_up_quietly(self, upload: Upload) -> None:
        # The failure that led here is the one to tell; the next run gives up what is left.
        with contextlib.suppress(S3Error):
            self.give_up(upload)

    def _put(self, key: str, data: bytes, part: Part) -> str:
        answer = self.store.call("put_object", key, Body=data, **self._checked(part), **self._locked())
        return self._accepted(key, answer, part)

    def _accepted(self, key: str, answer: t.Mapping[str, t.Any], part: Part) -> str:
        """The ETag of what the store says to have taken."""
        etag, told = _etag(answer), answer.get("ChecksumSHA256")
        if told and told != part.checksum:
            raise S3Error(f"{self._place(key)}: the store answered with the SHA-256 {told} instead of {part.checksum}")
        if self.trust.etag and etag != part.md5.hex():
            raise S3Error(f"{self._place(key)}: the store answered with the ETag {etag} instead of {part.md5.hex()}")
        return etag

    def _checked(self, part: Part) -> dict[str, str]:
        """The checksum that goes with a request, so that the store refuses what arrives damaged."""
        if self.trust.sha256:
            return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": part.checksum}
        return {"ContentMD5": part.content_md5}

    def _named(self, part: Part) -> dict[str, str]:
        return {"ChecksumSHA256": part.checksum} if self.trust.sha256 else {}

    def _locked(self) -> dict[str, t.Any]:
        return self._lock.parameters() if self._lock else {}

    def _place(self, key: str) -> str:
        return f"s3://{self.store.settings.bucket}/{key}"


def _etag(answer: t.Mapping[str, t.Any]) -> str:
    return str(answer.get("ETag") or "").strip('"')
