# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch to a release: one link, a restart that is seen, health that lasts; and the way back, with the same proof.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._core.clock import utc_now, write_time
from .._core.journal import Journal, JournalError, StepFailed
from .._core.result import Finding, Result, ok_or_findings
from . import asking, condition, evidence, inventory
from .place import Place, ReleaseError
from .service import users_of
from .steps import RETURNED, SWITCHED, Change, Outcome, Settings

_PATIENCE_BEFORE = 3


class _Refused(Exception):
    """Nothing was touched; the verdict and why."""

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


def switch(settings: Settings, check_mode: bool, outcome: Outcome) -> Result:
    """Have the application run the release, proved, or the one of before, proved, and say why."""
    try:
        return _Run(settings, outcome).run(check_mode)
    except _Refused as exc:
        return _not_done(settings, outcome, exc.verdict, f"{exc}; nothing was touched")
    except StepFailed as exc:
        return _not_done(settings, outcome, "failed", _reason_of(exc, outcome))
    except (ReleaseError, JournalError) as exc:
        return _not_done(settings, outcome, "failed", str(exc))
    except OSError as exc:
        return _not_done(settings, outcome, "failed", f"{exc.filename or settings.directory}: {exc.strerror or exc}")


def _reason_of(exc: StepFailed, outcome: Outcome) -> str:
    first = exc.__cause__.__context__ if exc.__cause__ and not exc.undone else None
    told = f"{first}; and then {exc}" if first else str(exc)
    if exc.undone and outcome.broken_before:
        return f"{told}; it was broken before, too: {outcome.broken_before}"
    if exc.undone and outcome.well:
        return f"{told}; the release {outcome.previous} runs again and was seen well"
    return told


def _not_done(settings: Settings, outcome: Outcome, verdict: str, reason: str) -> Result:
    what = "went back to" if outcome.went_back else "still has"
    summary = f"{settings.application} was not switched to {outcome.release or 'another release'}"
    if outcome.previous:
        summary += f" and {what} {outcome.previous}"
    findings = []
    if outcome.went_back:
        action = "see why in the journal of its services; the release is kept beside for that"
        severity = "high" if outcome.well else "critical"
        findings.append(Finding("went-back", severity, settings.application, reason[:2000], action=action))
    findings += _lost(settings, outcome)
    done = {
        "subject": settings.application,
        "action": "went-back" if outcome.went_back else "leave",
        "before": {"release": outcome.previous},
        # Empty: nobody may take it for a release that was seen well.
        "after": {},
        "evidence": outcome.kept,
    }
    return Result(verdict, summary, reason, tuple(findings), of=1, done=(done,) if outcome.kept else ())


def _lost(settings: Settings, outcome: Outcome) -> list[Finding]:
    if not outcome.lost:
        return []
    message = f"the evidence of the switch was not kept: {outcome.lost}"
    return [Finding("evidence-lost", "medium", settings.application, message, action="see what is wrong in state_dir")]


