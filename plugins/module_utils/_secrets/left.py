# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host finds in the store that another one began and did not end: a pending version, an old secret still open.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The host that began has its journal, and goes on with it. Where that host is gone, labels are all that is left: a
pending version is gone on with when it opens, withdrawn when it opens nothing; and an old secret that still opens,
beside the one that the store gives out, is closed as its own rotation would have done it.
"""

from __future__ import annotations

import datetime
import typing as t

from .._core.clock import utc_now
from . import store as stores
from .ages import STUCK_SECONDS
from .consumers import ConsumerFailed
from .rotation import Rotation
from .steps import Observe, Retire
from .store import PENDING, PREVIOUS, Secret, Version
from .target import Target
from .work import Stopped, Work

Hide = t.Callable[[Secret], None]


class Left:
    """What was left in one store.

    :param hide: is told each secret that is read, so that it is in no message.
    """

    def __init__(self, work: Work, hide: Hide) -> None:
        self.store = work.store
        self.target: Target = work.target
        self._hide = hide
        #: What was found, for people; empty when nothing was.
        self.told = ""
        self.withdrawn = False

    def pending(self, current: Secret) -> str:
        """The token of a rotation to go on with; what is of no use is withdrawn.

        :raises Stopped: for one of other settings.
        """
        pending = stores.labelled(self.store.versions(), PENDING)
        if pending is None or pending.id == current.version:
            return ""
        secret = self._read(pending)
        if secret and not (self.target.fits(secret) and self._fits_strategy(secret, current)):
            raise Stopped(
                f"version {pending.id} of {self.store.place} is pending, and one of {secret.username!r}, which this"
                " rotation would not give the new password: finish it with the settings with which it was begun"
            )
        if secret and self.target.opens(secret):
            self._tell(pending, "it opens the database already, so the rotation goes on with it")
            return pending.id
        why = "it has no value" if secret is None else "it opens nothing"
        self.store.withdraw(pending.id)
        self.withdrawn = True
        self._tell(pending, f"{why}, so it was withdrawn")
        return ""

    def open(self, current: Secret) -> Secret | None:
        """The previous version, if it still opens beside the current one; with one user it never does."""
        versions = self.store.versions()
        previous = stores.labelled(versions, PREVIOUS)
        if previous is None or not self.target.overlaps:
            return None
        secret = self._read(previous)
        if secret is None or not self.target.fits(secret) or not self._fits_strategy(secret, current):
            return None
        return secret if self.target.opens(secret) and self.target.opens(current) else None

    def switched(self, current: Secret) -> datetime.datetime:
        """When the current version may have been brought to the last consumer, as far as the store can tell."""
        version = next((found for found in self.store.versions() if found.id == current.version), None)
        made = version.created if version and version.created else utc_now()
        return made + datetime.timedelta(seconds=STUCK_SECONDS)

    def _read(self, version: Version) -> Secret | None:
        secret = self.store.read_version(version.id)
        if secret:
            self._hide(secret)
        return secret

    def _fits_strategy(self, other: Secret, current: Secret) -> bool:
        return (other.username != current.username) == self.target.overlaps

    def _tell(self, pending: Version, what: str) -> None:
        self.told = f"version {pending.id} was pending without a rotation of this host: {what}"


def close(rotation: Rotation) -> None:
    """Watch and close an old secret that was left open. Nothing of it is taken back: the new one is with everybody."""
    for kind in (Observe, Retire):
        step = kind(rotation)
        if step.is_done():
            continue
        try:
            step.do()
        except (RuntimeError, ConsumerFailed) as exc:
            raise Stopped(f"the old secret of {rotation.old_user} is left open: {exc}") from None
        if not step.is_done():
            raise Stopped(f"the old secret of {rotation.old_user} opens still, although it was closed")
