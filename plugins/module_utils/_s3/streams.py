# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several requests at the same time; the first failure stops those that are not yet begun.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from concurrent import futures

Item = t.TypeVar("Item")
Done = t.TypeVar("Done")


class Streams:
    """So many objects at a time, and so many parts of objects. Use as a context manager.

    There are two pools, because an object waits for its parts: in one pool, objects that wait could take every thread.
    """

    def __init__(self, count: int) -> None:
        self._objects = futures.ThreadPoolExecutor(count, "object")
        self._parts = futures.ThreadPoolExecutor(count, "part")

    def __enter__(self) -> Streams:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._objects.shutdown()
        self._parts.shutdown()

    def each_object(self, work: t.Callable[[Item], Done], items: t.Iterable[Item]) -> list[Done]:
        return _each(self._objects, work, items)

    def each_part(self, work: t.Callable[[Item], Done], items: t.Iterable[Item]) -> list[Done]:
        return _each(self._parts, work, items)


def _each(pool: futures.ThreadPoolExecutor, work: t.Callable[[Item], Done], items: t.Iterable[Item]) -> list[Done]:
    """What came of each item, in their order.

    :raises Exception: the first failure, when all that was under way has ended.
    """
    begun = [pool.submit(work, item) for item in items]
    futures.wait(begun, return_when=futures.FIRST_EXCEPTION)
    for one in begun:
        one.cancel()  # of those that are under way or over, nothing is changed by it
    futures.wait(begun)
    for one in begun:
        if not one.cancelled():
            one.result()
    return [one.result() for one in begun]
