# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the modules that have certificates issued and revoked.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import os
import re
import typing as t
import urllib.parse

from .._core.records import default_path
from .._core.suggest import InputError
from .acme_account import AccountSettings
from .arguments import duration_from, name_from
from .authority import OwnAuthority
from .challenges import ChallengeSettings
from .deploy_arguments import rights_from
from .dns_query import system_resolvers
from .dns_records import Hook, Records, Updates
from .issue_settings import Settings
from .keys import KINDS
from .names import is_address

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

ACCOUNT_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "directory_url": {"type": "str", "default": LETS_ENCRYPT},
    "directory_trust": {"type": "path", "default": ""},
    "account_directory": {"type": "path", "default": ""},
    "contact": {"type": "list", "elements": "str", "default": []},
    "terms_agreed": {"type": "bool", "default": False},
    "eab_key_id": {"type": "str", "default": ""},
    "eab_key": {"type": "str", "default": "", "no_log": True},
    "timeout": {"type": "str", "default": "30s"},
}

ISSUE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "names": {"type": "list", "elements": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "provider": {"type": "str", "choices": ["acme", "own_ca", "self_signed"], "default": "acme"},
    "key_type": {"type": "str", "choices": list(KINDS), "default": "ecdsa-p256", "no_log": False},
    "renew_left": {"type": "str", "default": ""},
    "compromised": {"type": "list", "elements": "str", "default": []},
    "owner": {"type": "str", "default": ""},
    "group": {"type": "str", "default": ""},
    "key_mode": {"type": "str", "default": "0600", "no_log": False},
    "keep": {"type": "int", "default": 3},
    "trust": {"type": "path", "default": ""},
    **ACCOUNT_ARGUMENTS,
    "profile": {"type": "str", "default": ""},
    "preferred_chain": {"type": "str", "default": ""},
    "order_timeout": {"type": "str", "default": "5m"},
    "retry_now": {"type": "bool", "default": False},
    "challenge": {"type": "str", "choices": ["http-01", "dns-01"], "default": "http-01"},
    "webroot": {"type": "path", "default": ""},
    "http_address": {"type": "str", "default": ""},
    "http_port": {"type": "int", "default": 80},
    "dns_hook": {"type": "list", "elements": "str", "default": []},
    "dns_hook_timeout": {"type": "str", "default": "2m"},
    "nsupdate_server": {"type": "str", "default": ""},
    "nsupdate_key": {"type": "path", "default": "", "no_log": False},
    "nsupdate_zone": {"type": "str", "default": ""},
    "hand_out": {"type": "bool", "default": False},
    "look_first": {"type": "bool", "default": True},
    "look_at": {"type": "list", "elements": "str", "default": []},
    "resolvers": {"type": "list", "elements": "str", "default": []},
    "look_timeout": {"type": "str", "default": "10s"},
    "propagation_timeout": {"type": "str", "default": "2m"},
    "lifetime": {"type": "str", "default": "90d"},
    "authority_certificate": {"type": "path", "default": ""},
    "authority_key": {"type": "path", "default": "", "no_log": False},
    "authority_passphrase": {"type": "str", "default": "", "no_log": True},
}

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_PERCENT = re.compile(r"(\d{1,2}(?:\.\d+)?) ?%")
_MOST_KEPT, _HIGHEST_PORT = 1000, 65535


def issue_settings_from(params: t.Mapping[str, t.Any]) -> Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    _refuse_relative(params, "directory", "trust", "webroot", "authority_certificate", "authority_key")
    if not 0 <= params["keep"] <= _MOST_KEPT:
        raise InputError(f"keep is {params['keep']}: write a number from 0 to {_MOST_KEPT}")
    acme = params["provider"] == "acme"
    names = _names_from(params)
    return Settings(
        names=names,
        directory=params["directory"],
        provider=params["provider"],
        rights=rights_from(params),
        key_type=params["key_type"],
        renew_left=_share_from(params["renew_left"]),
        compromised=fingerprints_from("compromised", params["compromised"]),
        keep=params["keep"],
        trust=params["trust"] or "",
        lifetime=duration_from(params, "lifetime"),
        authority=_authority_from(params) if params["provider"] == "own_ca" else None,
        account=account_from(params) if acme else None,
        challenges=_challenges_from(params, names) if acme else None,
        profile=params["profile"] if acme else "",
        preferred_chain=params["preferred_chain"],
        patience=duration_from(params, "order_timeout"),
        retry_now=params["retry_now"],
    )


def account_from(params: t.Mapping[str, t.Any]) -> AccountSettings:
    """:raises InputError: naming the option, the value and what would be right."""
    _refuse_relative(params, "account_directory", "directory_trust")
    url = params["directory_url"]
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise InputError(f"directory_url is {url!r}: write the https address of an ACME directory, like {LETS_ENCRYPT}")
    wrong = [each for each in params["contact"] if not re.fullmatch(r"[^@\s:]+@[^@\s:]+", each)]
    if wrong:
        raise InputError(f"contact has {wrong[0]!r}: write mail addresses, like ops@example.com")
    if bool(params["eab_key_id"]) != bool(params["eab_key"]):
        missing = "eab_key" if params["eab_key_id"] else "eab_key_id"
        raise InputError(f"{missing} is missing: an external account has both eab_key_id and eab_key")
    place = params["account_directory"]
    if not place:
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{parts.netloc}{parts.path}").strip("_")
        place = os.path.join(os.path.dirname(default_path()), "acme", name)
    return AccountSettings(
        directory_url=url,
        place=place,
        contact=tuple(params["contact"]),
        terms_agreed=params["terms_agreed"],
        key_id=params["eab_key_id"],
        mac_key=params["eab_key"],
        trust=params["directory_trust"] or "",
        timeout=duration_from(params, "timeout"),
    )


