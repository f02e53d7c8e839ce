# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who of us holds a session: so that one left behind by a killed run can be told from one at work.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A run that is killed leaves its server process at work, holding our lock. The application name therefore says which
process on which machine the session belongs to: ``steward.maintenance:reindex:1f3a9c02.4711.885512`` (machine,
process, when the process started). Only the same machine can say that the process is gone, and only then is the
session ours to end.
"""

from __future__ import annotations

import hashlib
import os

from .connection import APPLICATION

_PARTS = 3
_START_TIME_FIELD = 19  # of /proc/<pid>/stat, counted after the closing parenthesis of the command's name


def application_suffix(task: str) -> str:
    """The name after ``steward.maintenance:`` for a session of this process; at most 63 bytes with it."""
    machine = _machine()
    started = _started(os.getpid())
    return f"{task}:{machine}.{os.getpid()}.{started}" if machine and started else task


def owner_is_dead(application_name: str) -> bool:
    """Whether the name belongs to one of our runs on this machine whose process is no longer there.

    False whenever it cannot be known: another machine, another container, a system without /proc.
    """
    prefix, _colon, rest = application_name.partition(":")
    parts = rest.rpartition(":")[2].split(".")
    if prefix != APPLICATION or len(parts) != _PARTS or not parts[1].isdigit():
        return False
    machine, pid, started = parts
    return bool(machine) and machine == _machine() and _started(int(pid)) != started


def runs_here(application_name: str) -> bool:
    """Whether the name belongs to a run of ours on this machine."""
    machine = application_name.rpartition(":")[2].partition(".")[0]
    return application_name.startswith(f"{APPLICATION}:") and bool(machine) and machine == _machine()


def _machine() -> str:
    """This boot of this machine and this set of process ids; empty where the system does not tell."""
    told: list[str] = []
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as handle:
            told.append(handle.read().strip())
        told.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        return ""
    return hashlib.sha256("|".join(told).encode()).hexdigest()[:8]


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty when it is not there (or a zombie: dead as well)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            fields = handle.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[_START_TIME_FIELD]
