# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seven steps of a rotation: create, set, test, finish, reload, observe, retire.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Each step asks store, server or consumer whether it is done, never the journal. Up to the last one all can be taken
back, and is, when a step fails: then the old secret is the current one again, opens what it opened, and is with all
consumers.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.health import Health
from .._core.journal import JournalError, Step
from . import store as stores
from .consumers import Consumer, ConsumerFailed
from .gates import Gate
from .store import CURRENT, PENDING, PREVIOUS, Secret, Store, StoreError
from .target import Target

NAMES = ("create", "set", "test", "finish", "reload", "observe", "retire")

_PAUSE = 0.5
_RENEW_EVERY = 3
_SHOWN = 5


class StaysOpen(JournalError):
    """The rotation goes on with the next run.

    It is a JournalError so that the journal neither undoes what is right nor calls it done.
    """


class Unseen(StaysOpen):
    """It could not be seen who uses the old secret."""


class StillInUse(StaysOpen):
    """The old secret is still used."""

    def __init__(self, uses: t.Sequence[str]) -> None:
        more = f"; and {len(uses) - _SHOWN} more" if len(uses) > _SHOWN else ""
        super().__init__(f"the old secret is still used: {'; '.join(uses[:_SHOWN])}{more}")
        self.uses = list(uses)


@dataclasses.dataclass(frozen=True)
class Policy:
    """How a rotation goes about it; times in seconds.

    :param observe_for: how long the application is watched before the old secret is closed.
    :param observe_timeout: how long the old secret may still be used before the rotation is left open.
    :param old_sessions: what becomes of sessions that the old secret let in: "wait" for their end, "keep" them, or
        "end" them. Where both secrets are good at the same time, "keep" is no choice: closing the old one needs them
        gone.
    :param failed_logins_allowed: how many logins of the new secret's role may be refused while it is watched.
    """

    password_length: int = 40
    observe_for: float = 10
    observe_timeout: float = 300
    old_sessions: str = "wait"
    failed_logins_allowed: int = 5


@dataclasses.dataclass
class Rotation:
    """One rotation: what it works on, and what it measured."""

    store: Store
    target: Target
    consumers: tuple[Consumer, ...]
    health: Health
    policy: Policy
    token: str
    old_version: str
    user: str
    old_user: str
    #: The moment of the server's clock at which the new secret was set, or a later one where that is not known.
    set_at: str
    gates: tuple[Gate, ...] = ()
    set_clock: float = 0.0
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    written: list[str] = dataclasses.field(default_factory=list)
    ended_sessions: int = 0
    #: What was left undone while all was taken back.
    problems: list[str] = dataclasses.field(default_factory=list)
    #: What must not be in anything that is told, should anybody quote it.
    hidden: set[str] = dataclasses.field(default_factory=set, repr=False)
    _watched: bool = False
    _known: dict[str, Secret] = dataclasses.field(default_factory=dict, repr=False)

    def new(self) -> Secret:
        secret = self._read(self.token)
        if secret is None:
            raise StoreError(f"{self.store.place} has no version {self.token}")
        return secret

    def old(self) -> Secret | None:
        return self._read(self.old_version)

    def _read(self, version: str) -> Secret | None:
        """A version has one value for all times, so it is read once."""
        secret = self._known.get(version) or self.store.read_version(version)
        if secret:
            self._known[version] = secret
            self.hidden |= self.target.hidden(secret)
        return secret

    def uses(self) -> list[str]:
        return self.target.old_uses(self.old_user, self.user, self.set_at)

    def watch(self) -> None:
        """Have refused logins counted from the first time on that this is called."""
        if not self._watched:
            self.target.watch_failures()
            self._watched = True

    def refuse_failures(self) -> None:
        """:raises RuntimeError: when more logins are refused than may be, so that all is taken back."""
        failed = self.target.failed_logins(self.user)
        if failed is None:
            return
        self.figures["failed_logins"] = failed
        if failed > self.policy.failed_logins_allowed:
            allowed = self.policy.failed_logins_allowed
            raise RuntimeError(f"{failed} logins of {self.user} were refused since the switch, and {allowed} may be")

    def end_old(self) -> None:
        if self.policy.old_sessions == "end":
            self.ended_sessions += self.target.end_old(self.old_user, self.user, self.set_at)

    def renew_gates(self) -> None:
        for gate in self.gates:
            gate.renew()

    def let_back_in(self, old: Secret | None) -> None:
        """Have pools know the old secret, and no new one. One that does not listen keeps nobody else waiting."""
        for gate in self.gates:
            try:
                # Where two alternate, it knows the old one all the time.
                if self.user != self.old_user:
                    gate.shut_out(self.user)
                elif old:
                    gate.let_in(old, self.target.fields(old))
            except ConsumerFailed as exc:
                self.problems.append(str(exc))

    def steps(self) -> list[Step]:
        return [kind(self) for kind in (Create, Set, Test, Finish, Reload, Observe, Retire)]


