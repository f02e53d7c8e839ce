# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools of connections that check the logins of their clients themselves, and so stand before the database.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Such a pool has to know a new secret before anybody is given it, and must forget the old one when that is closed: a
session that it still holds for the old role would open to whoever knows the old secret. What it holds for the old role
beyond need would also look like use of it, so the pool is told to let go of it.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .consumers import ConsumerFailed
from .placing import Fields, Placed
from .store import Secret

_PAUSE = 0.2


class Pool(t.Protocol):
    """What is asked of a pool. A domain that knows one offers it (PgBouncer: _postgres.rotation_pool)."""

    #: What its methods raise when it is down, or refuses.
    errors: tuple[type[Exception], ...]

    @property
    def name(self) -> str: ...

    def reload(self) -> None:
        """Have it read its files again."""

    def renew(self) -> None:
        """Have it let go of each connection to the server once nobody uses that."""

    def refusal(self, secret: Secret) -> str:
        """Log in through it and ask the server something: an empty text, or why that does not work."""


@dataclasses.dataclass(frozen=True)
class Gate:
    """One pool, and its list of users where it has one.

    :param timeout: how long it may take to let the new secret in.
    """

    pool: Pool
    userlist: Placed | None = None
    timeout: float = 60

    def let_in(self, secret: Secret, fields: Fields) -> list[str]:
        """Have it let this secret in, and see that it does; the files that were written.

        :raises ConsumerFailed: naming the pool and the cause.
        """
        written = []
        if self.userlist:
            self.userlist.tidy()
            if not self.userlist.is_right(fields):
                self.userlist.write(fields)
                written.append(self.userlist.path)
            self._tell(self.pool.reload)
        deadline = time.monotonic() + self.timeout
        while True:
            wrong = self.pool.refusal(secret)
            if not wrong:
                return written
            if time.monotonic() >= deadline:
                raise ConsumerFailed(f"pool {self.pool.name} does not let {secret.username} in: {wrong}")
            time.sleep(_PAUSE)

    def shut_out(self, user: str) -> bool:
        """Have it forget a role; whether it knew it.

        :raises ConsumerFailed: naming the pool and the cause.
        """
        if self.userlist is None or not self.userlist.drop(user):
            return False
        self._tell(self.pool.reload)
        return True

    def renew(self) -> None:
        """:raises ConsumerFailed: naming the pool and the cause."""
        self._tell(self.pool.renew)

    def _tell(self, order: t.Callable[[], None]) -> None:
        try:
            order()
        except self.pool.errors as exc:
            raise ConsumerFailed(f"pool {self.pool.name}: {exc}") from None
