# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup copied to an S3 bucket: its files first, each proved to be there, then the manifest as the commit point.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
import typing as t

from .._core.clock import utc_now, write_time
from .._s3.checksums import Digest, digest_of_file
from .._s3.client import Store, Upload
from .._s3.errors import S3Error
from .._s3.streams import Streams
from .._s3.upload import Sender
from .backup_sets import MANIFEST, BackupSet
from .connection import PostgresError
from .offsite_copies import OFFSITE_REFUTED, RECORD, Copy, beside_manifest

_MOST_NAMED = 5

#: Uploads in parts that killed runs left, by the key of the object.
Begun = t.Mapping[str, t.Sequence[Upload]]


class NotWhole(PostgresError):
    """A backup whose files are not what its manifest says, or are gone; nothing of it is sent."""


class NotProved(S3Error):
    """The store does not have what it said to have taken; the copy gets no manifest."""


@dataclasses.dataclass(frozen=True)
class Sent:
    """What one copy took."""

    objects: int
    sent_objects: int
    sent_bytes: int
    resumed_bytes: int
    seconds: float


def copy_backup(backup: BackupSet, there: Copy, sender: Sender, begun: Begun) -> Sent:
    """Copy one backup to where `there` says what lies there already; that is sent again only if it is not right.

    :raises NotWhole: when the backup here is damaged, or was removed meanwhile.
    :raises NotProved: when the store lost something or stored something else.
    :raises S3Error: for what the store refuses.
    """
    began = time.monotonic()
    digests = _digests(backup, sender)
    size = sum(digest.size for digest in digests.values())
    started = write_time(utc_now())
    about = {"format": 1, "manifest": backup.manifest["digest"], "host": platform.node(), "started": started}
    sender.probe(f"{there.base}/{RECORD}", _as_json({**about, "state": "begun", "bytes": size}))

    def settle(path: str) -> int:
        return _settle(path, backup, there, sender, digests[path], begun)

    counts = sender.streams.each_object(settle, sorted(digests, key=lambda path: -digests[path].size))
    etags = _prove(backup, there, sender, digests)
    sender.streams.each_object(lambda path: sender.have_locked(f"{there.base}/{path}"), digests)
    sender.put(f"{there.base}/{MANIFEST}", _manifest(backup))
    if there.refuted:
        # The copy that did not pass is replaced as a whole; what was said of it is no longer true.
        sender.store.call("delete_object", f"{there.base}/{OFFSITE_REFUTED}")
    seconds = round(time.monotonic() - began, 3)
    proved = {**about, "state": "proved", "proved": write_time(utc_now()), "by": sender.trust.words, "etags": etags}
    sender.put(f"{there.base}/{RECORD}", _as_json({**proved, "bytes": size, "seconds": seconds}))
    sent = sum(counts)
    return Sent(len(digests), sum(1 for count in counts if count), sent, size - sent, seconds)


def prove_again(store: Store, streams: Streams, there: Copy) -> list[str]:
    """Ask the store for each object of a proved copy anew: what is no longer as it was then, a sentence each."""
    sizes = {entry["path"]: entry["bytes"] for entry in there.manifest["files"]}

    def look(item: tuple[str, str]) -> str:
        path, etag = item
        try:
            head = store.head(f"{there.base}/{path}")
        except S3Error as exc:
            if exc.is_missing:
                return f"{path} is missing"
            raise
        same = str(head["ETag"]).strip('"') == etag and head["ContentLength"] == sizes.get(path, head["ContentLength"])
        return "" if same else f"{path} is another object than the one that was proved"

    return [told for told in streams.each_object(look, sorted((there.record or {})["etags"].items())) if told]


def _digests(backup: BackupSet, sender: Sender) -> dict[str, Digest]:
    """:raises NotWhole: naming the first files that are not what the manifest says."""
    part_bytes = sender.store.settings.part_bytes
    listed = {entry["path"]: entry for entry in backup.manifest["files"]}

    def read(path: str) -> tuple[str, Digest]:
        return path, digest_of_file(os.path.join(backup.path, path), part_bytes)

    try:
        digests = dict(sender.streams.each_object(read, [*listed, *beside_manifest(backup)]))
    except OSError as exc:
        gone = "" if os.path.isdir(backup.path) else "; it was removed meanwhile"
        raise NotWhole(f"{exc.filename} cannot be read: {exc.strerror}{gone}") from exc
    wrong = [
        f"{os.path.join(backup.path, path)} was altered: its SHA-256 is not the one in the manifest"
        for path, entry in listed.items()
        if (digests[path].sha256, digests[path].size) != (entry["sha256"], entry["bytes"])
    ]
    if wrong:
        raise NotWhole("; ".join(wrong[:_MOST_NAMED]))
    return digests


def _settle(path: str, backup: BackupSet, there: Copy, sender: Sender, digest: Digest, begun: Begun) -> int:
    """Have one file in the bucket; the bytes that it took."""
    key = f"{there.base}/{path}"
    uploads = begun.get(key, ())
    stored = there.objects.get(path)
    if stored and stored.bytes == digest.size and not there.refuted and not sender.difference(key, digest):
        for upload in uploads:
            sender.give_up(upload)
        return 0
    try:
        return sender.send(key, os.path.join(backup.path, path), digest, uploads)
    except OSError as exc:
        raise NotWhole(f"{os.path.join(backup.path, path)} cannot be read: {exc.strerror}") from exc


def _prove(backup: BackupSet, there: Copy, sender: Sender, digests: t.Mapping[str, Digest]) -> dict[str, str]:
    """Look at everything once more: in one listing, by what the store says of each object, by a piece read back.

    :raises NotProved: naming the first objects that are not what was sent.
    """
    listed = {stored.key[len(there.base) + 1 :]: stored for stored in sender.store.objects(f"{there.base}/")}
    wrong = [
        f"s3://{sender.store.settings.bucket}/{there.base}/{path} is not listed"
        for path in digests
        if path not in listed
    ]

    def look(path: str) -> str:
        key = f"{there.base}/{path}"
        return sender.difference(key, digests[path]) or sender.read_back(
            key, os.path.join(backup.path, path), digests[path]
        )

    wrong += [told for told in sender.streams.each_object(look, [path for path in digests if path in listed]) if told]
    if wrong:
        more = len(wrong) - _MOST_NAMED
        raise NotProved("; ".join(wrong[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else ""))
    return {path: listed[path].etag for path in digests}


def _manifest(backup: BackupSet) -> bytes:
    with open(os.path.join(backup.path, MANIFEST), "rb") as handle:
        return handle.read()


def _as_json(data: t.Mapping[str, t.Any]) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()
