# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups may go. Only proved ones count as something to keep, and nothing goes without a newer proved one.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from .backup_sets import BackupSet


def expired(sets: t.Sequence[BackupSet], now: datetime.datetime, keep_seconds: int) -> list[BackupSet]:
    """The backups that are older than `keep_seconds` and stand behind a newer one that is proved.

    Kept whatever their age: the newest proved backup, everything newer than it, and the newest proved copy of a
    database that could not be dumped in the newest proved backup.
    """
    proved = [backup for backup in sets if backup.is_verified]
    if not proved:
        return []
    newest = max(proved, key=lambda backup: backup.started)
    kept = {newest.name}
    for database in newest.failed_databases:
        copies = [backup for backup in proved if database in backup.databases]
        if copies:
            kept.add(max(copies, key=lambda backup: backup.started).name)
    border = now - datetime.timedelta(seconds=keep_seconds)
    return [
        backup
        for backup in sets
        if backup.name not in kept and backup.started < newest.started and backup.started < border
    ]
