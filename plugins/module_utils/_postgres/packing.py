# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that pg_dump writes becomes one of files that the program zstd compressed, while pg_dump still writes.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

What is small is compressed when it is closed. What is large is followed while it grows, so that its compression takes
no time of its own and its clear text next to no place.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import sys
import threading
import typing as t

from .compression import compress_files
from .connection import PostgresError
from .following import Follower

#: From this many bytes on a file is followed while it grows; below it is closed before that would be worth a process.
LARGE = 16 << 20

#: As inotify(7) has them.
_IN_CLOSE_WRITE, _IN_CREATE, _IN_Q_OVERFLOW = 0x8, 0x100, 0x4000
_EVENT = struct.Struct("iIII")
_LOOK_MILLISECONDS = 50


class DirectoryCompressor:
    """Compresses the files of a pg_dump directory with the program zstd.

    Where the system does not tell which files are written, or does not tell all, the rest is done by :meth:`finish`.
    The directory must be there, and empty, when this is made.
    """

    def __init__(self, zstd: str, directory: str) -> None:
        self.zstd = zstd
        self.directory = directory
        self.error: PostgresError | None = None
        self._over = threading.Event()
        self._growing: set[str] = set()
        self._followers: dict[str, Follower] = {}
        self._watch = _watch(directory)
        # Its programs die with this thread, so it is the thread that waits for them.
        self._thread = threading.Thread(target=self._follow, name="compressor")
        self._thread.start()

    def look(self) -> None:
        """:raises PostgresError: when a file could not be compressed."""
        errors = [self.error, *(follower.error for follower in list(self._followers.values()))]
        for error in filter(None, errors):
            raise error

    def finish(self, threads: int) -> None:
        """Compress what is left, now that pg_dump has ended and all its files are closed.

        :raises PostgresError: when a file could not be compressed.
        """
        self._end_watching()
        for follower in self._followers.values():
            follower.close()
        for follower in self._followers.values():
            follower.join()
        self.look()
        self._compress([name for name in os.listdir(self.directory) if _is_data(name)], threads)

    def stop(self) -> None:
        """Leave the rest undone."""
        self._end_watching()
        for follower in self._followers.values():
            follower.stop()

    def _end_watching(self) -> None:
        self._over.set()
        self._thread.join()
        if self._watch >= 0:
            os.close(self._watch)
            self._watch = -1

    def _follow(self) -> None:
        try:
            while not self._over.is_set() and self._watch >= 0:
                closed = self._told()
                if closed:
                    self._compress(closed, 1)
                for name in [name for name in self._growing if self._size(name) >= LARGE]:
                    self._growing.discard(name)
                    self._followers[name] = Follower(self.zstd, os.path.join(self.directory, name))
        except (PostgresError, OSError) as exc:
            self.error = exc if isinstance(exc, PostgresError) else PostgresError(str(exc))

    def _told(self) -> list[str]:
        """The small files that were closed within a moment."""
        closed = []
        for mask, name in _events(self._watch):
            if mask & _IN_Q_OVERFLOW:
                # Of some files we shall not hear that they are closed, and finish() does those.
                self._growing.clear()
            elif not _is_data(name):
                continue
            elif mask & _IN_CREATE:
                self._growing.add(name)
            elif name in self._followers:
                self._followers[name].close()
            else:
                self._growing.discard(name)
                closed.append(name)
        return closed

    def _size(self, name: str) -> int:
        return os.stat(os.path.join(self.directory, name)).st_size

    def _compress(self, names: t.Sequence[str], threads: int) -> None:
        paths = [os.path.join(self.directory, name) for name in names]
        compress_files(self.zstd, [path for path in paths if os.path.exists(path)], threads)


def _is_data(name: str) -> bool:
    """The contents of a table or a large object; the table of contents stays readable for pg_restore --list."""
    return name.endswith(".dat") and name != "toc.dat"


def _watch(directory: str) -> int:
    """A descriptor that tells which files in a directory are made, and closed after writing; -1 where there is none."""
    if not sys.platform.startswith("linux"):
        return -1
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if descriptor < 0:
        return -1
    if libc.inotify_add_watch(descriptor, os.fsencode(directory), _IN_CREATE | _IN_CLOSE_WRITE) < 0:
        os.close(descriptor)
        return -1
    return descriptor


def _events(descriptor: int) -> list[tuple[int, str]]:
    """What the system tells within a moment: what happened, and to which file."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    if not poller.poll(_LOOK_MILLISECONDS):
        return []
    events = []
    try:
        data = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return []
    position = 0
    while position < len(data):
        _number, mask, _cookie, length = _EVENT.unpack_from(data, position)
        position += _EVENT.size
        events.append((mask, os.fsdecode(data[position : position + length].rstrip(b"\0"))))
        position += length
    return events
