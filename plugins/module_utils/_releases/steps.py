# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a switch: the link, the restart, the proof; and the way back, with the same proof.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from .._core.health import Health
from .._core.journal import Step
from . import asking, bills, condition
from .place import CURRENT, PREVIOUS, Place, ReleaseError, remove_tree
from .programs import must, told_test
from .service import Argv, Service

SWITCHED, RETURNED = "switched", "returned"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is switched to, and what counts as proof."""

    application: str
    directory: str
    state: str
    release: str
    service: Service
    health: Health
    version_url: str
    tests: tuple[Argv, ...]
    tests_timeout: float
    settle: float
    accept_broken: bool
    keep: int
    state_dir: str


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result shape."""

    changed: bool = False
    release: str = ""
    previous: str = ""
    #: Whether the application was seen well at the end, with whatever release.
    well: bool = False
    #: Why it was not well before anything was touched; empty when it was.
    broken_before: str = ""
    went_back: bool = False
    #: The link or the service was touched.
    touched: bool = False
    evidence: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    differences: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    removed: list[str] = dataclasses.field(default_factory=list)
    #: The tests of the running release that were run now.
    tests: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    #: Where the evidence is, with the digests of its files; and why it could not be kept.
    kept: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    lost: str = ""
    diff: dict[str, str] = dataclasses.field(default_factory=dict)

    def beside(self) -> dict[str, t.Any]:
        told = dataclasses.asdict(self)
        kept = {key: value for key, value in told.items() if key not in ("changed", "diff", "touched", "kept", "lost")}
        more = {"may_serve": self.well or not self.touched, "evidence_dir": self.kept.get("directory", "")}
        return {**kept, **more}


@dataclasses.dataclass
class Change:
    """What all steps need."""

    settings: Settings
    place: Place
    references: t.Mapping[str, t.Any]
    outcome: Outcome
    started: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def release(self) -> str:
        return str(self.references["release"])

    @property
    def previous(self) -> str:
        return str(self.references["previous"])

    def prove(self, release: str) -> None:
        """See that the application is well, says that it is this release, and stays so.

        :raises ReleaseError: naming what is not so.
        """
        settings = self.settings
        problem = settings.health.wait()
        if not problem and settings.version_url:
            problem = asking.wait_for_release(settings.version_url, self._names(release), settings.health.timeout)
        if problem:
            raise ReleaseError(problem)
        if release == self.release:
            self._test(release)
        if settings.settle:
            time.sleep(settings.settle)
        now = settings.service.starts()
        for name, start in self.started.items():
            if now.get(name) != start:
                raise ReleaseError(
                    f"{name} {'was started again' if name in now else 'ended'} by itself after the restart"
                )
        problem = settings.health.problem()
        if problem:
            raise ReleaseError(f"it was well at first, and then {problem}")

    def _test(self, release: str) -> None:
        self.outcome.tests = []
        for argv in self.settings.tests:
            began, what = time.monotonic(), "the tests of the running release failed"
            ran = must(argv, self.place.path_of(release), self.settings.tests_timeout, what)
            self.outcome.tests.append(told_test(argv, ran, time.monotonic() - began))

    @property
    def evidence_place(self) -> str:
        settings = self.settings
        return bills.place_of(settings.state_dir, settings.directory, str(self.references["at"]), self.release)

    def keep(self, how: str) -> None:
        """Write down what was in use before and what is now. That this fails is told, and is no reason to go back."""
        place, settings = self.place, self.settings
        told = {
            "application": settings.application,
            "directory": os.path.abspath(settings.directory),
            "state": settings.state,
            "how": how,
            "at": str(self.references["at"]),
            "release": self.outcome.evidence,
            # Which change request it was has the record that vouches for this.
            "approvals": {"accept_broken": settings.accept_broken},
            "running_tests": self.outcome.tests,
        }
        try:
            now = place.current()
            sides = [(name, condition.packages_of(place, name)) for name in (self.previous, now)]
            self.outcome.kept = bills.keep(self.evidence_place, sides[0], sides[1], told)
            self.outcome.lost = ""
        except (OSError, ReleaseError) as exc:
            self.outcome.kept, self.outcome.lost = {}, str(exc)

    def _names(self, release: str) -> tuple[str, ...]:
        """What the application may call its release."""
        found = self.place.described(release) if self.place.has(release) else {}
        return tuple(name for name in (found.get("commit"), found.get("archive_sha256"), release) if name)

    def steps(self) -> list[Step]:
        return [_Lead(self), _Restart(self), _Prove(self), _Remember(self), _Keep(self)]


class _Part:
    name = ""
    point_of_no_return = False

    def __init__(self, change: Change) -> None:
        self._on = change
        self._over = False

    def is_done(self) -> bool:
        return self._over

    def undo(self) -> None:
        """The first step takes all back, when the others are."""


class _Lead(_Part):
    name = "switch the link"

    def is_done(self) -> bool:
        return self._on.place.current() == self._on.release

    def do(self) -> None:
        self._on.outcome.touched = True
        self._on.place.lead(CURRENT, self._on.release)

    def undo(self) -> None:
        """Back to the release of before, in the link and in what runs, with the same proof."""
        on, service = self._on, self._on.settings.service
        on.outcome.well, on.outcome.went_back, on.outcome.touched = False, True, True
        on.place.lead(CURRENT, on.previous)
        was_running = on.references["starts"]
        if not on.previous or not was_running:
            # There is nothing that could be well: what did not run before does not run afterwards.
            service.stop_others(was_running)
            return
        on.started = service.restart(service.starts())
        if on.references["broken_before"]:
            return
        on.prove(on.previous)
        on.outcome.well = True


class _Restart(_Part):
    """After a kill it is done again: nobody knows what was started before the link was moved, and what after that."""

    name = "restart the application"

    def do(self) -> None:
        self._on.outcome.touched = True
        self._on.started = self._on.settings.service.restart(self._on.settings.service.starts())
        self._over = True


class _Prove(_Part):
    name = "see that it is well"

    def do(self) -> None:
        self._on.prove(self._on.release)
        self._over = True
        self._on.outcome.well = True


class _Remember(_Part):
    name = "remember the way back"

    def is_done(self) -> bool:
        return self._on.place.previous() == self._on.previous

    def do(self) -> None:
        self._on.place.lead(PREVIOUS, self._on.previous)

    def undo(self) -> None:
        self._on.place.lead(PREVIOUS, str(self._on.references["previous_of_before"]))


class _Keep(_Part):
    """Before the journal ends, so that a killed run leaves no switch without it. Written anew it is the same."""

    name = "keep the evidence"

    def do(self) -> None:
        self._on.keep("switched")
        self._over = True

    def undo(self) -> None:
        remove_tree(self._on.evidence_place)
        self._on.outcome.kept = {}
