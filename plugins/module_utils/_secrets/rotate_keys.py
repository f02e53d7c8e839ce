# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rotation of keys that sign tokens: each run makes the moves whose time has come, and says when the next one is.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Each move is a journaled change of its own: the new version is stored as pending, promoted, and brought to the
consumers. The store's current version says everything that the next run, on whatever host, has to know.
"""

from __future__ import annotations

import datetime
import time
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.durations import format_duration
from .._core.journal import Journal, JournalBusy, JournalError, Step, StepFailed
from .._core.result import Finding, Result
from . import keys
from . import store as stores
from .ages import STUCK_SECONDS, age_of
from .consumers import ConsumerFailed
from .key_work import Bring, KeyOutcome, Keys, KeyWork
from .keys import NOTES, REPLACE, Move
from .placing import PlacingError
from .rotation import Policy, Rotation
from .steps import Create, Finish, Reload
from .store import CURRENT, PENDING, PREVIOUS, Secret, StoreError
from .work import Busy, Stopped

_MASK = "********"
_MOST_MOVES = 8


def rotate_keys(work: KeyWork, check: bool, outcome: KeyOutcome, rollback: bool = False) -> Result:
    """Make the moves whose time has come; take up first what a killed run has left, or take the rotation back."""
    run = _Run(work, outcome)
    try:
        if rollback:
            return run.foretell_back() if check else run.go_back()
        return run.foretell() if check else run.go()
    except (Busy, JournalBusy, stores.PendingElsewhere) as exc:
        return Result("unknown", "no key was moved", run.clean(f"busy: {exc}"), of=1)
    except (StoreError, PlacingError, Stopped, JournalError, StepFailed, OSError) as exc:
        if isinstance(exc.__cause__, stores.PendingElsewhere) and getattr(exc, "undone", False):
            return Result("unknown", "no key was moved", run.clean(f"busy: {exc.__cause__}"), of=1)
        return Result("failed", "the keys were not rotated", run.clean(str(exc)), tuple(run.findings), {}, 0, 1)


class _Run:
    def __init__(self, work: KeyWork, outcome: KeyOutcome) -> None:
        self.work = work
        self.store = work.store
        self.outcome = outcome
        self.findings: list[Finding] = []
        self.began = time.monotonic()
        self._hidden: set[str] = {work.present} if work.present else set()
        self._replaced = False
        self._brought = ""

    def go(self) -> Result:
        with Journal(self.work.state_dir, self._subject) as journal:
            self._take_up(journal)
            if self.store.read(CURRENT) is None:
                self._first()
            self._tidy()
            return self._go_on(journal)

    def _go_on(self, journal: Journal, notes_only: bool = False) -> Result:
        for _time in range(_MOST_MOVES):
            current = self._current()
            move = self._next(current)
            if move is None or not move.is_due(self.work.now()) or (notes_only and move.kind not in NOTES):
                return self._told(current, move)
            if move.kind in NOTES and self.work.others.missing(current.version):
                # A wait is counted from the moment at which all hosts have it.
                self._bring_here(current)
                return self._told(current, move)
            self._make(journal, move.kind, current)
        raise Stopped(f"after {_MOST_MOVES} moves there is still one to make")

    def _bring_here(self, current: Secret) -> None:
        rotation = self._rotation({"move": "", "token": "", "old_version": current.version})
        step = Bring(rotation)
        try:
            if not step.is_done():
                self.outcome.changed = True
                step.do()
        except (ConsumerFailed, RuntimeError) as exc:
            raise Stopped(f"the current keys are not in use here: {exc}") from None
        finally:
            self._keep(rotation)

    @property
    def _subject(self) -> str:
        return f"keys {self.store.place}"

    def go_back(self) -> Result:
        """Have the old key sign again; the new one is accepted until no token of it can be valid any more."""
        with Journal(self.work.state_dir, self._subject) as journal:
            taken_back = self._take_back_move(journal)
            self._tidy()
            current = self._current()
            move = keys.way_back(current.value)
            if move:
                self._make(journal, move, current)
            elif not taken_back and self.work.others.seen is None:
                self._refuse_to_go_back()
            return self._go_on(journal, notes_only=True)

    def _take_back_move(self, journal: Journal) -> str:
        """A move that a killed run has left half-way is taken back first, whatever it was."""
        references = journal.references
        if references is None:
            return ""
        kind = str(references["move"])
        if kind == REPLACE:
            raise Stopped("an emergency is not taken back: whoever knows the old key would be let in again")
        rotation = self._rotation(references)
        self.outcome.changed = True
        journal.abandon(self._steps(kind, rotation))
        self._keep(rotation)
        return kind

    def _refuse_to_go_back(self) -> t.NoReturn:
        raise Stopped(
            f"{self.store.place} has one key only, or its rotation is taken back already: there is nothing to go back"
            " to. A rotation that has ended has removed its old key; force: true makes another new one"
        )

    def foretell_back(self) -> Result:
        left = Journal(self.work.state_dir, self._subject).peek()
        current = self._current()
        move = keys.way_back(current.value) or (left and "take back")
        if not move:
            self._refuse_to_go_back()
        self.outcome.changed, self.outcome.moves = True, [str(move)]
        self.outcome.before, self.outcome.after = _lines(current.value), f"after: {move}\n"
        return Result("ok", "would take the rotation back", looked=1, of=1)

    def foretell(self) -> Result:
        """What the first of the moves would be; those after it depend on when it is done."""
        left = Journal(self.work.state_dir, self._subject).peek()
        if self.store.read(CURRENT) is None:
            self.outcome.changed = True
            self.outcome.moves = ["first"]
            return Result("ok", "would make the first key", looked=1, of=1)
        current = self._current()
        self._check_consumers(current)
        move = self._next(current)
        if left or (move and move.is_due(self.work.now())):
            kind = left["move"] if left else t.cast(Move, move).kind
            self.outcome.changed = True
            self.outcome.moves = [kind]
            self.outcome.before, self.outcome.after = _lines(current.value), f"after: {kind}\n"
            return Result("ok", f"would {kind.replace('_', ' ')}", looked=1, of=1)
        return self._told(current, move)

    def _take_up(self, journal: Journal) -> None:
        references = journal.references
        if references is None:
            return
        rotation = self._rotation(references)
        self.outcome.changed = True
        how = journal.resume(self._steps(references["move"], rotation))
        self._keep(rotation)
        if how == "done":
            self.outcome.moves.append(references["move"])
            self._replaced = references["move"] == REPLACE

    def _first(self) -> None:
        work = self.work
        token = stores.new_token()
        now = work.now()
        value = keys.adopted(work.present, now) if work.present else keys.first(work.algorithm, now)
        self.store.create_first(token, value)
        self.outcome.changed = True
        self.outcome.moves.append("first")

    def _tidy(self) -> None:
        """Take off the labels that a killed run has left.

        What was current before is nothing to fall back on: after a removal, it has what must not be accepted. A pending
        version of another host has reached nobody, and is withdrawn, unless that host may be at work.
        """
        versions = self.store.versions()
        pending, current = stores.labelled(versions, PENDING), stores.labelled(versions, CURRENT)
        previous = stores.labelled(versions, PREVIOUS)
        if previous:
            self.store.retire(previous.id)
        if pending is None or (current and pending.id == current.id):
            return
        age = age_of(pending, utc_now())
        if age is not None and age < STUCK_SECONDS:
            raise Busy(
                f"version {pending.id} of {self.store.place} became pending {format_duration(age)} ago elsewhere"
            )
        self.store.withdraw(pending.id)
        self.outcome.changed = True
        message = f"version {pending.id} was pending without a rotation of this host, so it was withdrawn"
        self.findings.append(Finding("secret-left-pending", "low", self.store.place, message))

    def _current(self) -> Secret:
        current = self.store.read(CURRENT)
        if current is None:
            raise Stopped(f"{self.store.place} has no current version")
        keys.check(current.value, self.work.algorithm, self.store.place)
        self._hidden |= Keys(self.work, "").hidden(current)
        return current

    def _next(self, current: Secret) -> Move | None:
        work, now = self.work, self.work.now()
        if work.emergency and not self._replaced:
            return Move(REPLACE, now)
        return keys.next_move(current.value, now, work.lives, self._is_due(current.value, now))

    def _is_due(self, value: stores.Value, now: datetime.datetime) -> bool:
        if self.work.force and keys.PUBLISH not in self.outcome.moves and keys.REMOVE not in self.outcome.moves:
            return True
        since = keys.signs_since(value)
        age = (now - parse_time(since)).total_seconds() if since else 0
        return age >= self.work.period * self.work.from_percent / 100

    def _make(self, journal: Journal, kind: str, current: Secret) -> None:
        self._check_consumers(current)
        references = {"move": kind, "token": stores.new_token(), "old_version": current.version}
        rotation = self._rotation(references)
        self.outcome.before = self.outcome.before or _lines(current.value)
        self.outcome.changed = True
        try:
            journal.run(self._steps(kind, rotation), references)
        finally:
            self._keep(rotation)
            for problem in rotation.problems:
                message = self.clean(f"after the move was taken back: {problem}")
                self.findings.append(Finding("secret-consumer-unproved", "high", self.store.place, message))
        self.store.retire(current.version)
        self.outcome.moves.append(kind)
        self._brought = rotation.token
        self._replaced = self._replaced or kind == REPLACE

    def _check_consumers(self, current: Secret) -> None:
        told = keys.fields(current.value)
        for consumer in self.work.consumers:
            for placed in consumer.files:
                placed.check(told)
            consumer.has_files(told)

    def _steps(self, kind: str, rotation: Rotation) -> list[Step]:
        order = (Bring, Create, Finish) if kind in NOTES else (Create, Finish, Reload)
        return [step(rotation) for step in order]

    def _rotation(self, references: t.Mapping[str, t.Any]) -> Rotation:
        return Rotation(
            store=self.store,
            target=t.cast(t.Any, Keys(self.work, references["move"], self._brought)),
            consumers=self.work.consumers,
            health=self.work.health,
            policy=Policy(),
            token=references["token"],
            old_version=references["old_version"],
            user="",
            old_user="",
            set_at="",
        )

    def _keep(self, rotation: Rotation) -> None:
        self._hidden |= rotation.hidden
        self.outcome.written += [path for path in rotation.written if path not in self.outcome.written]

    def _told(self, current: Secret, move: Move | None) -> Result:
        outcome, value = self.outcome, current.value
        outcome.version = current.version
        outcome.after = _lines(value)
        outcome.before = outcome.before or outcome.after
        public = ("kid", "made", "published", "signs_since", "withdrawn")
        outcome.keys = [
            {**{name: key.get(name, "") for name in public}, "signs": key["kid"] == value["signing"]}
            for key in value["keys"]
        ]
        count = len(value["keys"])
        summary = f"{count} key{'s' if count > 1 else ''}, {value['signing']} signs"
        if outcome.moves:
            summary += f"; done: {', '.join(outcome.moves)}"
        figures: dict[str, float] = {"keys": count, "duration_seconds": round(time.monotonic() - self.began, 3)}
        if move:
            outcome.next_move, outcome.next_at = move.kind, write_time(move.at)
            figures["wait_seconds"] = int((move.at - self.work.now()).total_seconds())
            summary += f"; next: {move.kind} at {outcome.next_at}"
        others = self.work.others
        outcome.missing_hosts = others.missing(current.version)
        if outcome.missing_hosts and others.seen is not None and not outcome.moves:
            reason = f"the current keys have not been seen in use on {', '.join(outcome.missing_hosts)}"
            return Result("unknown", summary, reason, tuple(self.findings), figures, 0, 1)
        verdict = "findings" if self.findings else "ok"
        return Result(verdict, summary, "", tuple(self.findings), figures, 1, 1)

    def clean(self, text: str) -> str:
        for value in sorted(self._hidden, key=len, reverse=True):
            if len(value) > 3:
                text = text.replace(value, _MASK)
        return " ".join(text.split())


def _lines(value: stores.Value) -> str:
    lines = [f"{key['kid']}{' (signs)' if key['kid'] == value['signing'] else ''}\n" for key in value["keys"]]
    return "".join(lines)
