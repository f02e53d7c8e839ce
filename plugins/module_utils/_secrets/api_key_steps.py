# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The eight steps of a key's rotation: create, test, finish, reload, observe, disable, rest, delete.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Each step asks service, store or consumer whether it is done. Between the switch and the last step days may pass: a step
whose time has not come leaves the rotation open, and the next run looks again. Until the old key is deleted all can be
taken back, and is, when a step fails.
"""

from __future__ import annotations

import datetime

from .._core.clock import write_time
from .._core.durations import format_duration
from .._core.journal import Step
from . import store as stores
from .api_key import KeyRotation, Moment, Waiting
from .provider import Key, ProviderError
from .steps import Create, Finish, Observe, Reload, Retire, Test
from .store import PREVIOUS, PendingElsewhere, Secret, StoreError

NAMES = ("create", "test", "finish", "reload", "observe", "disable", "rest", "delete")


def steps_of(keys: KeyRotation) -> list[Step]:
    return [kind(keys) for kind in (MakeKey, TryKey, Switch, TakeUp, SeeUse, Disable, Rest, Delete)]


class MakeKey(Create):
    """Make the second key and store it as pending at once: its secret is told only now."""

    def __init__(self, keys: KeyRotation) -> None:
        super().__init__(keys.rotation)
        self.keys = keys

    def is_done(self) -> bool:
        key = self.keys.new_id
        return bool(key) and self.keys.find(key) is not None

    def do(self) -> None:
        rotation = self.rotation
        self._delete_lost()
        old = rotation.old()
        if old is None:
            raise StoreError(f"{rotation.store.place} has no version {rotation.old_version} any more")
        value = {**old.value, **self.keys.provider.create()}
        rotation.hidden |= rotation.target.hidden(Secret(rotation.token, value))
        rotation.store.create_pending(rotation.token, value)

    def take_back(self) -> None:
        keys = self.keys
        self._delete_lost(taking_back=True)
        key = keys.new_id
        if key and key not in keys.known and keys.find(key):
            if keys.rotation.switched:
                # They may have been given the new one meanwhile, and deleting it would lock them out.
                keys.rotation.see_others(keys.rotation.old_version, "the old key")
            if keys.given_out:
                keys.see_old_open()
            keys.provider.delete(key)
        super().take_back()

    def _delete_lost(self, taking_back: bool = False) -> None:
        """A key whose secret was lost, since we were killed, or its answer was, before it was stored.

        It could also be one that another host is about to store. So it is closed first, and the store looked at again:
        whoever has stored it meanwhile gets it back, and whoever has not will find it closed when he tries it.
        """
        keys = self.keys
        for key in keys.provider.list_keys():
            if key.id in keys.known or key.id == keys.new_id:
                continue
            if key.id in keys.stored_ids():
                self._refuse_other_host(key.id, taking_back)
                continue
            if key.used is not None:
                if taking_back:
                    continue
                raise ProviderError(
                    f"{keys.provider.place} has the key {key.id}, which is in use and not in"
                    f" {self.rotation.store.place}: somebody else made it meanwhile, so it is left alone"
                )
            keys.provider.disable(key.id)
            if key.id in keys.stored_ids():
                keys.provider.enable(key.id)
                self._refuse_other_host(key.id, taking_back)
                continue
            keys.provider.delete(key.id)

    def _refuse_other_host(self, key: str, taking_back: bool) -> None:
        if not taking_back:
            raise PendingElsewhere(f"another host has made the key {key} for {self.rotation.store.place} meanwhile")


class TryKey(Test):
    """Use the new key before anybody is given it. Once it was given out, its use is that of the application alone."""

    def __init__(self, keys: KeyRotation) -> None:
        super().__init__(keys.rotation)
        self.keys = keys

    def is_done(self) -> bool:
        return super().is_done() or self.keys.is_current()

    def do(self) -> None:
        self.keys.try_out(self.rotation.new(), "the new key")
        self._logins = 1


class Switch(Finish):
    """Move the labels: whoever reads the store gets the new one from now on."""

    def __init__(self, keys: KeyRotation) -> None:
        super().__init__(keys.rotation)
        self.keys = keys

    def do(self) -> None:
        self.keys.given_out = True
        super().do()


class TakeUp(Reload):
    """Give the new key to the consumers. A later run looks whether they have it, and leaves them at work."""

    def __init__(self, keys: KeyRotation) -> None:
        super().__init__(keys.rotation)
        self.keys = keys

    def is_done(self) -> bool:
        rotation = self.rotation
        if self._proved or not self.keys.is_current():
            return self._proved
        fields = rotation.target.fields(self._secret())
        if self.keys.switched is None:
            return False
        return all(consumer.uses(fields, self._new_uses, "") for consumer in rotation.consumers)

    def do(self) -> None:
        super().do()
        self.keys.switched = self.keys.now()

    def take_back(self) -> None:
        self.keys.see_old_open()
        super().take_back()


class SeeUse(Observe):
    """Wait until the new key was used by somebody, and the old one by nobody for long enough."""

    def __init__(self, keys: KeyRotation) -> None:
        super().__init__(keys.rotation)
        self.keys = keys

    def is_done(self) -> bool:
        if self._observed:
            return True
        old = self.keys.find(self.keys.old_id)
        return old is None or not old.active

    def do(self) -> None:
        keys = self.keys
        refuse_unwell(keys)
        if not keys.emergency:
            old, new = (keys.find(key) for key in (keys.old_id, keys.new_id))
            self._look(old, new)
        self._observed = True

    def _look(self, old: Key | None, new: Key | None) -> None:
        keys, switched = self.keys, self.keys.switched
        if switched is None or new is None or old is None:
            raise ProviderError("one of the two keys is gone")
        missing = keys.rotation.others.missing(keys.rotation.token)
        if missing:
            raise Waiting("hosts", f"the new key {new.id} has not been seen in use on {', '.join(missing)}")
        refuse_unused(keys, new)
        if not old.tells_use:
            raise Waiting("unseen", f"{keys.provider.place} does not tell when the old key {old.id} was used")
        last = max(old.used or switched, switched)
        until = last + datetime.timedelta(seconds=keys.waits.quiet)
        if keys.now() < until:
            used = f"was last used at {write_time(old.used)}" if old.used else "was never used"
            wait = format_duration(keys.waits.quiet)
            raise Waiting("disable", f"the old key {old.id} {used}: it has to be quiet for {wait}", until)


class Disable(Retire):
    """Close the old key, which can be opened again; one that others know never is."""

    name = "disable"
    point_of_no_return = False

    def __init__(self, keys: KeyRotation) -> None:
        super().__init__(keys.rotation)
        self.keys = keys
        self.point_of_no_return = keys.emergency

    def is_done(self) -> bool:
        old = self.keys.find(self.keys.old_id)
        return old is None or not old.active

    def do(self) -> None:
        self.keys.provider.disable(self.keys.old_id)
        self.keys.closed = self.keys.now()

    def take_back(self) -> None:
        old = self.keys.find(self.keys.old_id)
        if old is None:
            raise ProviderError(f"the old key {self.keys.old_id} is gone, so it cannot be opened again")
        if not old.active:
            self.keys.provider.enable(old.id)


class Rest(Disable):
    """Leave it closed for a while: who misses it complains now, and can be given it back."""

    name = "rest"

    def is_done(self) -> bool:
        return self.keys.emergency or self._until() <= self.keys.now() or self.keys.find(self.keys.old_id) is None

    def do(self) -> None:
        refuse_unwell(self.keys)
        rest = format_duration(self.keys.waits.rest)
        raise Waiting("delete", f"the old key {self.keys.old_id} is closed, and is deleted after {rest}", self._until())

    def take_back(self) -> None:
        """Nothing: it only waited."""

    def _until(self) -> Moment:
        closed = self.keys.closed or self.keys.now()
        return closed + datetime.timedelta(seconds=self.keys.waits.rest)


class Delete(Disable):
    """Delete the old key. The label first: as long as the key is there, all can be taken back."""

    name = "delete"

    def __init__(self, keys: KeyRotation) -> None:
        super().__init__(keys)
        self.point_of_no_return = True

    def is_done(self) -> bool:
        previous = stores.labelled(self.rotation.store.versions(), PREVIOUS)
        if previous is not None and previous.id == self.rotation.old_version:
            return False
        return self.keys.find(self.keys.old_id) is None

    def do(self) -> None:
        keys = self.keys
        new, old = keys.find(keys.new_id), keys.find(keys.old_id)
        if new is None or not new.active or not keys.is_current():
            raise ProviderError(f"the new key {keys.new_id} is not open, or not what the store gives out")
        if old is not None:
            refuse_unwell(keys)
            if not keys.emergency:
                refuse_unused(keys, new)
            if old.active:
                raise ProviderError(f"the old key {old.id} has been opened again meanwhile")
        self.rotation.store.retire(self.rotation.old_version)
        keys.provider.delete(keys.old_id)

    def take_back(self) -> None:
        """Nothing: the label is put back with the others."""


def refuse_unwell(keys: KeyRotation) -> None:
    """:raises RuntimeError: so that all is taken back."""
    health = keys.rotation.health
    wrong = health.problem() if health.asks else ""
    if wrong:
        raise RuntimeError(f"the application is not well with the new key: {wrong}")


def refuse_unused(keys: KeyRotation, new: Key) -> None:
    """:raises Waiting: as long as nobody was seen to use the new key; what we tried it with does not count."""
    since = keys.switched
    if not new.tells_use:
        raise Waiting("unseen", f"{keys.provider.place} does not tell when the new key {new.id} was used")
    if since is None or new.used is None or new.used <= since:
        when = f" since the switch at {write_time(since)}" if since else ""
        raise Waiting("use", f"the new key {new.id} has not been seen in use{when}")
