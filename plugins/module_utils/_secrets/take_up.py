# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the store gives out, brought to the consumers of one more host, and seen in use there.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

One host leads a rotation; the others only follow the store, forwards and backwards. What a host was seen to use is
noted beside its journals, so that who has it already is not told again, and is what the leading host waits for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import time
import typing as t

from .._core.files import sync_directory, write_all
from .._core.health import Health
from .._core.locks import Busy, lock
from .._core.result import Result
from . import keys
from .consumers import Consumer, ConsumerFailed
from .placing import Fields, PlacingError
from .store import CURRENT, Secret, Store, StoreError

_MASK = "********"
_TOO_SHORT_TO_HIDE = 3
_PATIENCE = 5


class Use(t.Protocol):
    """What a kind of secret is to those who use it."""

    errors: tuple[type[Exception], ...]

    def fields(self, secret: Secret) -> dict[str, str]: ...

    def hidden(self, secret: Secret) -> t.AbstractSet[str]: ...

    def opens(self, secret: Secret) -> bool:
        """Whether it opens what it should, from this host."""

    def moment(self) -> str: ...

    def new_uses(self, user: str, after: str, application: str) -> list[str]: ...


class _Anywhere:
    """A secret of which nobody here can ask whether it opens: the consumers' own probes are what shows it."""

    errors: tuple[type[Exception], ...] = ()

    def opens(self, _secret: Secret) -> bool:
        return True

    def moment(self) -> str:
        return ""

    def new_uses(self, _user: str, _after: str, _application: str) -> list[str]:
        return []


class TokenKeys(_Anywhere):
    def fields(self, secret: Secret) -> dict[str, str]:
        try:
            return keys.fields(secret.value)
        except (KeyError, TypeError, StopIteration):
            raise StoreError("the current version does not hold keys of tokens") from None

    def hidden(self, secret: Secret) -> set[str]:
        return keys.hidden(secret.value)


class ApiKey(_Anywhere):
    def fields(self, secret: Secret) -> dict[str, str]:
        return {name: str(value) for name, value in secret.value.items() if isinstance(value, (str, int))}

    def hidden(self, secret: Secret) -> set[str]:
        """All but identifiers: what a service calls its secret is not known here."""
        return {text for name, text in self.fields(secret).items() if not name.endswith("id")}


@dataclasses.dataclass(frozen=True)
class TakeUpWork:
    """Everything that is needed for it."""

    store: Store
    use: Use
    consumers: tuple[Consumer, ...]
    health: Health
    state_dir: str

    @property
    def note(self) -> str:
        """The file that says which version was seen in use here."""
        name = hashlib.sha256(self.store.place.encode()).hexdigest()[:24]
        return os.path.join(self.state_dir, f"taken-up-{name}")


@dataclasses.dataclass
class TakeUpOutcome:
    """What the module returns beside the result."""

    changed: bool = False
    #: The version that was seen in use; empty when it was not.
    version: str = ""
    written: list[str] = dataclasses.field(default_factory=list)
    told: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        return {"version": self.version, "written": self.written, "told": self.told}


def take_up(work: TakeUpWork, check: bool, outcome: TakeUpOutcome) -> Result:
    """Bring what is current to the consumers here, and see that they use it."""
    run = _Run(work, outcome)
    expected: tuple[type[BaseException], ...] = (StoreError, PlacingError, ConsumerFailed, OSError, *work.use.errors)
    try:
        if check:
            return run.foretell()
        os.makedirs(work.state_dir, mode=0o700, exist_ok=True)
        with lock(f"{work.note}.lock", _PATIENCE):
            return run.go()
    except Busy as exc:
        return Result("unknown", "the secret was not taken up", f"busy: {exc}", of=1)
    except expected as exc:
        return Result("failed", "the secret was not taken up", run.clean(str(exc)), (), {}, 0, 1)


class _Run:
    def __init__(self, work: TakeUpWork, outcome: TakeUpOutcome) -> None:
        self.work = work
        self.outcome = outcome
        self._hidden: set[str] = set()
        self._began = time.monotonic()

    def go(self) -> Result:
        work, outcome = self.work, self.outcome
        current, fields = self._current()
        if not work.use.opens(current):
            raise StoreError(f"the current version of {work.store.place} does not log {current.username} in from here")
        if not self._has(current, fields):
            self._bring(current, fields)
        outcome.version = current.version
        who = f", told: {', '.join(outcome.told)}" if outcome.told else ""
        return Result("ok", f"version {current.version} is in use here{who}", "", (), self._figures(), 1, 1)

    def foretell(self) -> Result:
        current, fields = self._current()
        if self._has(current, fields):
            self.outcome.version = current.version
            return Result("ok", f"version {current.version} is in use here", "", (), self._figures(), 1, 1)
        self.outcome.changed = True
        files = [placed for consumer in self.work.consumers for placed in consumer.files]
        self.outcome.written = [placed.path for placed in files if not placed.is_right(fields)]
        return Result("ok", f"would bring version {current.version} to the consumers", "", (), self._figures(), 1, 1)

    def _current(self) -> tuple[Secret, Fields]:
        work = self.work
        current = work.store.read(CURRENT)
        if current is None:
            raise StoreError(f"{work.store.place} has no current version")
        self._hidden |= work.use.hidden(current)
        fields = work.use.fields(current)
        for consumer in work.consumers:
            for placed in consumer.files:
                placed.check(fields)
                placed.is_right(fields)  # what cannot be read or found is told before anything is touched
        return current, fields

    def _has(self, current: Secret, fields: Fields) -> bool:
        """Whether it was seen in use before, and still is, as far as that can be seen without telling anybody."""
        try:
            with open(self.work.note, encoding="ascii") as file:
                seen = file.read().strip()
        except FileNotFoundError:
            return False
        return seen == current.version and all(
            consumer.uses(fields, lambda _after, _name: [""], "") for consumer in self.work.consumers
        )

    def _bring(self, current: Secret, fields: Fields) -> None:
        work, outcome = self.work, self.outcome
        outcome.changed = True
        # From now on nothing is known of what they use, until it was seen.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(work.note)
        for consumer in work.consumers:
            outcome.written += consumer.give(fields)
        for consumer in work.consumers:
            since = work.use.moment() if consumer.sessions else ""
            consumer.reload()
            outcome.told.append(consumer.name)
            consumer.prove(fields, lambda after, name: work.use.new_uses(current.username, after, name), since)
        wrong = work.health.wait() if work.health.asks else ""
        if wrong:
            raise ConsumerFailed(f"the application is not well with the secret: {wrong}")
        self._note(current.version)

    def _note(self, version: str) -> None:
        temporary = f"{self.work.note}.new"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, f"{version}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(temporary, self.work.note)
        sync_directory(os.path.dirname(self.work.note))

    def _figures(self) -> dict[str, float]:
        return {"duration_seconds": round(time.monotonic() - self._began, 3)}

    def clean(self, text: str) -> str:
        for value in sorted(self._hidden, key=len, reverse=True):
            if len(value) > _TOO_SHORT_TO_HIDE:
                text = text.replace(value, _MASK)
        return " ".join(text.split())
