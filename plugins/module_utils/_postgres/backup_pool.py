# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several databases at the same time, with a bounded number of connections over all of them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import threading
import typing as t

from .halt import Halt

Work = t.Callable[[str, int], None]


def shares(sizes: t.Mapping[str, int], jobs: int) -> dict[str, int]:
    """How many of `jobs` connections each database is to have: by its part of all bytes, one at least.

    One large database beside many small ones gets nearly all of them; as many equal ones as there are connections get
    one each.
    """
    whole = sum(sizes.values())
    return {name: max(1, min(jobs, round(jobs * size / whole) if whole else 1)) for name, size in sizes.items()}


def run_all(sizes: t.Mapping[str, int], jobs: int, halt: Halt, work: Work) -> None:
    """Call `work(name, connections)` for each, the largest first, never with more than `jobs` connections in all.

    :param work: runs in a thread of its own. What it raises ends the whole run, says `halt` to the others, and is
        raised here when all have ended.
    """
    pool = _Pool(jobs, halt)
    wanted = shares(sizes, jobs)
    threads: list[threading.Thread] = []
    try:
        for name in sorted(sizes, key=lambda name: -sizes[name]):
            granted = pool.take(wanted[name])
            if not granted:
                break
            thread = threading.Thread(target=pool.guard, args=(work, name, granted), name=f"dump of {name}")
            threads.append(thread)
            thread.start()
    except BaseException:
        halt.say()
        raise
    finally:
        _join(threads, halt)
    if pool.errors:
        raise pool.errors[0]


def _join(threads: t.Sequence[threading.Thread], halt: Halt) -> None:
    """Wait for all of them; who interrupts us (a signal) ends them too."""
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        halt.say()
        for thread in threads:
            thread.join()
        raise


class _Pool:
    def __init__(self, jobs: int, halt: Halt) -> None:
        self.errors: list[BaseException] = []
        self._free = jobs
        self._halt = halt
        self._changed = threading.Condition()

    def take(self, wanted: int) -> int:
        """Connections for one more, as soon as any are free; none when the run is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._free or self.errors)
            if self.errors:
                return 0
            granted = min(wanted, self._free)
            self._free -= granted
            return granted

    def guard(self, work: Work, name: str, granted: int) -> None:
        try:
            work(name, granted)
        except BaseException as exc:  # noqa: BLE001 - told by run_all
            with self._changed:
                self.errors.append(exc)
            self._halt.say()
        finally:
            with self._changed:
                self._free += granted
                self._changed.notify_all()