def fingerprints_from(option: str, given: t.Sequence[str]) -> tuple[str, ...]:
    """SHA-256 fingerprints, also with colons between the octets."""
    found = []
    for text in given:
        plain = text.replace(":", "").lower()
        if not _FINGERPRINT.fullmatch(plain):
            raise InputError(f"{option} has {text!r}: write SHA-256 fingerprints, 64 hexadecimal digits each")
        found.append(plain)
    return tuple(found)


def _names_from(params: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    if not params["names"]:
        raise InputError("names is empty: name at least one that the certificate is for")
    names = []
    for number, text in enumerate(params["names"]):
        where = f"names[{number}]"
        star = text.startswith("*.")
        name = name_from(where, text[2:] if star else text)
        if star and (params["provider"] == "acme" and params["challenge"] != "dns-01"):
            raise InputError(f"{where} is {text!r}: authorities take a star only with the challenge dns-01")
        if is_address(name) and params["provider"] == "acme" and params["challenge"] != "http-01":
            raise InputError(f"{where} is {text!r}: for an address there is only the challenge http-01")
        # As the certificate will have it, or it would be another one each time.
        names.append(f"*.{name}" if star else str(ipaddress.ip_address(name)) if is_address(name) else name)
    return tuple(dict.fromkeys(names))


def _challenges_from(params: t.Mapping[str, t.Any], names: t.Sequence[str]) -> ChallengeSettings:
    kind = params["challenge"]
    records = _records_from(params) if kind == "dns-01" else Hook(())
    for option in ("dns_hook", "nsupdate_server"):
        if kind == "http-01" and params[option]:
            raise InputError(
                f"{option} is of no use to the challenge http-01: set challenge to dns-01, or leave it out"
            )
    webroot = (params["webroot"] or "").rstrip("/")
    if webroot and not os.path.isdir(webroot):
        raise InputError(f"webroot {webroot!r} is no directory: name the one that the server for {names[0]} serves")
    if params["hand_out"] and (kind != "http-01" or not webroot):
        raise InputError(
            "hand_out is for files of the challenge http-01: name the webroot of this host, or leave it out"
        )
    if not 0 < params["http_port"] <= _HIGHEST_PORT:
        raise InputError(f"http_port is {params['http_port']}: write a number from 1 to {_HIGHEST_PORT}")
    for option in ("look_at", "resolvers"):
        for text in params[option]:
            if not is_address(text.partition("#")[0]):
                raise InputError(f'{option} has {text!r}: write IP addresses, like "192.0.2.7"')
    resolvers = tuple(params["resolvers"])
    if isinstance(records, Updates) and not resolvers:
        resolvers = (records.server,)
    if kind == "dns-01" and params["look_first"] and not resolvers:
        resolvers = tuple(system_resolvers())
        if not resolvers:
            raise InputError("resolvers is empty, and this host has none: name the DNS servers to look at")
    return ChallengeSettings(
        kind=kind,
        webroot=webroot,
        address=params["http_address"],
        port=params["http_port"],
        records=records,
        hand_out=params["hand_out"],
        look_first=params["look_first"],
        look_at=tuple(params["look_at"]),
        resolvers=resolvers,
        timeout=duration_from(params, "look_timeout"),
        patience=duration_from(params, "propagation_timeout"),
    )


def _records_from(params: t.Mapping[str, t.Any]) -> Records:
    hook, server = tuple(params["dns_hook"]), params["nsupdate_server"]
    if bool(hook) == bool(server):
        told = "are both given" if hook else "are empty"
        right = (
            "the challenge dns-01 needs one of them, a program that makes TXT records or a server that takes updates"
        )
        raise InputError(f"dns_hook and nsupdate_server {told}: {right}")
    timeout = duration_from(params, "dns_hook_timeout")
    if hook:
        if not os.path.isabs(hook[0]):
            raise InputError(f"dns_hook begins with {hook[0]!r}: write the absolute path of a program")
        return Hook(hook, timeout)
    address, _hash, port = server.partition("#")
    if not is_address(address) or (_hash and not port.isdigit()):
        raise InputError(f'nsupdate_server is {server!r}: write an IP address, like "192.0.2.53" or "192.0.2.53#5353"')
    _refuse_relative(params, "nsupdate_key")
    if params["nsupdate_key"] and not os.path.isfile(params["nsupdate_key"]):
        raise InputError(f"nsupdate_key {params['nsupdate_key']!r} is no file: name the one with the key of the server")
    zone = name_from("nsupdate_zone", params["nsupdate_zone"]) if params["nsupdate_zone"] else ""
    return Updates(server, params["nsupdate_key"] or "", zone, timeout)


def _authority_from(params: t.Mapping[str, t.Any]) -> OwnAuthority:
    for option in ("authority_certificate", "authority_key"):
        if not params[option]:
            raise InputError(f"{option} is empty: the provider own_ca needs the authority's certificate and its key")
    return OwnAuthority(params["authority_certificate"], params["authority_key"], params["authority_passphrase"])


def _share_from(text: str) -> float:
    if not text:
        return 0
    match = _PERCENT.fullmatch(text.strip())
    share = float(match.group(1)) / 100 if match else 0
    if not 0 < share < 1:
        raise InputError(f'renew_left is {text!r}: write the share of the lifetime that is left, like "33%"')
    return share


def _refuse_relative(params: t.Mapping[str, t.Any], *options: str) -> None:
    for option in options:
        if params[option] and not os.path.isabs(params[option]):
            raise InputError(f"{option} is {params[option]!r}: write an absolute path")
