# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rotation would do, for check mode: the store is read, and nobody is logged in.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.journal import Journal
from .._core.result import Result
from . import store as stores
from .steps import NAMES
from .store import PENDING, Secret

if t.TYPE_CHECKING:
    from .rotate import Run


def foretell(run: Run) -> Result:
    left = Journal(run.work.state_dir, run.work.subject).peek()
    current = run.current()
    if left:
        return _would(run, f"take up the rotation {left['token']}", current)
    if current is None:
        if run.work.need.present is None:
            run.first()  # which tells what is missing
        return _would(run, "store the password that is in use", None)
    pending = stores.labelled(run.store.versions(), PENDING)
    age, due = run.age(current.version)
    if pending is not None and pending.id != current.version:
        return _would(run, f"examine version {pending.id}, which is pending, and rotate", current)
    if not (due or run.work.need.force):
        return run.not_due(current, age)
    return _would(run, "rotate", current)


def _would(run: Run, what: str, current: Secret | None) -> Result:
    outcome = run.outcome
    outcome.changed = True
    outcome.planned = list(NAMES) if current else ["store"]
    if current:
        fields = run.target.fields(current)
        for placed in run.work.files:
            placed.check(fields)
            placed.is_right(fields)
        outcome.written = [placed.path for placed in run.work.files]
        outcome.before = {"current": f"{current.version} ({current.username})"}
    outcome.after = {"current": "a new version"}
    return Result("ok", f"would {what}", looked=1, of=1, figures={"duration_seconds": 0.0})