class _Step:
    name = ""
    point_of_no_return = False

    def __init__(self, rotation: Rotation) -> None:
        self.rotation = rotation

    def undo(self) -> None:
        """Nothing: it only looked."""


class Create(_Step):
    """Make the new secret and store it as pending, before anything knows it."""

    name = "create"

    def is_done(self) -> bool:
        return self.rotation.store.read_version(self.rotation.token) is not None

    def do(self) -> None:
        rotation = self.rotation
        current = rotation.store.read_version(rotation.old_version)
        if current is None:
            raise StoreError(f"{rotation.store.place} has no version {rotation.old_version} any more")
        password = stores.new_password(rotation.policy.password_length)
        value = rotation.target.new_value(current.value, rotation.user, password)
        rotation.store.create_pending(rotation.token, value)

    def undo(self) -> None:
        self.rotation.store.withdraw(self.rotation.token)


class Set(_Step):
    """Have the target accept it. Pending, current, previous: whichever opens now, the pending one does afterwards.

    Pools that check logins themselves are a part of that: they know it before anybody can be given it.
    """

    name = "set"

    def __init__(self, rotation: Rotation) -> None:
        super().__init__(rotation)
        self._let_in = not rotation.gates

    def is_done(self) -> bool:
        return self._let_in and self.rotation.target.opens(self.rotation.new())

    def do(self) -> None:
        rotation = self.rotation
        new = rotation.new()
        if not rotation.gates or not rotation.target.opens(new):
            rotation.target.set(new, rotation.old())
            rotation.set_at = rotation.target.moment()
            rotation.set_clock = time.monotonic()
        for gate in rotation.gates:
            rotation.written += gate.let_in(new, rotation.target.fields(new))
        self._let_in = True

    def undo(self) -> None:
        rotation = self.rotation
        new, old = rotation.store.read_version(rotation.token), rotation.old()
        rotation.target.set_back(new, old)
        rotation.let_back_in(old)


class Test(_Step):
    """Use it as the application does, before anybody is given it. A run that is taken up tests again."""

    name = "test"

    def __init__(self, rotation: Rotation) -> None:
        super().__init__(rotation)
        self._logins = 0

    def is_done(self) -> bool:
        return self._logins > 0

    def do(self) -> None:
        self._logins = self.rotation.target.test(self.rotation.new(), self.rotation.old())
        self.rotation.figures["tested_logins"] = self._logins


class Finish(_Step):
    """Move the labels: whoever reads the store gets the new one from now on."""

    name = "finish"

    def is_done(self) -> bool:
        versions = self.rotation.store.versions()
        current, pending = stores.labelled(versions, CURRENT), stores.labelled(versions, PENDING)
        return current is not None and current.id == self.rotation.token and pending is None

    def do(self) -> None:
        rotation = self.rotation
        if rotation.target.overlaps:
            # Both are good now, so whoever is refused from here on has the new one wrong.
            rotation.watch()
        rotation.store.promote(rotation.token)
        if rotation.set_clock and not rotation.target.overlaps:
            rotation.figures["store_gap_seconds"] = round(time.monotonic() - rotation.set_clock, 3)

    def undo(self) -> None:
        self.rotation.store.restore(self.rotation.old_version, self.rotation.token)


