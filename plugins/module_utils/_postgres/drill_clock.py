# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock of a drill: from the moment of the imagined failure until the service answers, stage by stage.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
import typing as t

from .._core.clock import utc_now, write_time
from .._core.durations import format_duration
from .._core.result import Finding
from .._core.suggest import InputError


class Clock:
    """Runs from its making on. What came before, since the failure, is the rebuild of the host.

    :raises InputError: when the failure lies in the future.
    """

    def __init__(self, failed: datetime.datetime | None = None) -> None:
        now = utc_now()
        self.failed = failed or now
        self._before = (now - self.failed).total_seconds()
        if self._before < 0:
            raise InputError(f"failed_at is {write_time(self.failed)}: by the clock of this host that is in the future")
        self._began = time.monotonic()
        self.stages: dict[str, float] = {"rebuild": self._before} if failed else {}
        #: Seconds from the failure until the service answered; nothing as long as it does not.
        self.rto: float | None = None

    @property
    def elapsed(self) -> float:
        return self._before + time.monotonic() - self._began

    @contextlib.contextmanager
    def stage(self, name: str) -> t.Iterator[None]:
        """Time of a stage counts whether it ends well or not; a stage that is tried twice took both times."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0) + time.monotonic() - began

    def service_answers(self) -> None:
        self.rto = self.elapsed

    def figures(self) -> dict[str, float]:
        return {f"{name}_seconds": round(seconds, 3) for name, seconds in self.stages.items()}


@dataclasses.dataclass(frozen=True)
class Objectives:
    """What is promised, in seconds; 0 where nothing is."""

    rto: int = 0
    rpo: int = 0

    def figures(self) -> dict[str, float]:
        targets = {"rto_target_seconds": self.rto, "rpo_target_seconds": self.rpo}
        return {name: float(target) for name, target in targets.items() if target}

    def missed(self, subject: str, rto: float, rpo: float) -> list[Finding]:
        """A finding for each objective that was missed."""
        found = []
        if self.rto and rto > self.rto:
            message = f"the service was back after {format_duration(rto)}, promised are {format_duration(self.rto)}"
            action = "look at the longest of the stages in the figures, or promise something else"
            found.append(Finding("drill-rto", "high", subject, message, round(rto, 3), self.rto, action))
        if self.rpo and rpo > self.rpo:
            message = f"{format_duration(rpo)} of data would be lost, promised are at most {format_duration(self.rpo)}"
            action = "find out why no younger backup could be restored, or promise something else"
            found.append(Finding("drill-rpo", "high", subject, message, round(rpo), self.rpo, action))
        return found

    def told(self, rto: float | None, rpo: float) -> str:
        """For people: "RTO 42 s of 1 h, RPO 3 h of 24 h"."""
        lost = f"RPO {format_duration(rpo)}{_of(self.rpo)}"
        return lost if rto is None else f"RTO {format_duration(rto)}{_of(self.rto)}, {lost}"


def _of(target: int) -> str:
    return f" of {format_duration(target)}" if target else " (no target)"
