# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a review, from a module's parameters.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.suggest import InputError
from .connection import DEFAULT_PORT, Login

#: Options of the same name in `Thresholds`.
NUMBERS = (
    "slow_mean_ms",
    "slow_share_percent",
    "bloat_percent",
    "table_bloat_percent",
    "minimum_bytes",
    "dead_percent",
    "cache_hit_percent",
    "connections_percent",
    "sequence_percent",
    "slot_bytes",
    "replication_lag_bytes",
    "growth_percent",
    "growth_bytes",
)
DURATIONS = ("transaction_age", "blocked_after", "unused_after", "replication_lag", "check_timeout", "yield_after")


def standby_logins(given: t.Sequence[t.Mapping[str, t.Any]], login: Login) -> list[Login]:
    """The logins of the standbys; what says who we are is that of the server's own login where it is not given.

    :raises InputError: for one that does not say where the standby is.
    """
    logins = []
    for number, one in enumerate(given):
        if not (one.get("host") or one.get("unix_socket") or one.get("service")):
            raise InputError(f"standbys: entry {number + 1} says neither host nor unix_socket nor service")
        logins.append(
            dataclasses.replace(
                login,
                host=one.get("host") or "",
                port=one.get("port") or DEFAULT_PORT,
                unix_socket=one.get("unix_socket") or "",
                service=one.get("service") or "",
                user=one.get("user") or login.user,
                password=one.get("password") or login.password,
                ssl_mode=one.get("ssl_mode") or login.ssl_mode,
                ca_cert=one.get("ca_cert") or login.ca_cert,
            )
        )
    return logins
