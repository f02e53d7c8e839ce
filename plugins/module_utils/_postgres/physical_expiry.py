# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is old goes from the repository: asked for only when a restore has just proved the newest backup.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses

from .._core.result import Finding
from .connection import PostgresError
from .physical_backrest import Backrest
from .physical_plan import whole_days
from .physical_stanza import read_stanza


@dataclasses.dataclass(frozen=True)
class Expiry:
    pruned: list[str]
    findings: list[Finding]


def expire(backrest: Backrest, proved: str, retention: int) -> Expiry:
    """Let pgBackRest remove full backups, and all that need them, when a newer full one is older than `retention`.

    That is its retention by time: each moment within `retention` can still be recovered to. Its WAL goes with a backup.

    :param proved: the backup whose proof allows it.
    :raises PostgresError: when the proved one is gone afterwards.
    """
    before = read_stanza(backrest)
    # Between the proof and now, another run may have added one that nobody has proved: that proves nothing of this one.
    if proved not in before.labels():
        raise PostgresError(f"backup {proved} is not in the repository any more: nothing was removed")
    repo = f"--repo{backrest.repo}"
    rules = [f"{repo}-retention-full-type=time", f"{repo}-retention-full={whole_days(retention)}"]
    try:
        backrest.run("expire", f"--repo={backrest.repo}", *rules)
    except PostgresError as exc:
        message = f"old backups were not removed: {exc}"
        action = "none if a backup was being made: the next verification removes them"
        return Expiry([], [Finding("backup-not-pruned", "low", backrest.stanza, message, action=action)])
    left = read_stanza(backrest).labels()
    if proved not in left:
        raise PostgresError(f"backup {proved} is gone after old backups were removed")
    return Expiry([label for label in before.labels() if label not in left], [])
