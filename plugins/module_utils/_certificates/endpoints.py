# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of endpoints looked at side by side, within a time limit for each and one for all.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Threads of our own instead of a pool: a name server that does not answer holds its thread for as long as it likes, and a
pool waits for its threads at the end.
"""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
import typing as t

from .._core.durations import format_duration
from .handshake import Clients, Endpoint, Look, addresses_of, look, unlooked

#: The number of an endpoint and one of its addresses; without one its addresses are to be found.
_Task = t.Tuple[int, str]
_NOTHING = (-1, "")
_ADDRESSES = 4


@dataclasses.dataclass(frozen=True)
class Pace:
    """How long it may take, in seconds, and how many are looked at at a time."""

    timeout: float = 5
    deadline: float = 60
    jobs: int = 100


class _Crew:
    """The work and what came of it, each under the lock: an endpoint first, then each of its addresses."""

    def __init__(self, endpoints: t.Sequence[Endpoint], clients: Clients, pace: Pace) -> None:
        self._endpoints = endpoints
        self._clients = clients
        self._pace = pace
        self._tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._change = threading.Condition()
        self._open: dict[_Task, None] = {}
        self._looks: dict[_Task, Look] = {}

    def run(self) -> list[Look]:
        until = time.monotonic() + self._pace.deadline
        for number in range(len(self._endpoints)):
            self._add((number, ""))
        # How many addresses there are, only the looking tells.
        jobs = min(self._pace.jobs, _ADDRESSES * len(self._endpoints))
        for _number in range(jobs):
            threading.Thread(target=self._work, daemon=True).start()
        with self._change:
            while self._open and time.monotonic() < until:
                self._change.wait(max(0.0, until - time.monotonic()))
            over = f"all was to be over after {format_duration(self._pace.deadline)}, and it was not"
            for task in self._open:
                self._looks[task] = unlooked(self._endpoints[task[0]], task[1], over)
            self._open.clear()
            found = dict(self._looks)
        for _number in range(jobs):
            self._tasks.put(_NOTHING)
        return [found[task] for task in sorted(found)]

    def _add(self, task: _Task) -> None:
        self._open[task] = None
        self._tasks.put(task)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            with self._change:
                if task not in self._open:  # all is done, or the time is over
                    return
            looks = self._do(task)
            with self._change:
                if task not in self._open:
                    return
                del self._open[task]
                for made, seen in looks.items():
                    if seen is None:
                        self._add(made)
                    else:
                        self._looks[made] = seen
                if not self._open:
                    self._change.notify_all()

    def _do(self, task: _Task) -> dict[_Task, Look | None]:
        """What was seen; None for what is to be looked at."""
        number, address = task
        endpoint = self._endpoints[number]
        try:
            if address:
                return {task: look(endpoint, address, self._clients, self._pace.timeout)}
            return {(number, found): None for found in addresses_of(endpoint)}
        except OSError as exc:
            return {task: unlooked(endpoint, address, f"its name has no address: {exc.strerror or exc}")}
        except Exception as exc:  # noqa: BLE001 - in a thread of its own nobody else would hear of it
            return {task: unlooked(endpoint, address, f"looking at it failed: {exc or type(exc).__name__}")}


def look_at_all(endpoints: t.Sequence[Endpoint], clients: Clients, pace: Pace) -> list[Look]:
    """One look for each address of each endpoint, in the order of the endpoints, not later than the deadline."""
    return _Crew(endpoints, clients, pace).run() if endpoints else []
