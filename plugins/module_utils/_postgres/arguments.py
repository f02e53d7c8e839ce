# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that the ``postgres_*`` modules share: the login, and how polite long work is.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.durations import parse_duration
from .._core.suggest import InputError
from .connection import Login
from .session import Politeness
from .work import Budget

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

#: Documented by the fragment ``steward.maintenance._postgres``.
LOGIN_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "login_host": {"type": "str", "default": ""},
    "login_port": {"type": "int", "default": 5432},
    "login_user": {"type": "str", "default": ""},
    "login_password": {"type": "str", "default": "", "no_log": True},
    "login_database": {"type": "str", "default": "postgres"},
    "login_unix_socket": {"type": "str", "default": ""},
    "login_service": {"type": "str", "default": ""},
    "ssl_mode": {"type": "str", "default": "prefer", "choices": list(SSL_MODES)},
    "ca_cert": {"type": "path", "default": ""},
    "connect_timeout": {"type": "int", "default": 10},
}

#: Documented by the fragment ``steward.maintenance._postgres.databases``.
DATABASES_ARGUMENT: dict[str, dict[str, t.Any]] = {
    "databases": {"type": "list", "elements": "str", "default": []},
}

#: A second login, of a standby; documented by the module that takes it.
STANDBY_ARGUMENT: dict[str, dict[str, t.Any]] = {
    "standby": {
        "type": "dict",
        "options": {
            "host": {"type": "str"},
            "port": {"type": "int"},
            "user": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "unix_socket": {"type": "str"},
            "service": {"type": "str"},
            "ssl_mode": {"type": "str", "choices": list(SSL_MODES)},
            "ca_cert": {"type": "path"},
        },
    },
}

#: Documented by the fragment ``steward.maintenance._postgres.politeness``.
POLITENESS_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "jobs": {"type": "int", "default": 1},
    "budget": {"type": "str", "default": "1h"},
    "deadline": {"type": "str", "default": ""},
    "lock_timeout": {"type": "str", "default": "5s"},
    "lock_wait": {"type": "str", "default": "30s"},
    "attempts": {"type": "int", "default": 3},
    "yield_after": {"type": "str", "default": "2s"},
    "replica_lag_bytes": {"type": "int", "default": 2**30},
    "wal_bytes_per_second": {"type": "int", "default": 0},
    "dangerously_terminate_after": {"type": "str", "default": ""},
    "progress": {"type": "str", "default": "30s"},
}

#: More connections than this help nobody.
_MOST_JOBS = 64


def login_from(params: t.Mapping[str, t.Any]) -> Login:
    """The login that a module's parameters describe."""
    return Login(
        host=params["login_host"] or "",
        port=params["login_port"],
        user=params["login_user"] or "",
        password=params["login_password"] or "",
        database=params["login_database"] or "postgres",
        unix_socket=params["login_unix_socket"] or "",
        ssl_mode=params["ssl_mode"],
        ca_cert=params["ca_cert"] or "",
        service=params["login_service"] or "",
        connect_timeout=params["connect_timeout"],
    )


def standby_from(params: t.Mapping[str, t.Any]) -> Login | None:
    """The login of the standby that is to be dumped; what it does not say is as in the login of the primary."""
    given = {name: value for name, value in (params["standby"] or {}).items() if value not in (None, "")}
    if not given:
        return None
    if not {"host", "unix_socket", "service"} & set(given):
        raise InputError("standby: say where it is, with host, unix_socket or service")
    # Its place is its own; who logs in, and how, is mostly the same.
    elsewhere = dataclasses.replace(login_from(params), host="", unix_socket="", service="")
    return dataclasses.replace(elsewhere, **given)


def politeness_from(params: t.Mapping[str, t.Any]) -> Politeness:
    """How polite the work is to be.

    :raises InputError: naming the argument, the value and what would be right.
    """
    terminate_after = params["dangerously_terminate_after"]
    if params["progress"] not in ("0", "0s"):
        duration_from(params, "progress")
    return Politeness(
        lock_timeout=duration_from(params, "lock_timeout"),
        lock_wait=duration_from(params, "lock_wait"),
        attempts=_at_least(params, "attempts", 1),
        yield_after=duration_from(params, "yield_after"),
        replica_lag_bytes=_at_least(params, "replica_lag_bytes", 0),
        wal_bytes_per_second=_at_least(params, "wal_bytes_per_second", 0),
        terminate_after=duration_from(params, "dangerously_terminate_after") if terminate_after else None,
    )


def jobs_from(params: t.Mapping[str, t.Any]) -> int:
    """How many connections work at the same time.

    :raises InputError: naming the argument, the value and what would be right.
    """
    return _at_least(params, "jobs", 1, _MOST_JOBS)


def duration_from(params: t.Mapping[str, t.Any], name: str, empty: int | None = None) -> int:
    """The seconds of an argument that is a duration.

    :param empty: what an empty text means, where it means something.
    :raises InputError: naming the argument, the value and what would be right.
    """
    if empty is not None and params[name] == "":
        return empty
    try:
        return parse_duration(params[name])
    except InputError as exc:
        raise InputError(f"{name}: {exc}") from None


def budget_from(params: t.Mapping[str, t.Any]) -> Budget:
    """The time that the work may take; it starts to run here.

    :raises InputError: naming the argument, the value and what would be right.
    """
    return Budget(duration_from(params, "budget"), _deadline(params["deadline"]))


def _at_least(params: t.Mapping[str, t.Any], name: str, least: int, most: int | None = None) -> int:
    value = int(params[name])
    if value < least or (most is not None and value > most):
        right = f"{least} or more" if most is None else f"between {least} and {most}"
        raise InputError(f"{name} is {value}: it must be {right}")
    return value


def _deadline(text: str) -> datetime.datetime | None:
    if not text:
        return None
    right = f'deadline {text!r} cannot be read: write it with its zone, like "2026-11-23T05:00:00+01:00" or "...Z"'
    try:
        moment = datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text[-1] in "Zz" else text)
    except ValueError:
        raise InputError(right) from None
    if moment.tzinfo is None:
        raise InputError(right)
    return moment
