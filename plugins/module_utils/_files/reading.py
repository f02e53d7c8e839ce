# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files read as they stood at one moment, or told that they did not stand still.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import errno
import os
import stat

#: No link is followed, and nothing waits for a pipe that came in the place of a file.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)


class Vanished(Exception):
    """It was there when the tree was walked, and is no file of that name any more."""


class Unsteady(Exception):
    """It was altered while it was read."""


def look(path: bytes) -> os.stat_result:
    """:raises Vanished: when there is no regular file of that name.
    :raises OSError: when that cannot be said.
    """
    try:
        status = os.lstat(path)
    except OSError as exc:
        if exc.errno in _GONE:
            raise Vanished from exc
        raise
    if not stat.S_ISREG(status.st_mode):
        raise Vanished
    return status


def read_small(path: bytes) -> tuple[os.stat_result, bytes]:
    """A file's bytes, and what the file system says of it.

    :raises Vanished: when there is no regular file of that name.
    :raises Unsteady: when it was altered meanwhile.
    :raises OSError: when it cannot be read.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as exc:
        if exc.errno in _GONE:
            raise Vanished from exc
        raise
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise Vanished
        data = _read(descriptor, before.st_size)
        if len(data) != before.st_size or is_altered(before, os.fstat(descriptor)):
            raise Unsteady
    finally:
        os.close(descriptor)
    return before, data


def is_altered(before: os.stat_result, after: os.stat_result) -> bool:
    names = ("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    return any(getattr(before, name) != getattr(after, name) for name in names)


def _read(descriptor: int, size: int) -> bytes:
    """One byte more is asked for, to see that there is none."""
    data = os.read(descriptor, size + 1)
    if len(data) >= size or not data:
        return data
    pieces: list[bytes] = [data]
    while data:
        data = os.read(descriptor, 1 << 20)
        pieces.append(data)
    return b"".join(pieces)
