# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module that takes servers out of the traffic of load balancers.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from .._core.application import commands_from
from .._core.durations import parse_duration
from .._core.records import default_path
from .._core.suggest import InputError, refuse_unknown
from .commands import Commands
from .draining import DRAINED, END, PUT_BACK, READY, RETURNED, Settings
from .haproxy import HAProxy
from .model import Balancer, Member
from .nginx import Nginx

BALANCER_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "state": {"type": "str", "choices": [DRAINED, RETURNED, READY], "required": True},
    "servers": {"type": "list", "elements": "dict", "required": True},
    "haproxy": {"type": "list", "elements": "str", "default": []},
    "nginx_file": {"type": "path", "default": ""},
    "nginx_pid_file": {"type": "path", "default": "/run/nginx.pid"},
    "nginx_test_command": {"type": "list", "elements": "str", "default": ["nginx", "-T", "-q"]},
    "nginx_reload_command": {"type": "list", "elements": "str", "default": ["nginx", "-s", "reload"]},
    "nginx_health_path": {"type": "str", "default": ""},
    "drain_commands": {"type": "list", "elements": "list", "default": []},
    "ready_commands": {"type": "list", "elements": "list", "default": []},
    "servers_command": {"type": "list", "elements": "str", "default": []},
    "min_ready": {"type": "int", "default": 1},
    "timeout": {"type": "str", "default": "1m"},
    "on_timeout": {"type": "str", "choices": [PUT_BACK, END], "default": PUT_BACK},
    "state_dir": {"type": "path", "default": ""},
}
_KEYS = ("pool", "server")
_TCP = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:/]+):([0-9]{1,5})")
_LAST_PORT = 65535


def balancer_settings_from(params: t.Mapping[str, t.Any]) -> Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    try:
        timeout = parse_duration(params["timeout"])
    except InputError as exc:
        raise InputError(f"timeout: {exc}") from None
    if params["min_ready"] < 0:
        raise InputError(f"min_ready is {params['min_ready']}: write how many others must be up, 0 or more")
    state_dir = params["state_dir"] or os.path.join(os.path.dirname(default_path()), "balancers")
    if not os.path.isabs(state_dir):
        raise InputError(f"state_dir is {state_dir!r}: write an absolute path")
    return Settings(
        state=params["state"],
        balancers=_balancers(params, timeout, state_dir),
        members=_members(params["servers"]),
        min_ready=params["min_ready"],
        timeout=timeout,
        on_timeout=params["on_timeout"],
        state_dir=state_dir,
    )


def _members(given: t.Sequence[t.Any]) -> tuple[Member, ...]:
    if not given:
        raise InputError("servers is empty: name at least one, like {pool: web, server: web1}")
    found = []
    for number, one in enumerate(given):
        refuse_unknown(f"servers[{number}]: unknown key %s", one, _KEYS)
        for key in _KEYS:
            if not isinstance(one.get(key), str) or not one[key]:
                raise InputError(f"servers[{number}]: {key} is {one.get(key)!r}: write {{pool: web, server: web1}}")
        member = Member(one["pool"], one["server"])
        if member in found:
            raise InputError(f"servers has {member.told} twice")
        found.append(member)
    return tuple(found)


def _balancers(params: t.Mapping[str, t.Any], timeout: float, state_dir: str) -> tuple[Balancer, ...]:
    draining, admitting = (commands_from(name, params[name]) for name in ("drain_commands", "ready_commands"))
    looking = tuple(params["servers_command"])
    given = {"drain_commands": draining, "ready_commands": admitting, "servers_command": looking}
    if params["haproxy"] or params["nginx_file"]:
        kind = "haproxy" if params["haproxy"] else "nginx_file"
        beside = {**given, "nginx_file": params["nginx_file"] if kind == "haproxy" else ""}
        other = next((name for name, value in beside.items() if value), "")
        if other:
            raise InputError(f"{other} is given beside {kind}: name one kind of balancer")
        if kind == "nginx_file":
            return (_nginx(params, timeout, state_dir),)
        return tuple(HAProxy(_address(one)) for one in params["haproxy"])
    for name, value in given.items():
        if not value:
            together = "drain_commands, ready_commands and servers_command belong together"
            right = f"name sockets of HAProxy, the file with nginx's upstream, or commands; {together}"
            raise InputError(f"haproxy, nginx_file and {name} are empty: {right}")
    return (Commands(draining, admitting, looking, timeout),)


def _nginx(params: t.Mapping[str, t.Any], timeout: float, state_dir: str) -> Nginx:
    for name in ("nginx_file", "nginx_pid_file"):
        if not os.path.isabs(params[name]):
            raise InputError(f"{name} is {params[name]!r}: write an absolute path")
    for name, right in (("nginx_test_command", "[nginx, -T, -q]"), ("nginx_reload_command", "[nginx, -s, reload]")):
        if not params[name]:
            raise InputError(f"{name} is empty: write the command as words, like {right}")
    path = params["nginx_health_path"]
    if path and not path.startswith("/"):
        raise InputError(f"nginx_health_path is {path!r}: write a path that begins with /, like /health")
    if params["on_timeout"] == END:
        right = "write return, and worker_shutdown_timeout in the configuration of nginx"
        raise InputError(f"on_timeout is {END!r}, and nginx cannot end the connections to one server: {right}")
    return Nginx(
        file=params["nginx_file"],
        pid_file=params["nginx_pid_file"],
        testing=params["nginx_test_command"],
        reloading=params["nginx_reload_command"],
        health_path=path,
        timeout=timeout,
        state_dir=state_dir,
    )


def _address(text: str) -> str:
    found = _TCP.fullmatch(text)
    if not text.startswith("/") and not (found and 0 < int(found.group(2)) <= _LAST_PORT):
        raise InputError(f"haproxy has {text!r}: write the path of a socket, or host:port")
    return text
