# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module that deploys certificates.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import typing as t

from .._core.application import commands_from
from .._core.records import default_path
from .._core.suggest import InputError, did_you_mean
from .arguments import ENDPOINT_OPTIONS, duration_from, endpoints_from, name_from
from .deploy import Settings
from .service import PRESETS, Service, service_of
from .store import Rights
from .trust import Trust

DEPLOY_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "certificate": {"type": "path", "required": True},
    "key": {"type": "path", "required": True, "no_log": False},
    "chain": {"type": "path", "default": ""},
    "directory": {"type": "path", "required": True},
    "owner": {"type": "str", "default": ""},
    "group": {"type": "str", "default": ""},
    "key_mode": {"type": "str", "default": "0600", "no_log": False},
    "names": {"type": "list", "elements": "str", "default": []},
    "listeners": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {**ENDPOINT_OPTIONS, "names": {"type": "list", "elements": "str"}},
    },
    "trust": {"type": "path", "default": ""},
    "service": {"type": "str", "choices": ["none", *PRESETS], "default": "none"},
    "test_commands": {"type": "list", "elements": "list", "default": []},
    "reload_commands": {"type": "list", "elements": "list", "default": []},
    "command_timeout": {"type": "str", "default": "1m"},
    "timeout": {"type": "str", "default": "5s"},
    "proof_timeout": {"type": "str", "default": "30s"},
    "handshakes": {"type": "int", "default": 3},
    "keep": {"type": "int", "default": 3},
    "allow_older": {"type": "bool", "default": False},
    "accept_down": {"type": "bool", "default": False},
    "state_dir": {"type": "path", "default": ""},
}

_MODE = re.compile(r"0?[0-7]{3}")
_RANGES = {"handshakes": (1, 100), "keep": (0, 1000)}


def deploy_settings_from(params: t.Mapping[str, t.Any]) -> Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    for option in ("certificate", "key", "chain", "directory"):
        if params[option] and not os.path.isabs(params[option]):
            raise InputError(f"{option} is {params[option]!r}: write an absolute path")
    for option, (least, most) in _RANGES.items():
        if not least <= params[option] <= most:
            raise InputError(f"{option} is {params[option]}: write a number from {least} to {most}")
    if not params["listeners"]:
        raise InputError("listeners is empty: name where the certificate is served, or nothing can be proved")
    return Settings(
        certificate=params["certificate"],
        key=params["key"],
        chain=params["chain"] or "",
        directory=params["directory"],
        rights=rights_from(params),
        names=tuple(name_from("names", name) for name in params["names"]),
        listeners=endpoints_from("listeners", params["listeners"]),
        trust=Trust(params["trust"] or ""),
        service=_service_from(params),
        state_dir=params["state_dir"] or os.path.join(os.path.dirname(default_path()), "certificates"),
        timeout=duration_from(params, "timeout"),
        patience=duration_from(params, "proof_timeout"),
        handshakes=params["handshakes"],
        keep=params["keep"],
        allow_older=params["allow_older"],
        accept_down=params["accept_down"],
    )


def _service_from(params: t.Mapping[str, t.Any]) -> Service:
    testing, reloading = (commands_from(name, params[name]) for name in ("test_commands", "reload_commands"))
    for name, commands in (("test_commands", testing), ("reload_commands", reloading)):
        whole = next((argv[0] for argv in commands if len(argv) == 1 and " " in argv[0]), None)
        if whole is not None:
            raise InputError(
                f"{name} has {whole!r}: write each word by itself, like {whole.split()!r}; no shell reads it"
            )
    service = service_of(params["service"], testing, reloading, duration_from(params, "command_timeout"))
    if not service.reloading:
        right = f"name the service ({', '.join(PRESETS)}), or write the commands that have it load its files anew"
        raise InputError(f"service is 'none' and reload_commands is empty: {right}")
    return service


def rights_from(params: t.Mapping[str, t.Any]) -> Rights:
    text = params["key_mode"]
    if not _MODE.fullmatch(text) or int(text, 8) & 0o137 or not int(text, 8) & 0o400:
        raise InputError(f'key_mode is {text!r}: write "0600", or "0640" to let the group read it; nobody else may')
    return Rights(_owner(params["owner"]), _group(params["group"]), int(text, 8))


def _owner(name: str) -> int:
    if not name:
        return -1
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        known = [entry.pw_name for entry in pwd.getpwall()]
        raise InputError(f"owner {name!r} is no account of this host; {did_you_mean(name, known)}") from None


def _group(name: str) -> int:
    if not name:
        return -1
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        known = [entry.gr_name for entry in grp.getgrall()]
        raise InputError(f"group {name!r} is no group of this host; {did_you_mean(name, known)}") from None
