# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a secret opens, as the steps of a rotation ask for it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import json
import typing as t

from .._core.clock import parse_time, utc_now
from .._core.journal import Journal
from . import store as stores
from .store import Secret


class Target(t.Protocol):
    """What the secret opens. A domain that has such things offers it (PostgreSQL: _postgres.rotation)."""

    #: What its methods raise when it is down, or refuses.
    errors: tuple[type[Exception], ...]

    @property
    def name(self) -> str: ...

    @property
    def strategy(self) -> str: ...

    @property
    def overlaps(self) -> bool: ...

    def busy(self) -> str: ...

    def close(self) -> None: ...

    def moment(self) -> str: ...

    def seconds_ago(self, seconds: float) -> str: ...

    def opens(self, secret: Secret) -> bool: ...

    def fits(self, secret: Secret) -> bool: ...

    def others(self, user: str) -> list[str]:
        """The roles that alternate with this one."""

    def prepare(self, current: Secret) -> dict[str, str]: ...

    def owned(self) -> dict[str, int]: ...

    def new_value(self, current: stores.Value, user: str, password: str) -> dict[str, t.Any]: ...

    def set(self, secret: Secret, old: Secret | None) -> None: ...

    def reopen(self, old: Secret) -> None:
        """Have the old one open again, and see that it does, before anybody is sent back to it."""

    def set_back(self, secret: Secret | None, old: Secret | None) -> None:
        """Take L{set} back: the new one is closed once the old one has been seen to open."""

    def test(self, secret: Secret, old: Secret | None) -> int: ...

    def old_uses(self, old_user: str, user: str, since: str) -> list[str]: ...

    def new_uses(self, user: str, after: str, application: str) -> list[str]: ...

    def end_old(self, old_user: str, user: str, since: str) -> int: ...

    def retire(self, old_user: str, user: str) -> None: ...

    def is_retired(self, old_user: str, user: str) -> bool:
        """Whether nobody can log in by the old one, whatever it was."""

    def watch_failures(self) -> None:
        """Count refused logins from now on, where they can be seen."""

    def failed_logins(self, user: str) -> int | None:
        """Refused logins of a role since then; nothing where nobody looks."""

    def fields(self, secret: Secret) -> dict[str, str]: ...

    def hidden(self, secret: Secret) -> t.AbstractSet[str]:
        """What of it must not be in anything that is told."""


def moment_of_set(journal: Journal, target: Target) -> str:
    """The moment of the server's clock at which a killed run had set the secret, or now, where it had not noted it."""
    done = moment_of(journal, "set")
    if done is None:
        return target.moment()
    # Times in a journal are cut off to the second: one more, so that no session of the old secret is overlooked.
    return target.seconds_ago(max(0.0, (utc_now() - done).total_seconds() - 1))


def attempted(journal: Journal, step: str) -> bool:
    """Whether a step was begun, whatever became of it."""
    with open(journal.path, "rb") as file:
        events = [json.loads(line) for line in file.read().splitlines()]
    return any(event["event"] == "intent" and event.get("step") == step for event in events)


def moment_of(journal: Journal, step: str) -> datetime.datetime | None:
    """When a step was done, by the journal; each later run notes again that it found it so."""
    with open(journal.path, "rb") as file:
        events = [json.loads(line) for line in file.read().splitlines()]
    done = None
    for event in events:
        if event.get("step") == step and event["event"] == "intent":
            done = None
        if event.get("step") == step and event["event"] == "done":
            done = done or parse_time(event["at"])
    return done
