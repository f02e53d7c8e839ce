# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is common to all load balancers: a server in a pool, and how it stands.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t


def digest_of(*words: str) -> str:
    """For the names of files about a balancer."""
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:24]


class BalancerError(Exception):
    """A balancer cannot be asked, or does not do what it is told; the text says which and why."""


@dataclasses.dataclass(frozen=True)
class Member:
    """A server as one balancer knows it: in the pool of this name, by this name."""

    pool: str
    server: str

    @property
    def told(self) -> str:
        return f"{self.pool}/{self.server}" if self.pool else self.server


@dataclasses.dataclass(frozen=True)
class Standing:
    """How a server stands, by one balancer.

    `settings` is what brings it back to how it was set, in the balancer's own words, and `is_admitted` whether it is
    set to get requests. `is_up` is whether it was looked at and found well, None when nobody looks at it. With
    `is_settled` False the balancer may not have taken over yet what is set. `still` is what has to end, beside
    connections, before the server is sure to get nothing. `shown` has what a diff shows for a word of the settings.
    """

    settings: str
    is_admitted: bool
    is_up: bool | None
    connections: int
    told: str
    is_settled: bool = True
    still: str = ""
    shown: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def may_get_requests(self) -> bool:
        return self.is_admitted or not self.is_settled

    @property
    def serves(self) -> bool:
        return self.is_admitted and self.is_up is True


class Balancer(t.Protocol):
    """One load balancer, or one process of it."""

    @property
    def name(self) -> str: ...

    def standings(self, pool: str) -> dict[str, Standing]:
        """All servers of a pool, by name, without those that only stand in for others.

        :raises BalancerError: when it cannot be asked.
        """

    def drain(self, member: Member) -> None:
        """Let a server get no new requests; what it is at goes on. Doing it again does no harm."""

    def admit(self, member: Member) -> None:
        """Let it get requests."""

    def restore(self, member: Member, settings: str) -> None:
        """Set it as it was."""

    def end(self, member: Member) -> None:
        """End what it is still at.

        :raises BalancerError: also when that cannot be done.
        """
