# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login arguments that every ``postgres_*`` module shares.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .connection import Login

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
