# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the bytes of each file of a run lie now: still in current/, or in what a later run kept.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

What a run replaces or finds deleted, it keeps as it was before. So the file of an index is in ``current/`` as long as
the object there is the one that the index names, and else in ``kept/`` of the first later run that has it, be it one
that was killed before it wrote an index. All of these are listed in the order of the keys, and merged.
"""

from __future__ import annotations

import heapq
import typing as t

from .index import Entry
from .target import CURRENT, KEPT, Held, Target, in_order, stamps
from .walk import FILE


class Located(t.NamedTuple):
    """One entry of an index.

    :ivar keys: where a file's bytes may lie, the most likely first; of a directory or a link, and of a file that is
        lost, there is none.
    :ivar found: what lies at ``current/`` of its key, as a listing tells it.
    """

    entry: Entry
    keys: tuple[str, ...]
    found: Held | None


def locate(target: Target, run: str, entries: t.Iterable[Entry]) -> t.Iterator[Located]:
    """Each entry of the index of a run, with its place."""
    later = [one for one in stamps(target, KEPT) if one > run]
    current = iter(in_order(target.listing(CURRENT), f"{target.place}/{CURRENT}"))
    kept = heapq.merge(*(_kept_by(target, one) for one in later))
    there, older = next(current, None), next(kept, None)
    for entry in entries:
        if entry["type"] != FILE:
            yield Located(entry, (), None)
            continue
        key = entry["key"]
        while there is not None and there.key < key:
            there = next(current, None)
        while older is not None and older[0] < key:
            older = next(kept, None)
        candidates: list[tuple[str, Held]] = []
        while older is not None and older[0] == key:
            candidates.append((f"{KEPT}{older[1]}/{key}", older[2]))
            older = next(kept, None)
        found = there if there is not None and there.key == key else None
        yield Located(entry, tuple(_in_likelihood(entry, found, candidates)), found)


def is_current(located: Located) -> bool:
    """Whether the very object that the run sent lies at its place."""
    found, entry = located.found, located.entry
    return found is not None and (found.bytes, found.etag) == (entry["size"], entry["etag"])


def _in_likelihood(entry: Entry, found: Held | None, kept: t.Sequence[tuple[str, Held]]) -> t.Iterator[str]:
    right = [(key, held) for key, held in kept if held.bytes == entry["size"]]
    current = f"{CURRENT}{entry['key']}"
    is_current_right = found is not None and found.bytes == entry["size"]
    if is_current_right and found is not None and found.etag == entry["etag"]:
        yield current
    # A copy of an object in parts has another ETag than the object: its bytes will tell.
    yield from (key for key, held in right if held.etag == entry["etag"])
    yield from (key for key, held in right if held.etag != entry["etag"])
    if is_current_right and found is not None and found.etag != entry["etag"]:
        yield current


def _kept_by(target: Target, run: str) -> t.Iterator[tuple[str, str, Held]]:
    below = f"{KEPT}{run}/"
    for held in in_order(target.listing(below), f"{target.place}/{below}"):
        yield held.key, run, held
