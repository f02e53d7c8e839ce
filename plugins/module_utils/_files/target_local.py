# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory as the place of a tree: another disk, or what somebody mounted.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A file gets its name when it is whole and on the disk. What is replaced stays under its second name, a hard link, where
the file system has such; else it is copied.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import shutil
import typing as t

from .._core.files import sync_directory
from .._s3.checksums import Digest
from .placing import write_block
from .target import CURRENT, KEPT, TREE, Held, Refused, TargetError
from .walk import DIRECTORY, FILE, MOUNT, Rules, Walk

#: Files that are being written; what is in it when a run begins was left by a killed one.
_COMING = "coming"
_BLOCK = 1 << 20
#: What a file system says of one name that it cannot keep, while it keeps others.
_ONLY_THIS_ONE = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EFBIG, errno.ENOTDIR, errno.EISDIR)


class LocalTarget:
    """Use as a context manager."""

    def __init__(self, directory: str, tree: str, part_bytes: int) -> None:
        self.place = os.path.join(directory, tree)
        self.part_bytes = part_bytes
        self._number = itertools.count()

    def __enter__(self) -> LocalTarget:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def listing(self, below: str) -> t.Iterator[Held]:
        with self._causes(below):
            root = os.path.join(self.place, below)
            if not os.path.isdir(root):
                return
            for found in Walk(root, Rules(cross_filesystems=True)):
                if found.kind == FILE and found.stat is not None:
                    # The walk escapes what is escaped already: a name here is the key itself.
                    yield Held(found.key.replace("%25", "%"), found.stat.st_size, _etag(found.stat))
                elif found.kind not in (DIRECTORY, MOUNT):
                    raise TargetError(f"{root}{found.key} cannot be looked at: {found.detail or 'it is no file'}")

    def words(self, below: str) -> list[str]:
        with self._causes(below):
            try:
                return sorted(os.listdir(os.path.join(self.place, below)))
            except FileNotFoundError:
                return []

    def read(self, key: str) -> bytes | None:
        with self._causes(key):
            try:
                with open(self._path(key), "rb") as handle:
                    return handle.read()
            except FileNotFoundError:
                return None

    def download(self, key: str, path: str) -> None:
        with self._causes(key):
            shutil.copyfile(self._path(key), path)

    def settle(self, data: bytes) -> None:
        with self._causes(_COMING):
            os.makedirs(self.place, mode=0o700, exist_ok=True)
            coming = os.path.join(self.place, _COMING)
            shutil.rmtree(coming, ignore_errors=True)
            os.makedirs(coming, mode=0o700)
        self._place(TREE, lambda descriptor: write_block(descriptor, data, 0, sparse=False))
        if self.read(TREE) != data:
            raise TargetError(f"{self.place}/{TREE} does not read back as it was written")

    def holds(self, held: Held, digest: Digest) -> bool:
        """By reading it: that costs less than writing it again."""
        if held.bytes != digest.size:
            return False
        found = hashlib.sha256()
        for block in self.blocks(CURRENT + held.key, held.bytes):
            found.update(block)
        return found.hexdigest() == digest.sha256

    def send(self, key: str, data: bytes, digest: Digest) -> str:
        if len(data) != digest.size:
            raise TargetError(f"{key}: {len(data)} bytes are not the {digest.size} that were hashed")
        return self._place(key, lambda descriptor: write_block(descriptor, data, 0, sparse=False))

    def send_file(self, key: str, path: str, digest: Digest) -> str:
        found = hashlib.sha256()

        def copy(descriptor: int) -> None:
            offset = 0
            for block in _blocks_of_source(path):
                found.update(block)
                write_block(descriptor, block, offset, sparse=True)
                offset += len(block)
            os.ftruncate(descriptor, offset)
            if found.hexdigest() != digest.sha256:
                raise Refused("it was altered while it was copied")

        return self._place(key, copy)

    def keep(self, held: Held, run: str) -> None:
        source, kept = self._path(CURRENT + held.key), self._path(f"{KEPT}{run}/{held.key}")
        with self._causes(held.key):
            os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(kept)  # of a file that was tried twice in this run
            try:
                os.link(source, kept)
            except FileNotFoundError:
                raise
            except OSError:
                shutil.copy2(source, kept)
                with open(kept, "rb") as handle:
                    os.fsync(handle.fileno())
            sync_directory(os.path.dirname(kept))
            if os.stat(kept).st_size != held.bytes:
                raise TargetError(f"{kept} has {os.stat(kept).st_size} bytes instead of {held.bytes}")

    def remove(self, key: str) -> None:
        path = self._path(key)
        with self._causes(key), contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            # A file may come later that has the name of a directory of today.
            with contextlib.suppress(OSError):
                os.removedirs(os.path.dirname(path))

    def remove_below(self, below: str) -> int:
        with self._causes(below):
            path = self._path(below.rstrip("/"))
            if not os.path.isdir(path):
                os.unlink(path)
                return 1
            count = sum(len(names) for _place, _directories, names in os.walk(path))
            shutil.rmtree(path)
            return count

    def blocks(self, key: str, size: int) -> t.Iterator[bytes]:
        with self._causes(key), open(self._path(key), "rb") as handle:
            each = max(1, size) if size <= self.part_bytes else _BLOCK
            yield from iter(lambda: handle.read(each), b"")

    def tidy(self) -> int:
        with self._causes(_COMING), contextlib.suppress(FileNotFoundError):
            os.rmdir(os.path.join(self.place, _COMING))
        return 0

    def _place(self, key: str, write: t.Callable[[int], None]) -> str:
        coming = os.path.join(self.place, _COMING, str(next(self._number)))
        path = self._path(key)
        with self._causes(key):
            descriptor = os.open(coming, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                write(descriptor)
                os.fsync(descriptor)
                status = os.fstat(descriptor)
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                os.replace(coming, path)
            except BaseException:
                os.unlink(coming)
                raise
            finally:
                os.close(descriptor)
            sync_directory(os.path.dirname(path))
        return _etag(status)

    def _path(self, key: str) -> str:
        return os.path.join(self.place, key)

    @contextlib.contextmanager
    def _causes(self, key: str) -> t.Iterator[None]:
        try:
            yield
        except OSError as exc:
            named = f"{self.place}/{key}" if key else self.place
            if exc.errno in _ONLY_THIS_ONE:
                raise Refused(f"{named} cannot be kept: {exc.strerror}") from exc
            raise TargetError(f"{named}: {exc.strerror or exc}") from exc


def _etag(status: os.stat_result) -> str:
    return f"{status.st_size:x}-{status.st_mtime_ns:x}"


def _blocks_of_source(path: str) -> t.Iterator[bytes]:
    """:raises Refused: when the file that is to be kept cannot be read: the target is not to blame."""
    try:
        with open(path, "rb") as handle:
            while True:
                block = handle.read(_BLOCK)
                if not block:
                    return
                yield block
    except OSError as exc:
        raise Refused(f"it cannot be read: {exc.strerror}") from exc
