# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the modules for packages of the system.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from .._core.accepted import SYSTEM, read_accepted
from .._core.durations import parse_duration
from .._core.records import default_path
from .._core.suggest import InputError
from . import archives, configuration, dnf_lists, hosts, looking, restarting, upgrading
from .plan import ALL, LEAVE, SECURITY, UPGRADE, Policy
from .upgrade import ALWAYS, KEEP, NEVER, OWN, REQUIRE, RETURN, RETURNED, STAY, TELL, UPGRADED

#: What is common to looking and doing; documented by the fragment steward.maintenance._patching.
POLICY_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "exclude": {"type": "list", "elements": "str", "default": []},
    "postgresql": {"type": "str", "choices": [LEAVE, UPGRADE], "default": LEAVE},
    "accepted": {"type": "list", "elements": "dict", "default": []},
    "host": {"type": "str", "default": ""},
    "security_origins": {"type": "list", "elements": "dict", "default": list(archives.SECURITY_ORIGINS)},
    "codename": {"type": "str", "default": ""},
    "security_repositories": {"type": "list", "elements": "str", "default": []},
    "refresh": {"type": "bool", "default": True},
    "max_age": {"type": "str", "default": "24h"},
    "max_release_age": {"type": "str", "default": "30d"},
    "timeout": {"type": "str", "default": "10m"},
    "state_dir": {"type": "path", "default": ""},
}
INFO_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "upgrade": {"type": "str", "choices": [ALL, SECURITY], "default": ALL},
    "checks": {"type": "list", "elements": "str", "choices": list(looking.CHECKS), "default": list(looking.CHECKS)},
    **POLICY_ARGUMENTS,
}

PATCH_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "state": {"type": "str", "choices": [UPGRADED, RETURNED], "default": UPGRADED},
    "upgrade": {"type": "str", "choices": [SECURITY, ALL], "default": SECURITY},
    "conffiles": {"type": "str", "choices": [configuration.KEEP, configuration.NEW], "default": configuration.KEEP},
    "repair": {"type": "str", "choices": [NEVER, OWN, ALWAYS], "default": OWN},
    "way_back": {"type": "str", "choices": [TELL, KEEP, REQUIRE], "default": TELL},
    "on_failure": {"type": "str", "choices": [STAY, RETURN], "default": STAY},
    "lock_timeout": {"type": "str", "default": "5m"},
    "upgrade_timeout": {"type": "str", "default": "1h"},
    **POLICY_ARGUMENTS,
}
SERVICES_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "never": {"type": "list", "elements": "str", "default": []},
    "postgresql": {"type": "str", "choices": [LEAVE, restarting.RESTART], "default": LEAVE},
    "restart_timeout": {"type": "str", "default": "2m"},
    "timeout": {"type": "str", "default": "10m"},
}

_PATTERN = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9_+.*?\[\]!-]*")
_REPOSITORY = re.compile(r"[A-Za-z0-9_.:*?\[\]!-]+")
_CODENAME = re.compile(r"[a-z][a-z0-9-]*")


def looking_settings_from(params: t.Mapping[str, t.Any]) -> looking.Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    if not params["checks"]:
        raise InputError(f"checks is empty: name some of {', '.join(looking.CHECKS)}")
    return looking.Settings(
        policy=policy_from(params),
        checks=tuple(params["checks"]),
        refresh=params["refresh"],
        max_age=duration_from(params, "max_age"),
        timeout=duration_from(params, "timeout"),
        state_dir=state_directory(params),
        max_release_age=_release_age(params),
    )


def patch_settings_from(params: t.Mapping[str, t.Any]) -> upgrading.Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    return upgrading.Settings(
        state=params["state"],
        policy=policy_from(params),
        conffiles=params["conffiles"],
        repair=params["repair"],
        way_back=params["way_back"],
        on_failure=params["on_failure"],
        refresh=params["refresh"],
        max_age=duration_from(params, "max_age"),
        timeout=duration_from(params, "timeout"),
        upgrade_timeout=duration_from(params, "upgrade_timeout"),
        lock_timeout=duration_from(params, "lock_timeout"),
        state_dir=state_directory(params),
        max_release_age=_release_age(params),
    )


def services_settings_from(params: t.Mapping[str, t.Any]) -> restarting.Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    for pattern in params["never"]:
        if not pattern.endswith(".service"):
            raise InputError(
                f"never has {pattern!r}: write names of services as systemd has them, like 'app-*.service'"
            )
    limits = (duration_from(params, "restart_timeout"), duration_from(params, "timeout"))
    return restarting.Settings(tuple(params["never"]), params["postgresql"], *limits)


def policy_from(params: t.Mapping[str, t.Any]) -> Policy:
    """:raises InputError: naming the option, the value and what would be right."""
    for pattern in params["exclude"]:
        if not _PATTERN.fullmatch(pattern):
            raise InputError(f"exclude has {pattern!r}: write names of packages, with * where you want, like 'linux-*'")
    for pattern in params["security_repositories"]:
        if not _REPOSITORY.fullmatch(pattern):
            raise InputError(f"security_repositories has {pattern!r}: write ids of repositories, with * where you want")
    rules = dnf_lists.rules(params["security_repositories"]) if hosts.kind() == hosts.DNF else _archive_rules(params)
    # One list for all ecosystems: what is not said to be of the system is for the audit of dependencies.
    entries = tuple(one for one in read_accepted(params["accepted"]) if one.scope.get("ecosystem") == SYSTEM)
    host = params["host"] or os.uname().nodename
    return Policy(params["upgrade"], rules, tuple(params["exclude"]), params["postgresql"], entries, host)


def _archive_rules(params: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    codename = params["codename"] or hosts.release().get("VERSION_CODENAME", "")
    uses = any(archives.CODENAME in str(value) for rule in params["security_origins"] for value in _values(rule))
    if uses and not codename:
        raise InputError("codename is empty, and /etc/os-release has no VERSION_CODENAME: write that of the release")
    if codename and not _CODENAME.fullmatch(codename):
        raise InputError(f"codename is {codename!r}: write that of the release, like bookworm")
    return archives.security_rules(params["security_origins"], codename)


def _values(rule: t.Any) -> t.Iterable[t.Any]:
    return rule.values() if isinstance(rule, dict) else ()


def duration_from(params: t.Mapping[str, t.Any], option: str) -> float:
    """:raises InputError: naming the option."""
    try:
        return parse_duration(params[option])
    except InputError as exc:
        raise InputError(f"{option}: {exc}") from None


def _release_age(params: t.Mapping[str, t.Any]) -> float:
    return duration_from(params, "max_release_age") if params["max_release_age"] else 0


def state_directory(params: t.Mapping[str, t.Any]) -> str:
    """:raises InputError: for a path that is not absolute."""
    given = params["state_dir"] or os.path.join(os.path.dirname(default_path()), "patching")
    if not os.path.isabs(given):
        raise InputError(f"state_dir is {given!r}: write an absolute path")
    return str(given)
