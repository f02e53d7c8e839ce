# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that stay for ever because somebody said so: a marker file beside the manifest.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os

from .._core.clock import utc_now, write_time
from .._core.locks import Busy, lock
from .._core.result import Result
from .._core.suggest import InputError, did_you_mean
from .backup import LOCK
from .backup_sets import PINNED, BackupSet, read_sets
from .connection import PostgresError
from .durable import flush, write_json

_LOCK_PATIENCE = 10


def find_set(path: str, name: str) -> BackupSet:
    """:raises InputError: naming the backup that there is none of, and the nearest that there is."""
    sets = read_sets(path)
    for backup in sets:
        if backup.name == name:
            return backup
    known = [backup.name for backup in sets]
    raise InputError(f"backup: there is no backup {name!r} in {path}; {did_you_mean(name, known)}")


def pin(path: str, name: str, wanted: bool, reason: str, check: bool) -> tuple[Result, bool]:
    """Pin a backup or let go of it; gives the result, and whether anything had to change.

    :raises InputError: when there is no such backup.
    """
    backup = find_set(path, name)
    if backup.is_pinned == wanted and (not wanted or not reason or backup.pinned == reason):
        return Result("ok", f"backup {name} is {'pinned' if wanted else 'not pinned'} already"), False
    told = "pinned: it stays for ever" if wanted else "not pinned any more: retention decides"
    if check:
        return Result("ok", f"backup {name} would be {told}"), True
    try:
        # Whoever prunes holds this lock, so that what is pinned now is not removed at this moment.
        with lock(os.path.join(path, LOCK), _LOCK_PATIENCE):
            backup = find_set(path, name)
            marker = os.path.join(backup.path, PINNED)
            if wanted:
                write_json(marker, {"pinned": write_time(utc_now()), "reason": reason})
            else:
                os.unlink(marker)
                flush(backup.path)
            if find_set(path, name).is_pinned != wanted:
                raise PostgresError(f"{marker} is {'not there' if wanted else 'still there'}")
    except (Busy, OSError, PostgresError) as exc:
        return Result("failed", f"backup {name} is as it was", str(exc)), False
    return Result("ok", f"backup {name} is {told}"), True
