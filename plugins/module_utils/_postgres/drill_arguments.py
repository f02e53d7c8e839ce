# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module that drills disasters.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import os
import typing as t

from .._core.clock import parse_time
from .._core.health import Health, health_from
from .._core.records import default_path
from .._core.suggest import InputError
from .._s3.settings import store_from
from .arguments import duration_from
from .drill import SCENARIOS, Settings
from .drill_clock import Objectives
from .drill_traffic import NOTE, Commands, Traffic
from .scratch import Serving
from .verify_plan import Settings as Restoring

#: Beside those of the store and of the health of an application; `bucket` is not required here.
DRILL_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "scenario": {"type": "str", "choices": list(SCENARIOS), "required": True},
    "only_switch_back": {"type": "bool", "default": False},
    "path": {"type": "path", "default": "/var/backups/steward"},
    "system_identifier": {"type": "str", "default": ""},
    "failed_at": {"type": "str", "default": ""},
    "rto": {"type": "str", "default": "1h"},
    "rpo": {"type": "str", "default": "24h"},
    "identity_file": {"type": "path", "default": ""},
    "scratch_path": {"type": "path", "default": "/var/tmp"},  # noqa: S108 (what is made in it is closed to others)
    "run_as": {"type": "str", "default": ""},
    "jobs": {"type": "int", "default": 2},
    "nice": {"type": "int", "default": 0},
    "io_class": {"type": "str", "choices": ["idle", "best-effort", "none"], "default": "none"},
    "bin_dir": {"type": "path", "default": ""},
    "listen_addresses": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 5432},
    "allow_from": {"type": "list", "elements": "str", "default": []},
    "read_only": {"type": "bool", "default": True},
    "traffic_to_recovery": {"type": "list", "elements": "list", "default": []},
    "traffic_back": {"type": "list", "elements": "list", "default": []},
    "traffic_timeout": {"type": "str", "default": "1m"},
    "recovery_url": {"type": "str", "default": ""},
    "recovery_command": {"type": "list", "elements": "str", "default": []},
    "normal_url": {"type": "str", "default": ""},
    "normal_command": {"type": "list", "elements": "str", "default": []},
    "state_dir": {"type": "path", "default": ""},
}

_HIGHEST_PORT = 65535


def settings_from(params: t.Mapping[str, t.Any]) -> Settings:
    """What a module's parameters describe.

    :raises InputError: naming the option, the value and what would be right.
    """
    local = params["scenario"] == "database_failure"
    if not local and not params["bucket"] and not params["only_switch_back"]:
        raise InputError(
            f"bucket is empty: a {SCENARIOS[params['scenario']]} takes the backups of the host with it,"
            " so name the store of the off-site copies"
        )
    return Settings(
        scenario=params["scenario"],
        restoring=Restoring(
            path=params["path"],
            scratch_path=params["scratch_path"],
            run_as=params["run_as"] or "",
            jobs=params["jobs"],
            nice=params["nice"],
            io_class=params["io_class"],
            bin_dir=params["bin_dir"] or "",
            identity_file=params["identity_file"] or "",
            public_key=params["public_key"] or "",
        ),
        objectives=Objectives(duration_from(params, "rto", empty=0), duration_from(params, "rpo", empty=0)),
        store=store_from(params) if not local and params["bucket"] else None,
        system_identifier=params["system_identifier"] or "",
        health=health_from(params),
        serving=_serving_from(params),
        read_only=params["read_only"],
        traffic=_traffic_from(params),
        failed=_moment_from(params),
    )


def _moment_from(params: t.Mapping[str, t.Any]) -> t.Any:
    if not params["failed_at"]:
        return None
    try:
        return parse_time(params["failed_at"])
    except InputError as exc:
        raise InputError(f"failed_at: {exc}") from None


def _serving_from(params: t.Mapping[str, t.Any]) -> Serving:
    port, listening, networks = params["port"], params["listen_addresses"] or "", tuple(params["allow_from"])
    if not 1 <= port <= _HIGHEST_PORT:
        raise InputError(f"port is {port}: it must be between 1 and {_HIGHEST_PORT}")
    if bool(listening) != bool(networks):
        lacking = "allow_from" if listening else "listen_addresses"
        raise InputError(f"{lacking} is empty: give listen_addresses and allow_from together, or neither")
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as exc:
            raise InputError(f"allow_from has {network!r}: write a network like '10.1.0.0/16' ({exc})") from None
    return Serving(listening, port, networks)


def _traffic_from(params: t.Mapping[str, t.Any]) -> Traffic:
    if params["scenario"] != "regional_outage":
        return Traffic()
    timeout = duration_from(params, "traffic_timeout")
    directory = params["state_dir"] or os.path.join(os.path.dirname(default_path()), "drill")
    return Traffic(
        to_recovery=_commands_from(params, "traffic_to_recovery"),
        back=_commands_from(params, "traffic_back"),
        at_recovery=_probe_from(params, "recovery"),
        at_normal=_probe_from(params, "normal"),
        timeout=timeout,
        note=os.path.join(directory, NOTE),
    )


def _commands_from(params: t.Mapping[str, t.Any], option: str) -> Commands:
    for argv in params[option]:
        if not isinstance(argv, (list, tuple)) or not argv or not all(isinstance(word, str) for word in argv):
            right = 'each command is a list of words, like [["/usr/local/sbin/traffic", "back"]]; no shell reads them'
            raise InputError(f"{option} has {argv!r}: {right}")
    return tuple(tuple(argv) for argv in params[option])


def _probe_from(params: t.Mapping[str, t.Any], where: str) -> Health:
    try:
        return health_from(
            {
                "health_url": params[f"{where}_url"],
                "health_status": 200,
                "health_command": params[f"{where}_command"],
                "health_timeout": params["traffic_timeout"],
            }
        )
    except InputError as exc:
        raise InputError(str(exc).replace("health_", f"{where}_")) from None
