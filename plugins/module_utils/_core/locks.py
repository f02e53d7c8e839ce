# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time in a directory of ours.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t


class Busy(Exception):
    """Another run is at work; the text says which."""


@contextlib.contextmanager
def held(directory: str) -> t.Iterator[None]:
    """Hold the lock of a directory, which is made where it is missing. The system lets go of it when we die.

    :raises Busy: when another run holds it.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, "lock")
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode("ascii", "replace").strip()
            raise Busy(f"process {holder or 'unknown'} holds {path}") from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)
