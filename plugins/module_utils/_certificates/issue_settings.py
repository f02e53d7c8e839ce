# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an issue is told, and what it tells beside its result.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .acme_account import AccountSettings
from .authority import OwnAuthority
from .challenges import ChallengeSettings
from .store import Rights


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is issued, by whom, and when."""

    names: tuple[str, ...]
    directory: str
    provider: str
    rights: Rights
    key_type: str = "ecdsa-p256"
    #: Share of the lifetime that is left when it is renewed; 0 is the usual one.
    renew_left: float = 0
    #: Fingerprints of certificates whose keys are not secret any more.
    compromised: tuple[str, ...] = ()
    keep: int = 3
    trust: str = ""
    #: own_ca and self_signed.
    lifetime: int = 0
    authority: OwnAuthority | None = None
    #: acme.
    account: AccountSettings | None = None
    challenges: ChallengeSettings | None = None
    profile: str = ""
    preferred_chain: str = ""
    patience: float = 300
    retry_now: bool = False


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    version: str = ""
    previous: str = ""
    why: str = ""
    fullchain: str = ""
    key: str = ""
    fingerprint: str = ""
    renewal: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    removed: list[str] = dataclasses.field(default_factory=list)
    #: What other hosts have to show before the authority is asked.
    challenges: list[dict[str, str]] = dataclasses.field(default_factory=list)
    diff: dict[str, t.Any] = dataclasses.field(default_factory=dict)


class NotIssued(Exception):
    """It was not issued; the text says why."""

    def __init__(self, reason: str, id: str = "issue-failed") -> None:
        super().__init__(reason)
        self.id = id
