# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time, by locks that the system lets go of when we die, however we die (flock(2)).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
import typing as t

_LOCK = "lock"
_PAUSE = 0.2


class Busy(Exception):
    """Another run is at work; the text says which."""


@contextlib.contextmanager
def lock(path: str, patience: float = 0) -> t.Iterator[int]:
    """Hold the lock of a file, which is made where it is missing.

    :raises Busy: when somebody else holds it for longer than `patience` seconds.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        deadline = time.monotonic() + patience
        while not _take(descriptor):
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 64, 0).decode("utf-8", "replace").strip()
                raise Busy(f"another run holds {path} ({'process ' + holder if holder else 'no process named in it'})")
            time.sleep(_PAUSE)
        if os.geteuid() == 0:
            owner = os.stat(os.path.dirname(path))
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held(directory: str, name: str = _LOCK) -> t.Iterator[None]:
    """Hold a lock in a directory, which is made where it is missing.

    :raises Busy: when another run holds it.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with lock(os.path.join(directory, name)):
        yield


@contextlib.contextmanager
def own_place(place: str, patience: float, remove: t.Callable[[str], None] = shutil.rmtree) -> t.Iterator[str]:
    """A directory of a known name that is ours alone, and gone at the end. What a killed run left in it is still there.

    Others may write beside it: what has the name must be a directory, ours, and closed to them.

    :param remove: removes a directory and all that is in it.
    :raises OSError: when somebody else has taken the name.
    :raises Busy: when another run is at work in it for longer than `patience` seconds.
    """
    with contextlib.ExitStack() as stack:
        while not _take_place(place, patience, stack):
            stack.close()
        try:
            yield place
        finally:
            remove(place)


def left_in(place: str) -> list[str]:
    """The paths of what lies in a place of one's own, beside its lock."""
    return [os.path.join(place, name) for name in os.listdir(place) if name != _LOCK]


def _take_place(place: str, patience: float, stack: contextlib.ExitStack) -> bool:
    """Whether it is ours now. It is not when another run has just ended, and taken the place and its lock away."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(place, 0o700)
    try:
        found = os.lstat(place)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:
            raise PermissionError(f"{place} is not a directory of this account and closed to others: remove it")
        descriptor = stack.enter_context(lock(os.path.join(place, _LOCK), patience))
    except FileNotFoundError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
