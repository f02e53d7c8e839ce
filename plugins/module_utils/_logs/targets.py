# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where archived logs lie: a directory, or a bucket; one place for each day, and in it a manifest, written last.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import typing as t

from .._core.files import sync_directory, write_all
from .._s3.checksums import digest_of_file, sha256_of_file
from .._s3.client import Store
from .._s3.errors import S3Error
from .._s3.upload import Sender
from .rotated import LogsError

MANIFEST = "manifest.json"

_FORMAT = 1
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

Entry = t.Dict[str, t.Any]


class Target(t.Protocol):
    """:raises LogsError, S3Error: from every method, naming the cause."""

    @property
    def place(self) -> str: ...

    def days(self) -> list[str]: ...

    def read(self, day: str, name: str) -> bytes | None:
        """Nothing when it is not there."""

    def put_file(self, day: str, name: str, path: str) -> None:
        """Have it there, and see that it is what it was."""

    def put(self, day: str, name: str, data: bytes) -> None: ...

    def remove(self, day: str) -> None:
        """The manifest first: what it names is never missing."""


class DirectoryTarget:
    """A directory, perhaps of another machine."""

    def __init__(self, root: str, host: str) -> None:
        """:raises LogsError: when it is missing: a disk that is not mounted must not be taken for an empty archive."""
        if not os.path.isdir(root):
            raise LogsError(f"directory {root} is not there: make it, or mount what it lies on")
        self.place = os.path.join(root, host)

    def days(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return sorted(name for name in os.listdir(self.place) if _DAY.fullmatch(name))
        return []

    def read(self, day: str, name: str) -> bytes | None:
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.place, day, name), "rb") as handle:
            return handle.read()
        return None

    def put_file(self, day: str, name: str, path: str) -> None:
        with open(path, "rb") as source:
            self._write(day, name, source)
        there = os.path.join(self.place, day, name)
        if sha256_of_file(there) != sha256_of_file(path):
            raise LogsError(f"{there} does not read back as it was written")

    def put(self, day: str, name: str, data: bytes) -> None:
        self._write(day, name, data)
        if self.read(day, name) != data:
            raise LogsError(f"{os.path.join(self.place, day, name)} does not read back as it was written")

    def _write(self, day: str, name: str, source: bytes | t.BinaryIO) -> None:
        directory = os.path.join(self.place, day)
        os.makedirs(directory, mode=0o750, exist_ok=True)
        temporary = os.path.join(directory, f".{name[-100:]}.new")
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        try:
            with os.fdopen(file, "wb") as handle:
                if isinstance(source, bytes):
                    handle.write(source)
                else:
                    shutil.copyfileobj(source, handle, 1 << 20)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        os.rename(temporary, os.path.join(directory, name))
        sync_directory(directory)
        sync_directory(self.place)

    def remove(self, day: str) -> None:
        directory = os.path.join(self.place, day)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, MANIFEST))
            sync_directory(directory)
        shutil.rmtree(directory)


class BucketTarget:
    """A prefix in a bucket."""

    def __init__(self, store: Store, sender: Sender, host: str) -> None:
        self._store = store
        self._sender = sender
        self._host = host
        self._is_probed = False
        self.place = f"{store.settings.place}/logs/{host}"

    def _key(self, *words: str) -> str:
        return self._store.settings.key("logs", self._host, *words)

    def days(self) -> list[str]:
        return sorted(name for name in self._store.directories(self._key() + "/") if _DAY.fullmatch(name))

    def read(self, day: str, name: str) -> bytes | None:
        try:
            return self._store.read(self._key(day, name))
        except S3Error as exc:
            if exc.is_missing:
                return None
            raise

    def _probe(self) -> None:
        """What the store is able to prove is found out with a first object, when there is something to send."""
        if not self._is_probed:
            self._sender.probe(self._key("probe.json"), b'{"probe": true}\n')
            self._is_probed = True

    def put_file(self, day: str, name: str, path: str) -> None:
        self._probe()
        key = self._key(day, name)
        digest = digest_of_file(path, self._store.settings.part_bytes)
        begun = [upload for upload in self._store.uploads(key) if upload.key == key]
        self._sender.send(key, path, digest, begun)
        wrong = self._sender.difference(key, digest) or self._sender.read_back(key, path, digest)
        if wrong:
            raise S3Error(wrong)

    def put(self, day: str, name: str, data: bytes) -> None:
        self._probe()
        self._sender.put(self._key(day, name), data)

    def remove(self, day: str) -> None:
        self._store.call("delete_object", self._key(day, MANIFEST))
        for stored in list(self._store.objects(self._key(day) + "/")):
            self._store.call("delete_object", stored.key)


def read_manifest(target: Target, day: str) -> list[Entry]:
    """What was archived on a day.

    :raises LogsError: when that cannot be told: what is there twice, or lost, could not be told either.
    """
    text = target.read(day, MANIFEST)
    if text is None:
        return []
    where = f"{MANIFEST} of {day} in {target.place}"
    try:
        data = json.loads(text)
        entries = list(data["entries"])
        if data["format"] != _FORMAT or data["digest"] != _digest(entries):
            raise LogsError(f"{where} is damaged: its digest is another one")
        for entry in entries:
            str(entry["content_sha256"] + entry["name"])
    except (ValueError, KeyError, TypeError) as exc:
        raise LogsError(f"{where} is damaged: {exc}") from exc
    return entries


def write_manifest(target: Target, day: str, entries: t.Sequence[Entry]) -> None:
    data = {"format": _FORMAT, "digest": _digest(entries), "entries": list(entries)}
    target.put(day, MANIFEST, (json.dumps(data, indent=1, sort_keys=True) + "\n").encode())


def _digest(entries: t.Sequence[Entry]) -> str:
    return hashlib.sha256(json.dumps(list(entries), sort_keys=True).encode()).hexdigest()


def write_whole(path: str, data: bytes) -> None:
    """A file of ours that is either the old one or the new one."""
    temporary = f"{path}.new"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(temporary, path)