class Reload(_Step):
    """Give it to the consumers, have them take it up, and see that they did and that the application is well."""

    name = "reload"

    def __init__(self, rotation: Rotation) -> None:
        super().__init__(rotation)
        self._proved = False

    def is_done(self) -> bool:
        rotation = self.rotation
        if not rotation.consumers and not rotation.health.asks:
            return True
        fields = rotation.target.fields(self._secret())
        return self._proved and all(consumer.has_files(fields) for consumer in rotation.consumers)

    def _secret(self) -> Secret:
        """What the consumers are given."""
        return self.rotation.new()

    def do(self) -> None:
        rotation = self.rotation
        fields = rotation.target.fields(self._secret())
        for consumer in rotation.consumers:
            rotation.written += consumer.give(fields)
        for consumer in rotation.consumers:
            self._take_up(consumer, rotation.user)
        rotation.renew_gates()
        if rotation.set_clock and not rotation.target.overlaps:
            rotation.figures["consumers_gap_seconds"] = round(time.monotonic() - rotation.set_clock, 3)
        wrong = rotation.health.wait() if rotation.health.asks else ""
        if wrong:
            raise RuntimeError(f"the application is not well with the new secret: {wrong}")
        self._proved = True

    def undo(self) -> None:
        rotation = self.rotation
        old = rotation.old()
        if old is None:
            raise StoreError(f"{rotation.store.place} has no version {rotation.old_version} any more")
        if not rotation.target.overlaps:
            # Before anybody is sent back to the old secret, it has to open again, and to be what the store gives.
            new = rotation.store.read_version(rotation.token)
            rotation.target.set_back(new, old)
            rotation.let_back_in(old)
            rotation.store.restore(rotation.old_version, rotation.token)
        fields = rotation.target.fields(old)
        for consumer in rotation.consumers:
            consumer.give(fields)
        for consumer in rotation.consumers:
            try:
                self._take_up(consumer, rotation.old_user)
            except ConsumerFailed as exc:
                # It may be the very one because of which all is taken back: the others must not wait for it.
                rotation.problems.append(str(exc))

    def _take_up(self, consumer: Consumer, user: str) -> None:
        target = self.rotation.target
        since = target.moment()
        consumer.reload()
        consumer.prove(lambda after, name: target.new_uses(user, after, name), since)


class Observe(_Step):
    """Wait until nobody uses the old secret any more, and see whether the application stays well meanwhile."""

    name = "observe"

    def __init__(self, rotation: Rotation) -> None:
        super().__init__(rotation)
        self._observed = False

    def is_done(self) -> bool:
        return self._observed

    def do(self) -> None:
        rotation, policy = self.rotation, self.rotation.policy
        began = renewed = time.monotonic()
        rotation.watch()
        while True:
            wrong = rotation.health.problem() if rotation.health.asks else ""
            if wrong:
                raise RuntimeError(f"the application is not well with the new secret: {wrong}")
            rotation.refuse_failures()
            passed = time.monotonic() - began
            try:
                uses = rotation.uses() if policy.old_sessions == "wait" else []
            except rotation.target.errors as exc:
                # Not a reason to take back what is right, but not clean, either.
                if passed >= policy.observe_timeout:
                    raise Unseen(f"it cannot be seen who uses the old secret: {exc}") from None
            else:
                if not uses and passed >= policy.observe_for:
                    break
                if uses and passed >= policy.observe_timeout:
                    raise StillInUse(uses)
                if uses and time.monotonic() - renewed >= _RENEW_EVERY:
                    # A client that still had the old one has made a pool open another session with it, and left.
                    rotation.renew_gates()
                    renewed = time.monotonic()
            time.sleep(_PAUSE)
        self._observed = True


class Retire(_Step):
    """Close the old secret, and see that it opens nothing any more."""

    name = "retire"
    point_of_no_return = True

    def is_done(self) -> bool:
        rotation = self.rotation
        previous = stores.labelled(rotation.store.versions(), PREVIOUS)
        if previous is not None and previous.id == rotation.old_version:
            return False
        old = rotation.old()
        return old is None or not rotation.target.opens(old)

    def do(self) -> None:
        rotation = self.rotation
        # The label first: as long as the old secret opens, all can be taken back, and once it does not, all is done.
        rotation.store.retire(rotation.old_version)
        rotation.target.retire(rotation.old_user, rotation.user)
        rotation.end_old()
