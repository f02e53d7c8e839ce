# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an audit is set: what to look at, with which programs, and by which rules it is judged.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import typing as t

from .._core.accepted import Entry, read_accepted
from .._core.durations import parse_duration
from .._core.records import default_path
from .._core.suggest import InputError, refuse_unknown
from . import pep440, semver
from .changes import ECOSYSTEMS, NPM, PYPI
from .discover import Places
from .lanes import Lane, read_lanes
from .looks import Pair

#: Old versions whose vulnerabilities every advisory service knows.
CANARIES = {PYPI: "pyyaml==5.3", NPM: "minimist@0.0.8"}
#: Critical now, as the guide says; the others as patch policies have them most often.
LANES = {"critical": "now", "high": "7d", "medium": "30d", "low": "90d"}
_SEPARATOR = {PYPI: "==", NPM: "@"}
_MOST_JOBS = 64

PACKAGES_ARGUMENTS: dict[str, t.Any] = {
    "projects": {"type": "list", "elements": "path", "required": True},
    "ecosystems": {"type": "list", "elements": "str", "choices": list(ECOSYSTEMS), "default": list(ECOSYSTEMS)},
    "requirements": {
        "type": "list",
        "elements": "str",
        "default": ["*requirements*.txt", "requirements/*.txt"],
    },
    "environments": {"type": "list", "elements": "str", "default": [".venv", "venv", "env"]},
    "own_packages": {"type": "list", "elements": "str", "default": []},
    "accepted": {"type": "list", "elements": "dict", "default": []},
    "lanes": {"type": "dict", "default": {}},
    "updates": {"type": "bool", "default": True},
    "cooldown": {"type": "str", "default": "7d"},
    "canaries": {"type": "dict", "default": {}},
    "service": {"type": "str", "choices": ["osv", "pypi"], "default": "osv"},
    "osv_url": {"type": "str", "default": ""},
    "max_age": {"type": "str", "default": "24h"},
    "stamps": {"type": "dict", "default": {}},
    "pip_audit": {"type": "str", "default": "pip-audit"},
    "npm": {"type": "str", "default": "npm"},
    "python": {"type": "str", "default": ""},
    "timeout": {"type": "str", "default": "10m"},
    "answer_timeout": {"type": "str", "default": "30s"},
    "jobs": {"type": "int", "default": 0},
    "paths": {"type": "int", "default": 3},
    "host": {"type": "str", "default": ""},
    "state_file": {"type": "path", "default": ""},
}

#: Of the module that keeps since when vulnerabilities are known.
CLOCKS_ARGUMENTS: dict[str, t.Any] = {
    "audit": {"type": "dict", "required": True},
    **{name: PACKAGES_ARGUMENTS[name] for name in ("ecosystems", "state_file")},
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Durations are in seconds."""

    projects: tuple[str, ...]
    places: Places
    own_packages: tuple[str, ...]
    accepted: tuple[Entry, ...]
    lanes: dict[str, Lane]
    updates: bool
    cooldown: int
    canaries: dict[str, Pair]
    service: str
    osv_url: str
    max_age: int
    stamps: dict[str, str]
    pip_audit: str
    npm: str
    python: str
    timeout: int
    answer_timeout: int
    jobs: int
    paths: int
    host: str
    state_file: str


def settings_from(params: t.Mapping[str, t.Any]) -> Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    projects = tuple(dict.fromkeys(os.path.normpath(path) for path in params["projects"]))
    if not projects:
        raise InputError("projects is empty: name at least one directory")
    for path in projects:
        if not os.path.isabs(path):
            raise InputError(f"projects: {path!r} is not an absolute path")
    for option in ("requirements", "environments"):
        for pattern in params[option]:
            if os.path.isabs(pattern) or ".." in pattern.split("/"):
                raise InputError(f"{option}: {pattern!r} must lie in the project: write it relative, without '..'")
    osv_url = params["osv_url"]
    if osv_url and not osv_url.startswith(("http://", "https://")):
        raise InputError(f"osv_url is {osv_url!r}, must be the address of an OSV query, like https://HOST/v1/query")
    for option, most in (("jobs", _MOST_JOBS), ("paths", 100)):
        if not 0 <= params[option] <= most:
            raise InputError(f"{option} is {params[option]}, must be between 0 and {most}")
    refuse_unknown("stamps: unknown ecosystem", params["stamps"], ECOSYSTEMS)
    for ecosystem, stamp in params["stamps"].items():
        if not isinstance(stamp, str) or not stamp.startswith(("http://", "https://", "/")):
            raise InputError(f"stamps.{ecosystem} is {stamp!r}, must be an address or an absolute path")
    return Settings(
        projects=projects,
        places=Places(tuple(params["requirements"]), tuple(params["environments"]), tuple(params["ecosystems"])),
        own_packages=tuple(params["own_packages"]),
        accepted=tuple(read_accepted(params["accepted"])),
        lanes=read_lanes(params["lanes"], LANES),
        updates=params["updates"],
        cooldown=_duration(params, "cooldown", may_be_empty=True),
        canaries=_canaries(params["canaries"]),
        service=params["service"],
        osv_url=osv_url,
        max_age=_duration(params, "max_age", may_be_empty=True),
        stamps=dict(params["stamps"]),
        pip_audit=params["pip_audit"],
        npm=params["npm"],
        python=params["python"] or sys.executable,
        timeout=_duration(params, "timeout"),
        answer_timeout=_duration(params, "answer_timeout"),
        jobs=params["jobs"] or max(2, os.cpu_count() or 1),
        paths=params["paths"],
        host=params["host"] or os.uname().nodename,
        state_file=state_file_of(params["state_file"]),
    )


def state_file_of(given: str) -> str:
    """Where it is kept since when vulnerabilities are known."""
    return given or os.path.join(os.path.dirname(default_path()), "dependencies.json")


def _duration(params: t.Mapping[str, t.Any], name: str, may_be_empty: bool = False) -> int:
    if may_be_empty and not params[name]:
        return 0
    try:
        return parse_duration(params[name])
    except InputError as exc:
        raise InputError(f"{name}: {exc}") from None


def _canaries(given: t.Mapping[str, t.Any]) -> dict[str, Pair]:
    refuse_unknown("canaries: unknown ecosystem", given, ECOSYSTEMS)
    found: dict[str, Pair] = {}
    for ecosystem in ECOSYSTEMS:
        text = str(given.get(ecosystem, CANARIES[ecosystem]))
        name, _separator, version = text.rpartition(_SEPARATOR[ecosystem])
        name = pep440.canonical(name) if ecosystem == PYPI else name
        parsed = pep440.parse(version) if ecosystem == PYPI else semver.parse(version)
        if not name or parsed is None:
            raise InputError(f"canaries.{ecosystem} is {text!r}, must be a version like {CANARIES[ecosystem]!r}")
        found[ecosystem] = (name, version)
    return found