class _Run:
    """One switch from the look at what is there to the removal of what is no longer needed."""

    def __init__(self, settings: Settings, outcome: Outcome) -> None:
        self._settings = settings
        self._outcome = outcome
        self._place = Place(settings.directory)
        self._findings: list[Finding] = []
        #: What was begun, by this run or by one that was killed.
        self._change: Change | None = None

    def run(self, check_mode: bool) -> Result:
        journal = Journal(self._settings.state_dir, f"release in use in {os.path.abspath(self._settings.directory)}")
        if check_mode:
            return self._foretell(journal.peek())
        with journal:
            wanted = self._wanted(journal.references)
            self._look(wanted, check_mode)
            try:
                taken_up = self._take_up(journal, wanted)
                self._outcome.changed = bool(taken_up)
                self._tell(wanted)
                if taken_up == "done" or self._place.current() == wanted:
                    self._see_well(taken_up)
                    what = "was switched to" if taken_up == "done" else "has already"
                else:
                    self._go(journal, wanted)
                    what = "was switched to"
            except StepFailed as exc:
                # The link is back, and yet there were restarts.
                self._outcome.changed = self._outcome.changed or not exc.undone or self._outcome.went_back
                if self._change is not None and self._outcome.touched:
                    self._change.keep("went back" if exc.undone else "left open")
                raise
        self._prune()
        return self._told(wanted, what)

    def _wanted(self, unfinished: t.Mapping[str, t.Any] | None) -> str:
        given = self._settings.release
        if self._settings.state == SWITCHED:
            return given
        if unfinished:
            # A killed way back is to the same release as when it began; a killed switch is taken back.
            wanted = str(unfinished["release" if unfinished["is_return"] else "previous"])
        elif given and self._place.current() != given:
            # Done already: the way back of the way back leads to where nobody wanted to stay.
            wanted = self._place.current()
        else:
            wanted = self._place.previous()
        if not wanted:
            raise _Refused("failed", f"no release was in use before {self._place.current() or 'any'}")
        return wanted

    def _look(self, wanted: str, check_mode: bool) -> None:
        """Whether the release is what was installed, before anything is switched."""
        self._outcome.release, self._outcome.previous = wanted, self._place.current()
        if check_mode and not self._place.has(wanted):
            return
        there = condition.condition_of(self._place, wanted)
        if there.damage:
            raise _Refused("failed", f"the release {wanted} is not what was installed: {there.damage}")
        self._outcome.evidence = evidence.evidence_of(there.described)

    def _take_up(self, journal: Journal, wanted: str) -> str:
        """Bring to its end what a killed run left: "done" when that is what is wanted, "undone", or "" for nothing."""
        references = journal.references
        if references is None:
            return ""
        left = self._change = Change(self._settings, self._place, references, self._outcome)
        self._outcome.broken_before = str(references["broken_before"])
        if references["release"] == wanted and not journal.is_being_undone:
            self._outcome.previous = str(references["previous"])
            return journal.resume(left.steps())
        # It was being taken back, or another one is wanted now.
        journal.abandon(left.steps())
        self._outcome.previous = self._place.current()
        self._outcome.went_back = False
        return "undone"

    def _tell(self, wanted: str) -> None:
        if not self._place.has(wanted):
            return  # in check mode: whoever installs it has told what it brings
        before = condition.packages_of(self._place, self._outcome.previous)
        after = condition.packages_of(self._place, wanted)
        self._outcome.differences = inventory.difference(before, after)
        name = self._settings.application
        self._outcome.diff = {
            "before": condition.lines(name, self._outcome.previous, before),
            "after": condition.lines(name, wanted, after),
        }

    def _see_well(self, taken_up: str) -> None:
        """Nothing to switch: the application runs and is well, or this is no proof."""
        if taken_up == "done":
            return
        starts = self._settings.service.starts()
        missing = [name for name in self._settings.service.names if name not in starts]
        problem = f"{missing[0]} does not run" if missing else self._settings.health.problem()
        if not problem and self._settings.version_url:
            names = (*(self._outcome.evidence.get(key) for key in ("commit", "archive_sha256")), self._outcome.release)
            problem = asking.asks_release(self._settings.version_url, tuple(name for name in names if name))
        if problem:
            raise ReleaseError(f"the release {self._outcome.release} is in use, and it is not well: {problem}")
        self._outcome.well = True

    def _broken(self) -> str:
        """Why the application is not well now, where it should be."""
        if not self._place.current():
            return ""
        starts = self._settings.service.starts()
        missing = [name for name in self._settings.service.names if name not in starts]
        if missing:
            return f"{missing[0]} does not run"
        health = self._settings.health
        # One answer that was lost is no reason to call it broken.
        return dataclasses.replace(health, timeout=min(health.timeout, _PATIENCE_BEFORE)).wait()

    def _refuse_broken(self) -> None:
        self._outcome.broken_before = self._broken()
        if self._outcome.broken_before and not self._settings.accept_broken:
            reason = f"it was broken before: {self._outcome.broken_before}"
            raise _Refused("failed", f"{reason}; to switch all the same, set accept_broken")

    def _go(self, journal: Journal, wanted: str) -> None:
        self._refuse_broken()
        references = {
            "release": wanted,
            "previous": self._outcome.previous,
            "previous_of_before": self._place.previous(),
            "starts": self._settings.service.starts() if self._outcome.previous else {},
            "broken_before": self._outcome.broken_before,
            "is_return": self._settings.state == RETURNED,
            "at": write_time(utc_now()),
        }
        making = self._change = Change(self._settings, self._place, references, self._outcome)
        journal.run(making.steps(), references)
        self._outcome.changed = True

    def _foretell(self, unfinished: t.Mapping[str, t.Any] | None) -> Result:
        wanted = self._wanted(unfinished)
        self._look(wanted, check_mode=True)
        self._tell(wanted)
        if not unfinished and self._place.current() == wanted:
            self._see_well("")
            return self._told(wanted, "has already")
        self._refuse_broken()
        self._outcome.changed = True
        after = ", after what a killed run left is brought to its end" if unfinished else ""
        return self._told(wanted, f"would be switched{after} to")

    def _prune(self) -> None:
        """Old releases, but never the one in use, the one of before, or one in which a process stands."""
        place, outcome = self._place, self._outcome
        try:
            for release in place.surplus(self._settings.keep, {place.current(), place.previous()}):
                users = users_of(os.path.realpath(place.path_of(release)))
                if users:
                    message = f"{', '.join(users[:3])} still works in it"
                    action = "restart what belongs to the application; the next run removes the release"
                    self._findings.append(Finding("release-in-use", "low", release, message, action=action))
                    continue
                place.remove(release)
                outcome.removed.append(release)
        except OSError as exc:
            message = f"old releases cannot be removed: {exc.filename}: {exc.strerror or exc}"
            action = "remove them by hand"
            self._findings.append(Finding("releases-left", "low", self._settings.directory, message, action=action))

    def _told(self, wanted: str, what: str) -> Result:
        outcome, application = self._outcome, self._settings.application
        outcome.previous = outcome.previous if outcome.previous != wanted else self._place.previous()
        summary = f"{application} {what} the release {wanted}"
        if outcome.broken_before:
            message = f"before the switch the application was not well: {outcome.broken_before}"
            action = "see why nobody was told"
            self._findings.append(Finding("broken-before", "medium", application, message, action=action))
        self._findings += _lost(self._settings, outcome)
        figures = {"changed_packages": len(outcome.differences), "removed_releases": len(outcome.removed)}
        result = ok_or_findings(summary, self._findings, figures, looked=1, of=1)
        action = "return" if self._settings.state == RETURNED else "release"
        done: dict[str, t.Any] = {
            "subject": application,
            "action": action if outcome.changed else "keep",
            "before": {"release": outcome.previous},
            "after": {**outcome.evidence, "seen_well": write_time(utc_now())} if outcome.well else {},
            **({"running_tests": outcome.tests} if outcome.tests else {}),
            **({"evidence": outcome.kept} if outcome.kept else {}),
        }
        return dataclasses.replace(result, done=(done,))
