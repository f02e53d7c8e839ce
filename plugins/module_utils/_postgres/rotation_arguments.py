# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that say whose password is rotated in PostgreSQL, and where the application logs in.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

from .._core.suggest import InputError
from .arguments import SSL_MODES
from .connection import Login
from .rotation import DatabaseSettings
from .rotation_failures import SERVER
from .rotation_pool import PgBouncer

#: Documented by the module secret_rotate.
ROLE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "users": {"type": "list", "elements": "str", "required": True},
    "owner": {"type": "str", "default": ""},
    "databases": {"type": "list", "elements": "str", "required": True},
    "app_host": {"type": "str", "default": ""},
    "app_port": {"type": "int", "default": 0},
    "app_ssl_mode": {"type": "str", "choices": ["", *SSL_MODES], "default": ""},
    "standbys": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"host": {"type": "str", "required": True}, "port": {"type": "int", "default": 5432}},
    },
    "standby_timeout": {"type": "int", "default": 60},
    "test_statements": {"type": "list", "elements": "str", "default": []},
    "failed_logins_log": {"type": "str", "default": ""},
    "pools": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 6432},
            "user": {"type": "str", "default": "pgbouncer"},
            "password": {"type": "str", "default": "", "no_log": True},
            "ssl_mode": {"type": "str", "choices": list(SSL_MODES), "default": "prefer"},
            "ca_cert": {"type": "path", "default": ""},
            "database": {"type": "str", "default": ""},
            "userlist": {"type": "path", "default": ""},
        },
    },
}

#: Of these, what a host needs that only takes a password up; documented by the module secret_take_up.
PLACE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "users": {"type": "list", "elements": "str", "default": []},
    "databases": {"type": "list", "elements": "str", "default": []},
    **{name: ROLE_ARGUMENTS[name] for name in ("owner", "app_host", "app_port", "app_ssl_mode")},
}

_LONGEST_NAME = 63


def database_settings_from(params: t.Mapping[str, t.Any]) -> DatabaseSettings:
    """:raises InputError: naming the option, the value and what would be right."""
    users, owner = list(params["users"]), params["owner"]
    right = "two users and an owner alternate, one user without an owner is single"
    if len(users) != (2 if owner else 1):
        raise InputError(f"users has {len(users)} entries and owner is {owner!r}: {right}")
    names = [*users, owner] if owner else users
    for name in names:
        if not name or len(name.encode()) > _LONGEST_NAME or "\0" in name:
            raise InputError(f"{name!r} is no name of a role: it has 1 to {_LONGEST_NAME} bytes")
    if len(set(names)) != len(names):
        raise InputError(f"users and owner must be different roles: {', '.join(names)}")
    if not params["databases"]:
        raise InputError("databases is empty: name those that the application logs in to, its main one first")
    if not 0 <= params["app_port"] <= 65535:
        raise InputError(f"app_port is {params['app_port']}: it must be a port, or 0 for login_port")
    if params["standby_timeout"] < 0:
        raise InputError(f"standby_timeout is {params['standby_timeout']}: it must be 0 or more seconds")
    log = params["failed_logins_log"]
    if log and log != SERVER and not os.path.isabs(log):
        raise InputError(f"failed_logins_log is {log!r}: it is {SERVER!r} or the absolute path of a log file")
    return DatabaseSettings(
        users=tuple(users),
        owner=owner,
        databases=tuple(params["databases"]),
        app_host=params["app_host"],
        app_port=params["app_port"],
        app_ssl_mode=params["app_ssl_mode"],
        standbys=tuple((entry["host"], entry["port"]) for entry in params["standbys"]),
        standby_timeout=params["standby_timeout"],
        statements=tuple(params["test_statements"]),
        failed_logins_log=log,
    )


def place_settings_from(params: t.Mapping[str, t.Any]) -> DatabaseSettings:
    """The same of L{PLACE_ARGUMENTS}: who rotates looks at the rest."""
    nothing = {name: ROLE_ARGUMENTS[name].get("default") for name in ROLE_ARGUMENTS}
    return database_settings_from({**nothing, **params})


def pools_from(params: t.Mapping[str, t.Any]) -> list[tuple[PgBouncer, str]]:
    """Each PgBouncer, and the path of its userlist where we write that.

    :raises InputError: naming the option, the value and what would be right.
    """
    found = []
    for entry in params["pools"]:
        where = f"pools: {entry['host']}:{entry['port']}"
        if not 1 <= entry["port"] <= 65535:
            raise InputError(f"{where}: port must be between 1 and 65535")
        if entry["userlist"] and not os.path.isabs(entry["userlist"]):
            raise InputError(f"{where}: userlist {entry['userlist']!r} is no absolute path")
        words = {name: entry[name] for name in ("host", "port", "user", "password", "ssl_mode", "ca_cert")}
        database = entry["database"] or params["databases"][0]
        found.append((PgBouncer(Login(**words), database), entry["userlist"]))
    return found
