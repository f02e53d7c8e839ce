# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rotation: what it works on, how it goes about it, what it measured, and for what it may stay open.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
import typing as t

from .._core.clock import write_time
from .._core.health import Health
from .._core.journal import JournalError
from .consumers import Consumer, ConsumerFailed
from .gates import Gate
from .store import CURRENT, Secret, Store, StoreError
from .target import Target

_PAUSE = 0.5
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


class Overlapping(StaysOpen):
    """Both are to be good for a while yet."""

    def __init__(self, until: datetime.datetime) -> None:
        super().__init__(f"both are to be good until {write_time(until)}")
        self.until = until


class NotEverywhere(StaysOpen):
    """Other hosts have not been seen to use what they are to use."""

    def __init__(self, hosts: t.Sequence[str], what: str) -> None:
        super().__init__(f"{what} has not been seen in use on {', '.join(hosts)}")
        self.hosts = list(hosts)


@dataclasses.dataclass(frozen=True)
class Others:
    """Other hosts that have consumers of the same secret.

    :param seen: the version that each of them was seen to use just now; nothing when they have not been asked yet.
    """

    hosts: tuple[str, ...] = ()
    seen: t.Mapping[str, str] | None = None

    def missing(self, version: str) -> list[str]:
        """Those that were not seen to use that version."""
        return [host for host in self.hosts if (self.seen or {}).get(host) != version]


@dataclasses.dataclass(frozen=True)
class Policy:
    """How a rotation goes about it; times in seconds.

    :param observe_for: how long the application is watched before the old secret is closed.
    :param observe_timeout: how long the old secret may still be used before the rotation is left open.
    :param old_sessions: what becomes of sessions that the old secret let in: "wait" for their end, "keep" them, or
        "end" them. Where both secrets are good at the same time, "keep" is no choice: closing the old one needs them
        gone.
    :param failed_logins_allowed: how many logins of the new secret's role may be refused while it is watched.
    :param overlap: how long both are good after the switch, without a run that waits for it.
    :param undo_patience: how long a store or server that is away may keep what is taken back waiting.
    """

    password_length: int = 40
    observe_for: float = 10
    observe_timeout: float = 300
    old_sessions: str = "wait"
    failed_logins_allowed: int = 5
    overlap: float = 0
    undo_patience: float = 0


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
    others: Others = dataclasses.field(default_factory=Others)
    #: When an earlier run had brought it to all consumers of this host; nothing when none had.
    switched: datetime.datetime | None = None
    #: Whether it was set without a journal of this host, so that what is set is not known to be ours.
    adopted: bool = False
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

    def is_ended_elsewhere(self) -> bool:
        """Whether another version became current since, by another host or by hand: nothing of then may come back."""
        current = self.store.read(CURRENT)
        if current is None or current.version in (self.token, self.old_version):
            return False
        # A store that was written and not labelled yet knows the version by its value only.
        made, old = self.store.read_version(self.token), self.old()
        return not any(secret and dict(secret.value) == dict(current.value) for secret in (made, old))

    def see_others(self, version: str, what: str) -> None:
        """:raises NotEverywhere: naming the hosts that were not seen to use that version."""
        missing = self.others.missing(version)
        if missing:
            raise NotEverywhere(missing, what)

    def patiently(self, undo: t.Callable[[], None]) -> None:
        """Take something back; a store or server that starts anew meanwhile must not leave everybody locked out."""
        expected: tuple[type[BaseException], ...] = (StoreError, *self.target.errors)
        deadline = time.monotonic() + self.policy.undo_patience
        while True:
            try:
                return undo()
            except expected:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE)

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
