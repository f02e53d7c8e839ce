# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module that rotates API keys.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.health import health_from
from .._core.suggest import InputError
from .api_key import Waits
from .api_key_work import ApiKeyWork
from .arguments import (
    NEED_ARGUMENTS,
    consumers_from,
    others_from,
    percent_from,
    seconds_from,
    seconds_or_none,
    state_directory,
    store_from,
)
from .aws_session import AwsSettings
from .placing import TEXT, USERLIST
from .provider import Provider
from .provider_command import COMMANDS, Command
from .provider_iam import Iam

AWS_IAM, COMMAND = "aws_iam", "command"

_OF_IAM = ("user", "region", "endpoint_url", "access_key", "secret_key", "session_token", "profile", "ca_cert")

#: Documented by the module secret_rotate_key.
API_KEY_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **NEED_ARGUMENTS,
    "period": {"type": "str", "default": "365d"},
    "provider": {
        "type": "dict",
        "required": True,
        "options": {
            "kind": {"type": "str", "choices": [AWS_IAM, COMMAND], "required": True},
            "user": {"type": "str", "default": ""},
            "region": {"type": "str", "default": ""},
            "endpoint_url": {"type": "str", "default": ""},
            "access_key": {"type": "str", "default": "", "no_log": False},
            "secret_key": {"type": "str", "default": "", "no_log": True},
            "session_token": {"type": "str", "default": "", "no_log": True},
            "profile": {"type": "str", "default": ""},
            "ca_cert": {"type": "path", "default": ""},
            **{name: {"type": "list", "elements": "str", "default": []} for name in COMMANDS},
            "timeout": {"type": "int", "default": 20},
        },
    },
    "present_id": {"type": "str", "default": ""},
    "present_secret": {"type": "str", "default": "", "no_log": True},
    "ready_timeout": {"type": "str", "default": "1m"},
    "quiet_for": {"type": "str", "default": "1d"},
    "disabled_for": {"type": "str", "default": "7d"},
    "emergency": {"type": "bool", "default": False},
    "rollback": {"type": "bool", "default": False},
}


def api_key_work_from(params: t.Mapping[str, t.Any]) -> ApiKeyWork:
    """:raises InputError: naming the option, the value and what would be right.
    :raises ProviderError: when what the provider needs is not installed.
    """
    if bool(params["present_id"]) != bool(params["present_secret"]):
        raise InputError("present_id and present_secret belong together: the key that is in use, and its secret")
    if params["emergency"] and params["rollback"]:
        raise InputError("emergency and rollback are both given: a key that others know is not brought back")
    for consumer in params["consumers"]:
        where = f"consumers: {consumer['name']!r}"
        if consumer["prove_sessions"]:
            raise InputError(f"{where} has prove_sessions, which is for passwords of databases: give a probe")
        for placed in consumer["files"]:
            if placed["kind"] == USERLIST:
                raise InputError(f"{where}: {placed['path']} is of kind 'userlist', which is for passwords")
            if placed["kind"] == TEXT and not placed["content"]:
                raise InputError(f"{where}: {placed['path']} has no content: say what is written, like {{secret}}")
    waits = Waits(
        ready=seconds_or_none("ready_timeout", params["ready_timeout"]),
        quiet=seconds_or_none("quiet_for", params["quiet_for"]),
        rest=seconds_or_none("disabled_for", params["disabled_for"]),
    )
    period, percent = seconds_from("period", params["period"]), percent_from(params)
    return ApiKeyWork(
        provider=provider_from(params["provider"]),
        store=store_from(params["store"], params["name"]),
        waits=waits,
        period=period,
        from_percent=percent,
        force=params["force"],
        emergency=params["emergency"],
        consumers=consumers_from(params["consumers"]),
        health=health_from(params),
        state_dir=state_directory(params["state_dir"]),
        others=others_from(params),
        present=(params["present_id"], params["present_secret"]) if params["present_id"] else None,
    )


def provider_from(given: t.Mapping[str, t.Any]) -> Provider:
    """:raises InputError: naming the option, the value and what would be right."""
    kind = given["kind"]
    foreign = COMMANDS if kind == AWS_IAM else _OF_IAM
    for option in foreign:
        if given[option]:
            other = COMMAND if kind == AWS_IAM else AWS_IAM
            raise InputError(f"provider.{option} is for kind {other!r}, but provider.kind is {kind!r}")
    if not 1 <= given["timeout"] <= 3600:
        raise InputError(f"provider.timeout is {given['timeout']}: it must be between 1 and 3600 seconds")
    if kind == AWS_IAM:
        if not given["user"]:
            raise InputError("provider.user is empty: name the IAM user whose access key is rotated")
        words = {name: given[name] for name in _OF_IAM if name != "user"}
        return Iam(AwsSettings(**words, timeout=given["timeout"]), given["user"])
    for name in COMMANDS:
        if not given[name]:
            raise InputError(f"provider.{name} is empty: a provider of commands needs {', '.join(COMMANDS)}")
        if name in ("enable", "disable", "delete") and not any("{id}" in word for word in given[name]):
            raise InputError(f"provider.{name} has no {{id}}: which key should it {name}?")
    return Command({name: tuple(given[name]) for name in COMMANDS}, given["timeout"])
