# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of a tree written to disk: under another name first, hashed, dressed, and only then in its place.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import stat
import threading

from .._s3.errors import S3Error
from .index import Entry
from .locate import Located
from .names import unescape
from .placing import dress, is_dressed, make_link, write_block
from .restore_place import Destination
from .target import Refused, Target
from .walk import DIRECTORY

_BLOCK = 1 << 20


class Damaged(Exception):
    """The bytes of a file are nowhere as they were sent; the text says where they were looked for."""


class Writing:
    """Counts what it wrote; :meth:`write_file` may be called by several threads at the same time."""

    def __init__(self, target: Target, where: Destination) -> None:
        self.changed = False
        self.written = 0
        self.bytes = 0
        self.unchanged = 0
        self._target = target
        self._where = where
        self._number = itertools.count()
        self._lock = threading.Lock()

    def write_other(self, entry: Entry) -> None:
        """A directory or a symbolic link."""
        if entry["type"] == DIRECTORY:
            self._where.make(entry)
            return
        path = self._where.full(entry["key"])
        self._where.have_above(path)
        if not (os.path.islink(path) and os.readlink(path) == unescape(entry["target"])):
            self._refuse_directory(path)
            temporary = self._where.temporary(path, next(self._number))
            make_link(path, entry, temporary)
            self.changed = True
        self._dress(path, entry)

    def write_file(self, located: Located) -> None:
        """:raises Damaged: when its bytes cannot be had any more.
        :raises OSError: when it cannot be written.
        :raises S3Error: when the target does not work.
        """
        entry = located.entry
        path = self._where.full(entry["key"])
        if self._is_there(path, entry):
            self._dress(path, entry)
            with self._lock:
                self.unchanged += 1
            return
        with self._lock:
            self._where.have_above(path)
        self._refuse_directory(path)
        temporary = self._where.temporary(path, next(self._number))
        wrong = []
        for key in located.keys:
            told = self._fetch(key, temporary, entry)
            if not told:
                break
            wrong.append(told)
        else:
            raise Damaged("; ".join(wrong) or "it is neither in current/ nor in what later runs kept")
        dress(temporary, entry, self._where.may_chown)
        os.replace(temporary, path)
        with self._lock:
            self.changed = True
            self.written += 1
            self.bytes += entry["size"]

    def _fetch(self, key: str, temporary: bytes, entry: Entry) -> str:
        """Write an object's bytes; what is wrong with them, if they are not those of the entry."""
        digest, offset, is_sparse = hashlib.sha256(), 0, bool(entry.get("sparse"))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            for block in self._target.blocks(key, entry["size"]):
                digest.update(block)
                write_block(descriptor, block, offset, is_sparse)
                offset += len(block)
            if offset == entry["size"] and digest.hexdigest() == entry["sha256"]:
                os.ftruncate(descriptor, offset)
                os.fsync(descriptor)
                return ""
            told = f"{key} is not what was sent there ({offset} bytes of another SHA-256)"
        except S3Error as exc:
            if not exc.is_missing:
                os.unlink(temporary)
                raise
            told = f"{key} is not there"
        except Refused as exc:
            told = str(exc)
        except OSError:
            os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
        os.unlink(temporary)
        return told

    def _is_there(self, path: bytes, entry: Entry) -> bool:
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not stat.S_ISREG(status.st_mode) or status.st_size != entry["size"]:
            return False
        digest = hashlib.sha256()
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as handle:
            for block in iter(lambda: handle.read(_BLOCK), b""):
                digest.update(block)
        return bool(digest.hexdigest() == entry["sha256"])

    def _dress(self, path: bytes, entry: Entry) -> None:
        if not is_dressed(os.lstat(path), entry, self._where.may_chown):
            dress(path, entry, self._where.may_chown)
            self.changed = True

    def _refuse_directory(self, path: bytes) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            raise IsADirectoryError(21, "a directory of that name is in the way")
