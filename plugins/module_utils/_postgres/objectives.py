# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured against what was promised: the time that a restore takes (RTO), the age of the data (RPO).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from .._core.durations import format_duration
from .._core.result import Finding


def missed_objectives(
    subject: str, restore_seconds: float | None, age_seconds: float, rto: int, rpo: int
) -> list[Finding]:
    """A finding for each objective that was missed; an objective of 0 seconds is none.

    :param restore_seconds: nothing where no restore was measured.
    """
    found = []
    if rto and restore_seconds is not None and restore_seconds > rto:
        objective = f"the recovery time objective is {format_duration(rto)}"
        taken = f"the restore took {format_duration(restore_seconds)}, {objective}"
        action = "restore with more jobs or on faster disks, back up less, or declare another objective"
        found.append(Finding("backup-rto", "high", subject, taken, round(restore_seconds, 3), rto, action))
    if rpo and age_seconds > rpo:
        old = f"the data is {format_duration(age_seconds)} old, the recovery point objective is {format_duration(rpo)}"
        action = "find out why no younger backup was made, or declare another objective"
        found.append(Finding("backup-rpo", "high", subject, old, round(age_seconds), rpo, action))
    return found
