# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes into files, sparse where they were, and what belongs to a file beside its bytes.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import functools
import grp
import os
import pwd
import stat

from .index import Entry
from .names import unescape
from .walk import SYMLINK

#: The smallest hole that a file system can make, in all that are in use.
_HOLE = 4096
_ZEROS = bytes(_HOLE)


def write_block(descriptor: int, data: bytes, offset: int, sparse: bool) -> None:
    """Write at a place; in a sparse file zeros become holes, and the caller sets its size, for the last may be one."""
    if sparse:
        _write_sparse(descriptor, data, offset)
    else:
        _write(descriptor, memoryview(data), offset)


def dress(path: bytes, entry: Entry, may_chown: bool) -> None:
    """Give a file, a directory or a symbolic link its owner, mode and times, in this order.

    Changing the owner takes set-user-ID bits away, and each change of a file is one of its times.
    """
    is_link = entry["type"] == SYMLINK
    if may_chown:
        os.chown(path, _uid(entry), _gid(entry), follow_symlinks=False)
    if not is_link:
        os.chmod(path, entry["mode"])
    os.utime(path, ns=(entry["mtime"], entry["mtime"]), follow_symlinks=False)


def is_dressed(status: os.stat_result, entry: Entry, may_chown: bool) -> bool:
    if status.st_mtime_ns != entry["mtime"]:
        return False
    if entry["type"] != SYMLINK and stat.S_IMODE(status.st_mode) != entry["mode"]:
        return False
    return not may_chown or (status.st_uid, status.st_gid) == (_uid(entry), _gid(entry))


def make_link(path: bytes, entry: Entry, temporary: bytes) -> None:
    os.symlink(unescape(entry["target"]), temporary)
    os.replace(temporary, path)


def _uid(entry: Entry) -> int:
    return _uid_of(str(entry.get("user") or ""), int(entry["uid"]))


def _gid(entry: Entry) -> int:
    return _gid_of(str(entry.get("group") or ""), int(entry["gid"]))


@functools.lru_cache(maxsize=1024)
def _uid_of(name: str, number: int) -> int:
    """By its name where this host knows it, as tar does: numbers differ between hosts."""
    with contextlib.suppress(KeyError):
        if name:
            return pwd.getpwnam(name).pw_uid
    return number


@functools.lru_cache(maxsize=1024)
def _gid_of(name: str, number: int) -> int:
    with contextlib.suppress(KeyError):
        if name:
            return grp.getgrnam(name).gr_gid
    return number


def _write(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _write_sparse(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    begin = place = 0
    while place < len(view):
        block = view[place : place + _HOLE]
        if block == _ZEROS[: len(block)]:
            _write(descriptor, view[begin:place], offset + begin)
            begin = place + len(block)
        place += len(block)
    _write(descriptor, view[begin:], offset + begin)
