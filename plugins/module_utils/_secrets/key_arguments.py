# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module that rotates keys of tokens.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.health import health_from
from .._core.suggest import InputError
from .arguments import (
    consumers_from,
    others_from,
    percent_from,
    seconds_from,
    seconds_or_none,
    state_directory,
    store_from,
)
from .key_work import KeyWork
from .keys import ALGORITHMS, HS256, Lives
from .placing import USERLIST

#: Documented by the module secret_rotate_jwt.
KEY_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "algorithm": {"type": "str", "choices": list(ALGORITHMS), "required": True},
    "token_life": {"type": "str", "required": True, "no_log": False},  # a time
    "cache_life": {"type": "str", "required": True},
    "signer_life": {"type": "str", "default": ""},
    "clock_skew": {"type": "str", "default": "1m"},
    "emergency": {"type": "bool", "default": False},
    "rollback": {"type": "bool", "default": False},
    "present_secret": {"type": "str", "default": "", "no_log": True},
}

_SHORTEST_SECRET = 32


def key_work_from(params: t.Mapping[str, t.Any]) -> KeyWork:
    """:raises InputError: naming the option, the value and what would be right."""
    present = params["present_secret"]
    if params["emergency"] and params["rollback"]:
        raise InputError("emergency and rollback are both given: a key that others know is not brought back")
    if present and params["algorithm"] != HS256:
        raise InputError(f"present_secret is a shared secret of HS256, but algorithm is {params['algorithm']!r}")
    if present and len(present.encode()) < _SHORTEST_SECRET:
        raise InputError(f"present_secret has fewer than {_SHORTEST_SECRET} bytes, which HS256 needs (RFC 7518)")
    for consumer in params["consumers"]:
        where = f"consumers: {consumer['name']!r}"
        if consumer["prove_sessions"]:
            raise InputError(f"{where} has prove_sessions, which is for passwords of databases: give a probe")
        for placed in consumer["files"]:
            if placed["kind"] == USERLIST:
                raise InputError(f"{where}: {placed['path']} is of kind 'userlist', which is for passwords")
            if placed["kind"] != "env" and not placed["content"]:
                raise InputError(f"{where}: {placed['path']} has no content: say what is written, like {{jwks}}")
    cache = seconds_or_none("cache_life", params["cache_life"])
    signer = seconds_or_none("signer_life", params["signer_life"]) if params["signer_life"] else cache
    lives = Lives(
        cache=cache,
        signer=signer,
        token=seconds_from("token_life", params["token_life"]),
        skew=seconds_or_none("clock_skew", params["clock_skew"]),
    )
    return KeyWork(
        store=store_from(params["store"], params["name"]),
        algorithm=params["algorithm"],
        lives=lives,
        period=seconds_from("period", params["period"]),
        from_percent=percent_from(params),
        force=params["force"],
        emergency=params["emergency"],
        consumers=consumers_from(params["consumers"]),
        health=health_from(params),
        state_dir=state_directory(params["state_dir"]),
        present=present,
        others=others_from(params),
    )
