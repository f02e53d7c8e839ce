# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the records say about each activity, as little as the decision needs. This runs on the managed host.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.records import Record
from .._core.records_summary import states


def histories(records: t.Iterable[Record], activities: t.Collection[str]) -> dict[str, dict[str, t.Any]]:
    """For each of these activities that has records: its last attempt, when it was done, how often it failed since.

    The order of the records is the order in which they were written, which holds when a clock was set back.
    """
    return {
        name: {
            "ended": state.last["ended"],
            "verdict": state.last["verdict"],
            "told": state.last["reason"] or state.last["summary"],
            "change": state.last["change"],
            "failures": state.bad_count,
            "done_at": state.last_done["ended"] if state.last_done else "",
        }
        for name, state in states(record for record in records if record["activity"] in activities).items()
    }
