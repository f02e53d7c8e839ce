# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much evidence of the updates of a project is kept: the newest ones, and the last one whose tests passed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import json
import os

from .._core import evidence
from .._core.result import Finding

TESTED, FAILED = "tested", "failed"


def place_for(directory: str, project: str, plan: str, moment: str) -> str:
    """Where the evidence of an update is to be written, by what it was to do and when."""
    return evidence.new_place(evidence.directory_of(directory, project), moment, plan[:12])


def retire(place: str, project: str, most: int) -> list[Finding]:
    """Remove older evidence of the project than the one that is complete now; what was in the way of that.

    Updates that fail day after day must not drive out what shows how the last one that passed was tested.
    """
    parent = os.path.dirname(place)
    try:
        passed = next((name for name in evidence.newest_first(parent) if _has_passed(os.path.join(parent, name))), "")
        evidence.keep_newest(place, most, also={passed})
    except OSError as exc:
        message = f"old evidence could not be removed: {exc.strerror or exc}: {exc.filename or parent}"
        return [Finding("evidence-left", "low", project, message, action="see what is in evidence_dir")]
    return []


def _has_passed(place: str) -> bool:
    try:
        with open(os.path.join(place, "update.json"), encoding="utf-8") as file:
            return bool(json.load(file)["outcome"] == TESTED)
    except (OSError, ValueError, KeyError, TypeError):
        return False
