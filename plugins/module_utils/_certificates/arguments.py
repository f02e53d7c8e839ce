# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the modules for certificates.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import typing as t

from .._core.durations import parse_duration
from .._core.suggest import InputError
from .._core.thresholds import parse_limits
from .disk import CertificateFile
from .endpoints import Pace
from .handshake import Endpoint, family_of
from .info import Settings
from .names import is_address, plain_name
from .starttls import PORTS
from .trust import KEY_TYPES, Trust
from .web_pki import SCOPES

#: How an endpoint is named; both modules document it, for a fragment cannot hold suboptions alone.
ENDPOINT_OPTIONS: dict[str, dict[str, t.Any]] = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 0},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "address_family": {"type": "str", "choices": ["any", "ipv4", "ipv6"], "default": "any"},
    "server_name": {"type": "str", "default": ""},
    "starttls": {"type": "str", "choices": list(PORTS), "default": "none"},
    "key_type": {"type": "str", "choices": list(KEY_TYPES), "default": "any", "no_log": False},
}

INFO_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "endpoints": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            **ENDPOINT_OPTIONS,
            "names": {"type": "list", "elements": "str"},
            "certificate": {"type": "path", "default": ""},
        },
    },
    "certificates": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "key": {"type": "path", "default": "", "no_log": False},
            "names": {"type": "list", "elements": "str", "default": []},
            "kind": {"type": "str", "choices": ["server", "authorities"], "default": "server"},
        },
    },
    "trust": {"type": "path", "default": ""},
    "stapling": {"type": "bool", "default": False},
    "calendar": {"type": "list", "elements": "str", "choices": list(SCOPES), "default": []},
    "limits": {"type": "dict", "default": {"high": "< 10%", "medium": "< 25%"}},
    "timeout": {"type": "str", "default": "5s"},
    "deadline": {"type": "str", "default": "1m"},
    "jobs": {"type": "int", "default": 100},
}

_HIGHEST_PORT = 65535
#: Labels of a DNS name in ASCII, with the underscore that names of services have.
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_MOST_JOBS = 1000


def settings_from(params: t.Mapping[str, t.Any]) -> Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    endpoints, certificates = params["endpoints"], params["certificates"]
    if not endpoints and not certificates:
        raise InputError("endpoints and certificates are empty: name at least one of what is to be looked at")
    if not 1 <= params["jobs"] <= _MOST_JOBS:
        raise InputError(f"jobs is {params['jobs']}: write a number from 1 to {_MOST_JOBS}")
    try:
        limits = parse_limits(params["limits"], "percent")
    except InputError as exc:
        raise InputError(f"limits: {exc}; they are shares of the lifetime that is left") from None
    timeout, deadline = duration_from(params, "timeout"), duration_from(params, "deadline")
    if deadline < timeout:
        raise InputError(f"deadline is {params['deadline']!r}, shorter than timeout: no endpoint could use its time")
    return Settings(
        files=tuple(_file_from(f"certificates[{number}]", given) for number, given in enumerate(certificates)),
        endpoints=tuple(
            dataclasses.replace(each, asks_stapling=params["stapling"])
            for each in endpoints_from("endpoints", endpoints)
        ),
        trust=Trust(params["trust"] or ""),
        limits=limits,
        calendar=tuple(params["calendar"]),
        pace=Pace(timeout, deadline, params["jobs"]),
    )


def endpoints_from(option: str, given: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Endpoint, ...]:
    """:raises InputError: naming the option, the value and what would be right."""
    found = [_endpoint_from(f"{option}[{number}]", each) for number, each in enumerate(given)]
    for number, endpoint in enumerate(found):
        if endpoint in found[:number]:
            first = found.index(endpoint)
            raise InputError(f"{option}[{number}] is the same as {option}[{first}] ({endpoint}): name it once")
    return tuple(found)


def duration_from(params: t.Mapping[str, t.Any], name: str) -> int:
    try:
        return parse_duration(params[name])
    except InputError as exc:
        raise InputError(f"{name}: {exc}") from None


def _endpoint_from(where: str, given: t.Mapping[str, t.Any]) -> Endpoint:
    host = given["host"].strip()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host or (":" in host and not is_address(host)) or "/" in host:
        raise InputError(f"{where}.host is {given['host']!r}: write a name or an address, without port and scheme")
    port = given["port"] or PORTS[given["starttls"]]
    if not 0 < port <= _HIGHEST_PORT:
        raise InputError(f"{where}.port is {port}: write a number from 1 to {_HIGHEST_PORT}")
    names = given.get("names")
    server_name = name_from(f"{where}.server_name", given["server_name"] or host)
    addresses = tuple(_address(where, each) for each in given["addresses"])
    family = given["address_family"]
    wrong = [each for each in addresses if family not in ("any", family_of(each))]
    if wrong:
        raise InputError(f"{where}.addresses has {wrong[0]!r}, which is not {family} as address_family says")
    certificate = given.get("certificate") or ""
    if certificate and not os.path.isabs(certificate):
        raise InputError(f"{where}.certificate is {certificate!r}: write an absolute path, with * where you want")
    return Endpoint(
        host=host if is_address(host) else name_from(f"{where}.host", host),
        port=port,
        addresses=addresses,
        server_name=server_name,
        starttls=given["starttls"],
        family=family,
        names=(server_name,) if names is None else tuple(name_from(f"{where}.names", name) for name in names),
        certificate=certificate,
        key_type=given.get("key_type") or "any",
    )


def _address(where: str, text: str) -> str:
    if not is_address(text):
        raise InputError(f'{where}.addresses has {text!r}: write IP addresses, like "192.0.2.7" or "2001:db8::7"')
    address, percent, zone = text.partition("%")
    return str(ipaddress.ip_address(address)) + percent + zone


def name_from(where: str, text: str) -> str:
    """A DNS name or an address.

    :raises InputError: naming where it stands, the value and what would be right.
    """
    if is_address(text):
        return text
    try:
        name = plain_name(text)
    except InputError as exc:
        raise InputError(f"{where}: {exc}") from None
    if not _NAME.fullmatch(name):
        raise InputError(f'{where} is {text!r}: write a DNS name or an address, like "www.example.com"')
    return name


def _file_from(where: str, given: t.Mapping[str, t.Any]) -> CertificateFile:
    for option in ("path", "key"):
        if given[option] and not os.path.isabs(given[option]):
            raise InputError(f"{where}.{option} is {given[option]!r}: write an absolute path")
    authorities = given["kind"] == "authorities"
    if authorities and (given["key"] or given["names"]):
        raise InputError(f"{where}: a bundle of authorities has neither key nor names; leave them out, or the kind")
    names = tuple(name_from(f"{where}.names", name) for name in given["names"])
    return CertificateFile(given["path"], given["key"] or "", names, authorities)
