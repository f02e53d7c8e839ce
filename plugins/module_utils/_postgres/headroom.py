# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the disk has room for a second copy of an index.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

PostgreSQL does not tell how full its disk is. It can be looked at only where the module runs on the server's own
host and the role is told the directory; elsewhere it is not looked at, and the plan's estimate says so.
"""

from __future__ import annotations

import os
import time
import typing as t

from .catalog_indexes import Index

#: The new index beside the old one, with some slack for what is written while it is built.
_COPY = 1.2

#: The WAL of building it.
_WAL = 1.1

#: How long what was read of a disk is good for.
_GOOD_SECONDS = 1.0


def is_local(host: str) -> bool:
    """Whether a login's host (empty or a directory: a Unix socket) is this very machine."""
    return host in ("", "localhost", "::1") or host.startswith(("/", "127."))


class HeadRoom:
    """The disks of one server.

    :param host: the login's.
    :param data: the server's data directory; empty when the role is not told.
    """

    def __init__(self, host: str, data: str) -> None:
        self._local = is_local(host)
        self._data = data
        self._disks: dict[str, tuple[float, tuple[int, int] | None]] = {}

    def free_bytes(self, index: Index) -> int | None:
        """The free space for a rebuild of this index; None where it cannot be known."""
        disk = self._disk(index.path or self._data)
        return disk[1] if disk else None

    def missing(self, index: Index, others: t.Iterable[Index] = ()) -> str:
        """Why a rebuild would not fit on the disk beside those of `others`, which are at work; an empty text when it
        does, or when nobody can say."""
        needed: dict[int, float] = {}
        places: dict[int, tuple[str, int]] = {}
        wal = os.path.join(self._data, "pg_wal") if self._data else ""
        for building in (index, *others):
            for directory, share in ((building.path or self._data, _COPY), (wal or building.path, _WAL)):
                disk = self._disk(directory)
                if disk:
                    device, free = disk
                    needed[device] = needed.get(device, 0.0) + share * building.bytes
                    places[device] = (directory, free)
        for device, (directory, free) in places.items():
            if free < needed[device]:
                what = "the second copy and its WAL" + (", beside the rebuilds that are at work" if others else "")
                return f"{int(needed[device])} bytes are needed for {what}; {directory} has {free} bytes free"
        return ""

    def _disk(self, directory: str) -> tuple[int, int] | None:
        """Which disk a directory is on and how many bytes are free there; None where it cannot be looked at."""
        if not directory or not self._local:
            return None
        looked, disk = self._disks.get(directory, (float("-inf"), None))
        if time.monotonic() - looked > _GOOD_SECONDS:
            disk = _look(directory)
            self._disks[directory] = time.monotonic(), disk
        return disk


def _look(directory: str) -> tuple[int, int] | None:
    try:
        room = os.statvfs(directory)
        return os.stat(directory).st_dev, room.f_bavail * room.f_frsize
    except OSError:
        return None
