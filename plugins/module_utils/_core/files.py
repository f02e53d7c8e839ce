# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing so that it stays written.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os


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
