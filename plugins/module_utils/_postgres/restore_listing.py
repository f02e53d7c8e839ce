# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backups that a person can choose from, as a result.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.result import Finding, Result, ok_or_findings
from .connection import PostgresError, one_line
from .restore_choice import listing

#: What is to be done about a backup that is not taken, by its state.
_ACTIONS = {
    "damaged": "find out why, and let a new backup be made and verified",
    "refuted": "find out why, and let a new backup be made and verified",
    "future": "set the clock, and find out when it was made; it is only restored when it is named",
}


def list_backups(path: str, database: str) -> tuple[Result, dict[str, t.Any]]:
    """The result, and what stands beside it: the backups, and the one that is taken when nobody says otherwise."""
    beside: dict[str, t.Any] = {"backups": [], "chosen": ""}
    try:
        backups = listing(path, database)
    except PostgresError as exc:
        return Result("unknown", "the backups could not be listed", one_line(exc)), beside
    verified = [backup for backup in backups if backup["state"] == "verified"]
    unusable = [backup for backup in backups if backup["state"] in _ACTIONS]
    findings = [
        Finding(
            "restore-future-backup" if backup["state"] == "future" else "restore-backup-bad",
            "high",
            backup["name"],
            f"{backup['state']}: {backup['problem']}",
            action=_ACTIONS[backup["state"]],
        )
        for backup in unusable
    ]
    whose = f" of {database!r}" if database else ""
    figures: dict[str, float] = {"backups": len(backups), "verified": len(verified)}
    if verified:
        beside["chosen"] = verified[0]["name"]
        figures["rpo_seconds"] = verified[0]["age_seconds"]
        summary = f"{len(backups)} backups{whose}, the newest verified one is {verified[0]['name']}"
    else:
        summary = f"{len(backups)} backups{whose}, none of them verified"
        message = f"there is no verified backup{whose} in {path}"
        action = "make a backup and verify it; an unverified one is only restored when allow_unverified says so"
        findings.append(Finding("restore-none-verified", "high", database or path, message, action=action))
    beside["backups"] = backups
    readable = sum(1 for backup in backups if backup["state"] != "damaged")
    return ok_or_findings(summary, findings, figures, readable, len(backups)), beside
