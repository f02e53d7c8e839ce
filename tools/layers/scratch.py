# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory in memory for what tests make and throw away: servers by the hundred, whose every fsync a disk would do.

Benchmarks are no layers, and keep to the disk.
"""

from __future__ import annotations

import collections.abc
import contextlib
import os
import pathlib
import re
import shutil

_MEMORY = pathlib.Path("/dev/shm")
#: Three layers at a time hold at most about 4 GiB there; what they run has the rest.
_NEEDED_BYTES = 12 << 30


@contextlib.contextmanager
def in_memory() -> collections.abc.Iterator[dict[str, str]]:
    """The environment variable that leads there; none where there is too little memory.

    Its name is short: HAProxy takes no socket whose path has more than 97 characters.
    """
    if not _has_room():
        yield {}
        return
    _remove_leftovers()
    made = _MEMORY / f"st{os.getpid()}"
    made.mkdir(mode=0o700)
    made.chmod(0o1777)  # servers that root starts run as another account
    try:
        yield {"TMPDIR": str(made)}
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _has_room() -> bool:
    try:
        room = os.statvfs(_MEMORY)
        meminfo = pathlib.Path("/proc/meminfo").read_text()
    except OSError:
        return False
    free = re.search(r"^MemAvailable: +(\d+) kB", meminfo, re.MULTILINE)
    enough = min(room.f_bavail * room.f_frsize, int(free[1]) << 10 if free else 0) >= _NEEDED_BYTES
    return enough and os.access(_MEMORY, os.W_OK) and not room.f_flag & os.ST_NOEXEC


def _remove_leftovers() -> None:
    """What killed runs left, for it takes memory until somebody removes it."""
    for path in _MEMORY.glob("st[0-9]*"):
        owner = path.name[2:]
        if owner.isdigit() and (int(owner) == os.getpid() or not pathlib.Path("/proc", owner).exists()):
            shutil.rmtree(path, ignore_errors=True)
