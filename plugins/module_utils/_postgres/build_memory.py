# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a restore may take for the indexes that it builds, on the host where the server runs.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

PostgreSQL's manual advises to raise maintenance_work_mem for the time of a restore ("Populating a Database"): an index
whose keys do not fit there is sorted on the disk. The server's own setting is for vacuums beside the daily work. An
eighth of what the host, and the server's control group, have left is taken for all connections together.
"""

from __future__ import annotations

import os
import typing as t

from .connection import query

#: Above it a sort is hardly any faster, for its heap no longer fits into the processor's cache.
_MOST_KB = 512 * 1024
_SHARE = 8

_SETTING = "SELECT setting::bigint, pg_backend_pid() FROM pg_settings WHERE name = 'maintenance_work_mem'"


def build_memory(conn: t.Any, jobs: int, root: str = "/") -> int:
    """Kilobytes that each connection may have as maintenance_work_mem; 0 leaves it as the server has it.

    :param conn: a session in the server.
    :param root: where /proc and /sys are.
    """
    (own, pid), *_rest = query(conn, _SETTING)
    left = _left_kb(root, int(pid))
    wanted = min(_MOST_KB, left // _SHARE // max(1, jobs))
    return wanted if wanted > own else 0


def _left_kb(root: str, pid: int) -> int:
    """What the host and the control groups of a server's process have left; 0 when it does not run here."""
    process = os.path.join(root, "proc", str(pid))
    if not _text(os.path.join(process, "comm")).startswith("postgres"):
        return 0
    left = [_available_kb(_text(os.path.join(root, "proc", "meminfo")))]
    for line in _text(os.path.join(process, "cgroup")).splitlines():
        _number, controllers, path = line.split(":", 2)
        names = ("memory.max", "memory.current")
        base = os.path.join(root, "sys", "fs", "cgroup")
        if controllers:
            if "memory" not in controllers.split(","):
                continue
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
            base = os.path.join(base, "memory")
        while True:
            limit, used = (_text(os.path.join(base, path.strip("/"), name)).strip() for name in names)
            if limit.isdigit() and used.isdigit():
                left.append(max(0, int(limit) - int(used)) // 1024)
            if path in ("", "/"):
                break
            path = os.path.dirname(path)
    return min(left)


def _available_kb(meminfo: str) -> int:
    """The estimate of proc(5) of what may be had without swapping."""
    for line in meminfo.splitlines():
        name, _colon, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0])
    return 0


def _text(path: str) -> str:
    try:
        # This codec is there in any case, also for an account that may not read where Python has the others.
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
