# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before and after one activity: may it change the system, and what is recorded of it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import typing as t

from .._core.recording import readable
from .._core.result import Result, ResultError
from .catalogue import NEEDS_REQUEST

Data = t.Mapping[str, t.Any]


def gate(change: str, title: str, change_request: str) -> Result | None:
    """None when an activity of this change category may run, else the result that is recorded in its place."""
    if change not in NEEDS_REQUEST or change_request:
        return None
    approver = "the PM" if change == "normal" else "the on-call lead"
    return Result(
        "skipped",
        f"{title} was not done",
        f"it is a change of category {change}, which {approver} approves first, and no change request was given;"
        " name it with -e cycle_change_request=ID",
    )


def too_late(activity: Data, started: str) -> Result | None:
    """None when it was begun in time, else the result that is recorded: what was due before it took all the time."""
    if not activity["begin_by"] or started < activity["begin_by"]:
        return None
    reason = f"its time was over at {activity['deadline']}, before its turn came"
    return Result("skipped", f"{activity['title']} was not done", reason)


def result_of(activity: Data, published: t.Any, failure: t.Any) -> tuple[Result, bool]:
    """What an activity has to show for itself, and whether it changed anything.

    A failed task outranks what the role published before it; and a role that publishes nothing has proved nothing.
    """
    if failure:
        return _failed(activity, failure), _changed(failure) or _changed(published)
    if published:
        return readable(published, activity["name"]), _changed(published)
    where = f"the role {activity['role']} (entry {activity['entry']})"
    reason = f"{where} ended without publishing {activity['result_variable']}: what it did is not proved"
    return Result("failed", f"{activity['title']} gave no result", reason), False


def _failed(activity: Data, failure: Data) -> Result:
    """The result that travelled with the failure when the module gave one, else what Ansible says of the task."""
    with contextlib.suppress(ResultError):
        carried = Result.from_dict(failure)
        if carried.is_bad:
            return carried
    task = failure.get("task") or "a task"
    return Result("failed", f"{activity['title']} failed", f"{task}: {_cause(failure)}")


def _cause(failure: Data) -> str:
    """The most telling thing a failed task says."""
    if failure.get("censored"):
        return "failed, and its output is hidden by no_log"
    items = [item for item in failure.get("results") or () if isinstance(item, dict) and item.get("failed")]
    if items:
        return _cause(items[0])
    said = [str(failure.get(key) or "").strip() for key in ("msg", "stderr", "module_stderr", "exception")]
    return next((text for text in said if text), "failed without saying why")


def _changed(data: t.Any) -> bool:
    return isinstance(data, dict) and data.get("changed") is True
