# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing so that it stays written.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat


def write_all(file: int, data: bytes) -> None:
    """Write all of it: one write, unless the disk fills: then the kernel cuts it short, and the next one says why."""
    while data:
        data = data[os.write(file, data) :]


def append_whole(file: int, data: bytes) -> None:
    """Have all of the data at the end of the file and on the disk, or none of it."""
    size = os.fstat(file).st_size
    try:
        write_all(file, data)
        os.fsync(file)
    except OSError:
        # The disk is full, most likely: a half line must not stay, and what was not acknowledged must not count.
        with contextlib.suppress(OSError):
            os.ftruncate(file, size)
        raise


def sync_directory(directory: str) -> None:
    """Have the names in a directory on the disk: a new or renamed file survives a crash only with its name."""
    file = os.open(directory or ".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def beside(path: str) -> str:
    """Where the new contents of a file lie until they take its place; "include DIRECTORY/*" passes such a name over."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.steward-new")


def replace_contents(path: str, content: bytes) -> None:
    """Exchange the contents of a file in one move; owner, mode and extended attributes stay.

    :raises OSError: when it is no file, or cannot be written; the old contents are there then.
    """
    before = os.stat(path)
    if not stat.S_ISREG(before.st_mode):
        raise OSError(errno.EINVAL, "is no file", path)
    temporary = beside(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file, before.st_uid, before.st_gid)
            _copy_attributes(path, file)
            # Last: a change of owner takes bits away.
            os.fchmod(file, stat.S_IMODE(before.st_mode))
            write_all(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(os.path.dirname(path))


def _copy_attributes(path: str, file: int) -> None:
    """Access control lists and security labels, where the system has them."""
    if not hasattr(os, "listxattr"):
        return
    try:
        names = os.listxattr(path)
    except OSError:
        return
    for name in names:
        os.setxattr(file, name, os.getxattr(path, name))
