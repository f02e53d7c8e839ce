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

import datetime
import time

from .._core.clock import utc_now
from .._core.journal import Step
from . import store as stores
from .consumers import Consumer, ConsumerFailed, Refused
from .placing import Fields
from .rotation import Overlapping, Rotation, StillInUse, Unseen
from .store import CURRENT, PENDING, PREVIOUS, Secret, StoreError

NAMES = ("create", "set", "test", "finish", "reload", "observe", "retire")

_PAUSE = 0.5
_RENEW_EVERY = 3


def steps_of(rotation: Rotation) -> list[Step]:
    return [kind(rotation) for kind in (Create, Set, Test, Finish, Reload, Observe, Retire)]


class _Step:
    name = ""
    point_of_no_return = False

    def __init__(self, rotation: Rotation) -> None:
        self.rotation = rotation

    def undo(self) -> None:
        self.rotation.patiently(self.take_back)

    def take_back(self) -> None:
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

    def take_back(self) -> None:
        self.rotation.store.withdraw(self.rotation.token)


class Set(_Step):
    """Have the target accept it. Pending, current, previous: whichever opens now, the pending one does afterwards.

    Pools that check logins themselves are a part of that: they know it before anybody can be given it.
    """

    name = "set"

    def __init__(self, rotation: Rotation) -> None:
        super().__init__(rotation)
        # What another host has set is set again, the very same: only what was attempted here is taken back.
        self._let_in = not (rotation.gates or rotation.adopted)

    def is_done(self) -> bool:
        return self._let_in and self.rotation.target.opens(self.rotation.new())

    def do(self) -> None:
        rotation = self.rotation
        new = rotation.new()
        if rotation.adopted or not rotation.gates or not rotation.target.opens(new):
            rotation.target.set(new, rotation.old())
            rotation.set_at = rotation.target.moment()
            rotation.set_clock = time.monotonic()
        for gate in rotation.gates:
            rotation.written += gate.let_in(new, rotation.target.fields(new))
        self._let_in = True

    def take_back(self) -> None:
        rotation = self.rotation
        if rotation.switched and rotation.target.overlaps:
            # They may have been given the new one meanwhile, and closing it would lock them out.
            rotation.see_others(rotation.old_version, "the old secret")
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
        if rotation.is_ended_elsewhere():
            told = f"{rotation.store.place} has another current version than the one that was to be followed"
            raise stores.Overtaken(told)
        if rotation.target.overlaps:
            # Both are good now, so whoever is refused from here on has the new one wrong.
            rotation.watch()
        rotation.store.promote(rotation.token, rotation.old_version)
        if rotation.set_clock and not rotation.target.overlaps:
            rotation.figures["store_gap_seconds"] = round(time.monotonic() - rotation.set_clock, 3)

    def take_back(self) -> None:
        rotation = self.rotation
        if rotation.is_ended_elsewhere():
            # Somebody has stored another one meanwhile, and knows why.
            rotation.store.withdraw(rotation.token)
        else:
            rotation.store.restore(rotation.old_version, rotation.token)


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
        if self._proved or not rotation.switched:
            return self._proved and all(consumer.has_files(fields) for consumer in rotation.consumers)
        # An earlier run has brought it to them: who uses it still is left at work.
        return all(consumer.uses(fields, self._new_uses, rotation.set_at) for consumer in rotation.consumers)

    def _new_uses(self, after: str, application: str) -> list[str]:
        return self.rotation.target.new_uses(self.rotation.user, after, application)

    def _secret(self) -> Secret:
        """What the consumers are given."""
        return self.rotation.new()

    def do(self) -> None:
        rotation = self.rotation
        fields = rotation.target.fields(self._secret())
        for consumer in rotation.consumers:
            rotation.written += consumer.give(fields)
        for consumer in rotation.consumers:
            self._take_up(consumer, fields, rotation.user)
        rotation.renew_gates()
        if rotation.set_clock and not rotation.target.overlaps:
            rotation.figures["consumers_gap_seconds"] = round(time.monotonic() - rotation.set_clock, 3)
        wrong = rotation.health.wait() if rotation.health.asks else ""
        if wrong:
            raise RuntimeError(f"the application is not well with the new secret: {wrong}")
        self._proved = True

    def take_back(self) -> None:
        rotation = self.rotation
        old = rotation.old()
        if old is None:
            raise StoreError(f"{rotation.store.place} has no version {rotation.old_version} any more")
        # Before anybody is sent back to the old secret, it has to open, and with one user to be what the store gives.
        rotation.target.reopen(old)
        if not rotation.target.overlaps:
            rotation.let_back_in(old)
            rotation.store.restore(rotation.old_version, rotation.token)
        fields = rotation.target.fields(old)
        for consumer in rotation.consumers:
            consumer.give(fields)
        refused = [consumer for consumer in rotation.consumers if not self._gets_back(consumer, fields)]
        # It may be the very one because of which all is taken back, so the others do not wait for it. But systemd keeps
        # a unit down for a while that has failed to start too often, with the old secret as well.
        for consumer in refused:
            self._gets_back(consumer, fields, last=True)

    def _gets_back(self, consumer: Consumer, fields: Fields, last: bool = False) -> bool:
        """Have it use the old secret; False when it refuses and is to be told again."""
        try:
            self._take_up(consumer, fields, self.rotation.old_user, consumer.timeout if last else 0)
        except ConsumerFailed as exc:
            if isinstance(exc, Refused) and not last:
                return False
            self.rotation.problems.append(str(exc))
        return True

    def _take_up(self, consumer: Consumer, fields: Fields, user: str, patience: float = 0) -> None:
        target = self.rotation.target
        since = target.moment()
        consumer.reload(patience)
        consumer.prove(fields, lambda after, name: target.new_uses(user, after, name), since)


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
        if policy.old_sessions != "end":  # who is locked out by that has to be
            rotation.see_others(rotation.token, "the new secret")
        until = (rotation.switched or utc_now()) + datetime.timedelta(seconds=policy.overlap)
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
                if passed >= policy.observe_for and utc_now() < until:
                    raise Overlapping(until)
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
        expected: tuple[type[BaseException], ...] = (StoreError, *self.rotation.target.errors)
        try:
            return self._is_closed()
        except expected as exc:
            # All but this is done and right: who is away now is no reason to take it back.
            raise Unseen(f"it cannot be seen whether the old secret is closed: {exc}") from None

    def _is_closed(self) -> bool:
        rotation = self.rotation
        previous = stores.labelled(rotation.store.versions(), PREVIOUS)
        if previous is not None and previous.id == rotation.old_version:
            return False
        old = rotation.old()
        if old is None:
            # A store drops what bears no label; whether it still opens is then asked of the server alone.
            return rotation.target.is_retired(rotation.old_user, rotation.user)
        return not rotation.target.opens(old)

    def do(self) -> None:
        rotation = self.rotation
        # The label first: as long as the old secret opens, all can be taken back, and once it does not, all is done.
        rotation.store.retire(rotation.old_version)
        rotation.target.retire(rotation.old_user, rotation.user)
        rotation.end_old()
