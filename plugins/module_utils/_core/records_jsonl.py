# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records in a file of JSON Lines on the host: append-only, locked, flushed to disk, chained.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
import typing as t

from .chain import GENESIS, ChainReport, ChainWalk, Record, RecordsError, complete, link_of, report, seal
from .clock import stamp, utc_now
from .files import append_whole, sync_directory, write_all
from .records_summary import select

#: Longer than any sound writer holds the lock: it writes one line and waits for one fsync.
LOCK_TIMEOUT_SECONDS = 60.0

_BLOCK = 8192
#: What the records of one cycle may need; with less free space than this, a record cannot be promised.
_ROOM_BYTES = 65536


class JsonLinesStore:
    """See L{RecordStore}. One chain for the file, whatever hosts are in it."""

    def __init__(self, path: str) -> None:
        self.location = path

    def append(self, fields: t.Mapping[str, t.Any]) -> Record:
        record = complete(fields)
        with self._reasons("written"):
            self._make_directory()
            with self._locked(os.O_RDWR | os.O_APPEND | os.O_CREAT, fcntl.LOCK_EX) as file:
                size, last, unended = self._end_of_chain(file)
                sealed, line = seal(record, link_of(last) if last is not None else GENESIS)
                append_whole(file, (b"\n" if unended else b"") + line + b"\n")
                if size == 0:
                    sync_directory(os.path.dirname(self.location))
        return sealed

    def read(
        self, activities: t.Collection[str] | None = None, limit: int | None = None, host: str | None = None
    ) -> list[Record]:
        return select(self.scan(host)[0], activities or (), limit)

    def scan(self, host: str | None = None) -> tuple[list[Record], ChainReport]:
        lines = self._bytes().split(b"\n")
        end = lines.pop()
        torn_now = bool(end) and _is_torn(end)
        if end and not torn_now:
            lines.append(end)
        walk = ChainWalk()
        records = [record for record in map(walk.read, lines) if record and (host is None or record["host"] == host)]
        note = f"the last line is torn after {len(end)} bytes; the next record sets it aside" if torn_now else ""
        return records, report([walk], len(self._torn_files()) + torn_now, note)

    def verify(self) -> ChainReport:
        return self.scan()[1]

    def check_writable(self) -> str:
        try:
            with self._reasons("written"):
                self._refuse_if_not_a_file()
                directory = os.path.dirname(self.location)
                if os.path.exists(self.location):
                    os.close(os.open(self.location, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))
                    may_create = os.access(directory, os.W_OK | os.X_OK)
                else:
                    directory = _nearest_existing(directory)
                    may_create = True
                _require_room(directory, may_create)
        except RecordsError as exc:
            return str(exc)
        return ""

    def _bytes(self) -> bytes:
        with self._reasons("read"):
            try:
                with self._locked(os.O_RDONLY, fcntl.LOCK_SH) as file:
                    parts: list[bytes] = []
                    while True:
                        part = os.read(file, 1 << 20)
                        if not part:
                            return b"".join(parts)
                        parts.append(part)
            except FileNotFoundError:
                return b""

    def _end_of_chain(self, file: int) -> tuple[int, bytes | None, bool]:
        """Size, last line (None in an empty file) and whether it lacks its line end; a torn one is set aside first."""
        size = os.fstat(file).st_size
        last = _last_line(file, size)
        if last and not last.endswith(b"\n") and _is_torn(last):
            self._set_aside(last)
            size -= len(last)
            os.ftruncate(file, size)
            last = _last_line(file, size)
        if not last:
            return size, None, False
        # A whole record that only lacks its line end was not lost and is not torn: it stays, and gets its line end.
        return size, last.rstrip(b"\n"), not last.endswith(b"\n")

    def _set_aside(self, torn: bytes) -> None:
        wanted = f"{self.location}.torn-{stamp(utc_now())}"
        for attempt in range(1, 1000):
            path = wanted if attempt == 1 else f"{wanted}-{attempt}"
            try:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                continue
            try:
                write_all(file, torn)
                os.fsync(file)
            finally:
                os.close(file)
            sync_directory(os.path.dirname(path))
            return
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), wanted)

    def _torn_files(self) -> list[str]:
        directory, name = os.path.split(self.location)
        with self._reasons("read"):
            try:
                return [entry for entry in os.listdir(directory) if entry.startswith(f"{name}.torn-")]
            except FileNotFoundError:
                return []

    def _make_directory(self) -> None:
        directory = os.path.dirname(self.location)
        if not os.path.isdir(directory):
            os.makedirs(directory, mode=0o750, exist_ok=True)
            sync_directory(os.path.dirname(directory))

    def _refuse_if_not_a_file(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(self.location).st_mode):
                raise RecordsError(f"the records in {self.location} cannot be used: it is not a regular file")

    @contextlib.contextmanager
    def _locked(self, flags: int, lock: int) -> t.Iterator[int]:
        self._refuse_if_not_a_file()
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while True:
            file = os.open(self.location, flags | os.O_CLOEXEC, 0o600)
            try:
                self._wait_for(file, lock, deadline)
                if _is_still_at(file, self.location):
                    yield file
                    return
            finally:
                os.close(file)

    def _wait_for(self, file: int, lock: int, deadline: float) -> None:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, lock | fcntl.LOCK_NB)
                return
            if time.monotonic() > deadline:
                held = f"locked by another process for more than {LOCK_TIMEOUT_SECONDS:.0f} s"
                raise RecordsError(f"the records in {self.location} are {held}")
            time.sleep(0.002)

    @contextlib.contextmanager
    def _reasons(self, done: str) -> t.Iterator[None]:
        try:
            yield
        except OSError as exc:
            beside = f" ({exc.filename})" if exc.filename and exc.filename != self.location else ""
            raise RecordsError(
                f"the records in {self.location} cannot be {done}: {exc.strerror or exc}{beside}"
            ) from exc


def _is_torn(line: bytes) -> bool:
    """Whether a line without an end was cut off: what begins with a whole object was damaged otherwise, if at all."""
    try:
        json.JSONDecoder().raw_decode(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return True
    return False


def _last_line(file: int, size: int) -> bytes:
    """The last line with its line end where it has one, read from the end."""
    tail = b""
    start = size
    while start > 0:
        step = min(_BLOCK, start)
        start -= step
        tail = os.pread(file, step, start) + tail
        cut = tail.rfind(b"\n", 0, len(tail) - 1)
        if cut >= 0:
            return tail[cut + 1 :]
    return tail


def _is_still_at(file: int, path: str) -> bool:
    """Whether the file that was locked is still the one at this path: somebody may have moved it away meanwhile."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _nearest_existing(directory: str) -> str:
    while not os.path.exists(directory):
        directory = os.path.dirname(directory)
    return directory


def _require_room(directory: str, may_create: bool) -> None:
    """Raise the error that the next record would meet: read-only, not permitted, no room."""
    if may_create and hasattr(os, "O_TMPFILE"):
        try:
            # A file without a name: it is a real write on this file system, and leaves no trace, not even a time stamp.
            file = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            if exc.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL):
                raise
        else:
            try:
                write_all(file, b"\0" * _ROOM_BYTES)
            finally:
                os.close(file)
            return
    space = os.statvfs(directory)
    if space.f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), directory)
    if may_create and not os.access(directory, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), directory)
    if space.f_bavail * space.f_frsize < _ROOM_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), directory)
