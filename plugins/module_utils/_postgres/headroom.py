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
import typing as t

from .catalog_indexes import Index, data_directory

#: The new index beside the old one with some slack, and as much again of WAL.
_COPIES = 2.2


def is_local(host: str) -> bool:
    """Whether a login's host (empty or a directory: a Unix socket) is this very machine."""
    return host in ("", "localhost", "::1") or host.startswith(("/", "127."))


def free_bytes(conn: t.Any, host: str, index: Index) -> int | None:
    """The free space for a rebuild of this index; None where it cannot be known."""
    if not is_local(host):
        return None
    directory = index.path or data_directory(conn)
    try:
        room = os.statvfs(directory) if directory else None
    except OSError:
        return None
    return room.f_bavail * room.f_frsize if room else None


def missing(conn: t.Any, host: str, index: Index) -> str:
    """Why a rebuild would not fit on the disk; an empty text when it does, or when nobody can say."""
    free = free_bytes(conn, host, index)
    needed = int(index.bytes * _COPIES)
    if free is None or free >= needed:
        return ""
    where = index.path or "the data directory"
    return f"{needed} bytes are needed for the second copy and its WAL, {where} has {free} bytes free"
