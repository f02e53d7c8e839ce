# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has had its time: indexes that nobody needs, and what was kept for them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The newest run that is as old as the retention stays, and all that is younger: with it, the tree can be restored as of
any moment since. What was kept by that run or an older one is in no index that stays. Indexes go first, so that none
is left whose files are gone.
"""

from __future__ import annotations

import typing as t

from .target import INDEX, KEPT, RUNS, Target, stamps


class Expired(t.NamedTuple):
    """Stamps of runs: whose index goes, and whose kept files go."""

    indexes: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def runs(self) -> int:
        return len(self.indexes) + len(self.kept)


def expired(runs: t.Sequence[str], kept: t.Sequence[str], border: str) -> Expired:
    """:param border: the stamp of the oldest moment that has to stay restorable."""
    old = [run for run in runs if run <= border]
    if not old:
        return Expired((), ())
    base = max(old)
    return Expired(tuple(run for run in runs if run < base), tuple(run for run in kept if run <= base))


def find_expired(target: Target, border: str) -> Expired:
    return expired(stamps(target, RUNS), stamps(target, KEPT), border)


def prune(target: Target, what: Expired) -> int:
    """Remove it, and return how many objects and versions that were."""
    count = 0
    for run in what.indexes:
        count += target.remove_below(f"{RUNS}{run}{INDEX}")
    for run in what.kept:
        count += target.remove_below(f"{KEPT}{run}/")
    return count
