# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rotation of keys that sign tokens: each run makes the moves whose time has come, and says when the next one is.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Each move is a journaled change of its own: the new version is stored as pending, promoted, and brought to the
consumers. The store's current version says everything that the next run, on whatever host, has to know.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.durations import format_duration
from .._core.health import Health
from .._core.journal import Journal, JournalBusy, JournalError, Step, StepFailed
from .._core.result import Finding, Result
from . import keys
from . import store as stores
from .ages import STUCK_SECONDS, age_of
from .consumers import Consumer
from .keys import NOTES, REPLACE, Lives, Move
from .placing import PlacingError
from .steps import Create, Finish, Policy, Reload, Rotation
from .store import CURRENT, PENDING, PREVIOUS, Secret, Store, StoreError
from .work import Busy, Stopped

_MASK = "********"
_MOST_MOVES = 8


@dataclasses.dataclass(frozen=True)
class KeyWork:
    """Everything that a rotation of keys needs.

    :param present: a shared secret that is in use, for a store that has none yet.
    """

    store: Store
    algorithm: str
    lives: Lives
    period: int
    from_percent: int
    force: bool
    emergency: bool
    consumers: tuple[Consumer, ...]
    health: Health
    state_dir: str
    present: str = dataclasses.field(default="", repr=False)
    now: t.Callable[[], datetime.datetime] = utc_now


@dataclasses.dataclass
class KeyOutcome:
    """What the module returns beside the result."""

    changed: bool = False
    moves: list[str] = dataclasses.field(default_factory=list)
    next_move: str = ""
    next_at: str = ""
    version: str = ""
    keys: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    written: list[str] = dataclasses.field(default_factory=list)
    before: str = ""
    after: str = ""

    def beside(self) -> dict[str, t.Any]:
        return {
            "moves": self.moves,
            "next_move": self.next_move,
            "next_at": self.next_at,
            "version": self.version,
            "keys": self.keys,
            "written": self.written,
            "diff": {"before": self.before, "after": self.after},
        }


class Keys:
    """What the steps of a rotation ask of the keys, in the place of a server."""

    errors: tuple[type[Exception], ...] = ()
    strategy = "keys"
    overlaps = True

    def __init__(self, work: KeyWork, move: str, brought: str = "") -> None:
        """:param brought: the version that this run has seen the consumers take up already."""
        self.name = work.store.place
        self.brought = brought
        self._now = work.now
        self._move = move

    def moment(self) -> str:
        return write_time(self._now())

    def new_value(self, current: stores.Value, _user: str, _password: str) -> dict[str, t.Any]:
        return keys.moved(self._move, current, self._now())

    def fields(self, secret: Secret) -> dict[str, str]:
        return keys.fields(secret.value)

    def hidden(self, secret: Secret) -> set[str]:
        """Each private key, as it is and line by line."""
        private = [str(key.get("private") or "") for key in secret.value.get("keys") or ()]
        return {line for text in private for line in (text, *text.splitlines())}

    def watch_failures(self) -> None:
        """Nobody sees who was refused with a token."""

    def new_uses(self, _user: str, _after: str, _application: str) -> list[str]:
        return []


class Bring(Reload):
    """See that the consumers have what is current, before it is noted that they do."""

    name = "bring"

    def is_done(self) -> bool:
        brought = getattr(self.rotation.target, "brought", "")
        return brought == self.rotation.old_version or super().is_done()

    def _secret(self) -> Secret:
        old = self.rotation.old()
        if old is None:
            raise StoreError(f"{self.rotation.store.place} has no version {self.rotation.old_version} any more")
        return old

    def undo(self) -> None:
        """Nothing: they have what they should have."""


def rotate_keys(work: KeyWork, check: bool, outcome: KeyOutcome) -> Result:
    """Make the moves whose time has come; take up first what a killed run has left."""
    run = _Run(work, outcome)
    try:
        return run.foretell() if check else run.go()
    except (Busy, JournalBusy, stores.PendingElsewhere) as exc:
        return Result("unknown", "no key was moved", run.clean(f"busy: {exc}"), of=1)
    except (StoreError, PlacingError, Stopped, JournalError, StepFailed, OSError) as exc:
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
        with Journal(self.work.state_dir, f"keys {self.store.place}") as journal:
            self._take_up(journal)
            if self.store.read(CURRENT) is None:
                self._first()
            self._tidy()
            for _time in range(_MOST_MOVES):
                current = self._current()
                move = self._next(current)
                if move is None or not move.is_due(self.work.now()):
                    return self._told(current, move)
                self._make(journal, move.kind, current)
        raise Stopped(f"after {_MOST_MOVES} moves there is still one to make")

    def foretell(self) -> Result:
        """What the first of the moves would be; those after it depend on when it is done."""
        left = Journal(self.work.state_dir, f"keys {self.store.place}").peek()
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
        signing = next(key for key in value["keys"] if key["kid"] == value["signing"])
        since = signing["signs_since"]
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
        public = ("kid", "made", "published", "signs_since")
        outcome.keys = [
            {**{name: key[name] for name in public}, "signs": key["kid"] == value["signing"]} for key in value["keys"]
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
