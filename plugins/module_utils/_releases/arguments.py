# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the modules that install releases and switch to them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import sys
import typing as t

from .._core.application import commands_from
from .._core.durations import parse_duration
from .._core.health import HEALTH_ARGUMENTS, health_from
from .._core.records import default_path
from .._core.suggest import InputError, refuse_unknown
from . import installing, steps
from .evidence import StageBefore
from .inventory import CONTENTS, VERSIONS
from .parts import COMMAND, KINDS, NPM_CI, PACKAGE_LOCK, PIP, Part, Tools
from .place import is_name
from .service import Argv, Service
from .sources import COMMIT, SHA256, ArchiveSource, GitSource, Source

_COMMON: dict[str, dict[str, t.Any]] = {
    "directory": {"type": "path", "required": True},
    "application": {"type": "str", "default": ""},
    "tests": {"type": "list", "elements": "list", "default": []},
    "tests_timeout": {"type": "str", "default": "1h"},
    "state_dir": {"type": "path", "default": ""},
}
INSTALL_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **_COMMON,
    "repository": {"type": "str", "default": ""},
    "commit": {"type": "str", "default": ""},
    "archive": {"type": "path", "default": ""},
    "sha256": {"type": "str", "default": ""},
    "strip": {"type": "int", "default": 0},
    "parts": {"type": "list", "elements": "dict", "default": []},
    "build": {"type": "list", "elements": "list", "default": []},
    "stage_before": {"type": "dict", "default": {}},
    "compare": {"type": "str", "choices": [CONTENTS, VERSIONS], "default": CONTENTS},
    "soak": {"type": "str", "default": ""},
    "require_tests": {"type": "bool", "default": True},
    "python": {"type": "str", "default": ""},
    "npm": {"type": "str", "default": "npm"},
    "install_scripts": {"type": "bool", "default": False},
    "timeout": {"type": "str", "default": "30m"},
}
SWITCH_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **_COMMON,
    **HEALTH_ARGUMENTS,
    "state": {"type": "str", "choices": [steps.SWITCHED, steps.RETURNED], "default": steps.SWITCHED},
    "release": {"type": "str", "default": ""},
    "systemd_units": {"type": "list", "elements": "str", "default": []},
    "restart_commands": {"type": "list", "elements": "list", "default": []},
    "pid_files": {"type": "list", "elements": "path", "default": []},
    "restart_timeout": {"type": "str", "default": "2m"},
    "version_url": {"type": "str", "default": ""},
    "settle": {"type": "str", "default": "2s"},
    "accept_broken": {"type": "bool", "default": False},
    "keep": {"type": "int", "default": 5},
}

_PART_KEYS = ("kind", "path", "lock", "environment", "modules", "development", "command")
_STAGE_KEYS = ("stage", "hosts", "answers")
_FEWEST, _MOST = 2, 1000
_MOST_STRIPPED = 20


def install_settings_from(params: t.Mapping[str, t.Any]) -> installing.Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    directory = _directory(params)
    timeout = _duration(params, "timeout")
    found = tuple(_part(number, one) for number, one in enumerate(params["parts"]))
    environments = [part.environment for part in found if part.environment]
    for name in environments:
        if environments.count(name) > 1:
            raise InputError(f"parts: two of them have the environment {name!r}: give each one of its own")
    return installing.Settings(
        application=params["application"] or os.path.basename(directory),
        directory=directory,
        source=_source(params, timeout),
        parts=found,
        tools=Tools(params["python"] or sys.executable, params["npm"], timeout, params["install_scripts"]),
        build=_commands(params, "build"),
        tests=_commands(params, "tests"),
        tests_timeout=_duration(params, "tests_timeout"),
        tested=_tested(params),
        require_tests=params["require_tests"],
        state_dir=_state_dir(params),
    )


def switch_settings_from(params: t.Mapping[str, t.Any]) -> steps.Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    directory = _directory(params)
    health = health_from(params)
    if not health.asks:
        raise InputError("health_url and health_command are empty: without one of them nothing proves that it is well")
    release = params["release"]
    if params["state"] == steps.SWITCHED and not release:
        raise InputError("release is empty: name the one to switch to, as release_install returned it")
    if release and not is_name(release):
        raise InputError(f"release is {release!r}: write it as release_install returned it")
    if not _FEWEST <= params["keep"] <= _MOST:
        raise InputError(f"keep is {params['keep']}: write a number from {_FEWEST} (in use and before) to {_MOST}")
    return steps.Settings(
        application=params["application"] or os.path.basename(directory),
        directory=directory,
        state=params["state"],
        release=release,
        service=_service(params),
        health=health,
        version_url=_url(params, "version_url"),
        tests=_commands(params, "tests"),
        tests_timeout=_duration(params, "tests_timeout"),
        settle=_duration(params, "settle") if params["settle"] else 0,
        accept_broken=params["accept_broken"],
        keep=params["keep"] - _FEWEST,
        state_dir=_state_dir(params),
    )


def _directory(params: t.Mapping[str, t.Any]) -> str:
    given = params["directory"]
    if not os.path.isabs(given) or os.path.normpath(given) == "/":
        raise InputError(f"directory is {given!r}: write the absolute path of the application's own directory")
    return str(os.path.normpath(given))


def _state_dir(params: t.Mapping[str, t.Any]) -> str:
    given = params["state_dir"] or os.path.join(os.path.dirname(default_path()), "releases")
    if not os.path.isabs(given):
        raise InputError(f"state_dir is {given!r}: write an absolute path")
    return str(given)


def _source(params: t.Mapping[str, t.Any], timeout: float) -> Source:
    """One commit or one archive, and nothing that moves."""
    repository, commit, archive, sha256 = (params[key] for key in ("repository", "commit", "archive", "sha256"))
    if bool(repository or commit) == bool(archive or sha256):
        raise InputError("name either repository and commit, or archive and sha256")
    if archive or sha256:
        if not os.path.isabs(archive):
            raise InputError(f"archive is {archive!r}: write the absolute path of a file on the host")
        if not SHA256.fullmatch(sha256):
            raise InputError(f"sha256 is {sha256!r}: write the SHA-256 of the archive, 64 digits from 0 to f")
        if not 0 <= params["strip"] <= _MOST_STRIPPED:
            raise InputError(f"strip is {params['strip']}: write a number from 0 to {_MOST_STRIPPED}")
        return ArchiveSource(archive, sha256, params["strip"])
    if not repository or repository.startswith("-"):
        raise InputError(f"repository is {repository!r}: write the address or path of a Git repository")
    if not COMMIT.fullmatch(commit):
        raise InputError(f"commit is {commit!r}: write the whole id of a commit, 40 digits from 0 to f; branches move")
    return GitSource(repository, commit, timeout)


def _part(number: int, given: t.Any) -> Part:
    where = f"parts[{number}]"
    if not isinstance(given, dict):
        raise InputError(f"{where} is {given!r}: write a dictionary with kind and path")
    refuse_unknown(f"{where}: unknown key %s", given, _PART_KEYS)
    kind = str(given.get("kind"))
    refuse_unknown(f"{where}: kind %s", [kind], KINDS)
    path = _inside(where, "path", given.get("path") or ".")
    usual_lock = {PIP: "requirements.txt", NPM_CI: PACKAGE_LOCK, COMMAND: ""}[kind]
    lock = given.get("lock") or usual_lock
    lock = _inside(where, "lock", os.path.join(path, lock)) if lock else ""
    if kind == NPM_CI and os.path.basename(lock) != PACKAGE_LOCK:
        raise InputError(f"{where}: lock is {lock!r}: npm ci reads {PACKAGE_LOCK} and nothing else")
    environment = given.get("environment") or (".venv" if kind == PIP else "")
    environment = _inside(where, "environment", os.path.join(path, environment)) if environment else ""
    if kind == NPM_CI and environment:
        raise InputError(f"{where}: environment is {environment!r}, and npm makes none")
    command = commands_from(f"{where}: command", [given["command"]])[0] if given.get("command") else ()
    if (kind == COMMAND) != bool(command):
        raise InputError(f"{where}: command belongs to the kind {COMMAND!r}, which needs one; this is {kind!r}")
    modules = _flag(where, given, "modules", kind == NPM_CI)
    if kind == COMMAND and not (lock and (environment or modules)):
        raise InputError(
            f"{where}: name lock, and environment or modules, or nobody can see what the command installed"
        )
    return Part(kind, path, lock, environment, modules, _flag(where, given, "development", False), command)


def _flag(where: str, given: t.Mapping[str, t.Any], key: str, default: bool) -> bool:
    value = given.get(key, default)
    if not isinstance(value, bool):
        raise InputError(f"{where}: {key} is {value!r}: write true or false")
    return value


def _inside(where: str, key: str, path: str) -> str:
    found = os.path.normpath(path)
    if os.path.isabs(path) or found.split(os.sep)[0] == "..":
        raise InputError(f"{where}: {key} is {path!r}: write a path in the release")
    return found


def _tested(params: t.Mapping[str, t.Any]) -> StageBefore | None:
    given = params["stage_before"]
    if not given:
        if params["soak"]:
            raise InputError(f"soak is {params['soak']!r}, and there is no stage_before in which it could have been")
        return None
    refuse_unknown("stage_before: unknown key %s", given, _STAGE_KEYS)
    for key, kind in (("stage", str), ("hosts", list), ("answers", list)):
        if not isinstance(given.get(key), kind):
            raise InputError(f"stage_before: {key} is {given.get(key)!r}: it must be a {kind.__name__}")
    soak = _duration(params, "soak") if params["soak"] else 0
    return StageBefore(given["stage"], given["hosts"], given["answers"], params["compare"], soak)


def _service(params: t.Mapping[str, t.Any]) -> Service:
    units, commands = tuple(params["systemd_units"]), _commands(params, "restart_commands")
    pid_files = tuple(params["pid_files"])
    if not units and not commands:
        raise InputError("systemd_units and restart_commands are empty: nothing would run the release")
    if commands and not pid_files:
        raise InputError("pid_files is empty: without it nobody can see that restart_commands started anything")
    for path in pid_files:
        if not os.path.isabs(path):
            raise InputError(f"pid_files has {path!r}: write absolute paths")
    return Service(units, commands, pid_files, _duration(params, "restart_timeout"))


def _url(params: t.Mapping[str, t.Any], option: str) -> str:
    url = params[option]
    if url and not url.startswith(("http://", "https://")):
        raise InputError(f'{option} is {url!r}: write it like "http://127.0.0.1:8080/version"')
    return str(url)


def _commands(params: t.Mapping[str, t.Any], option: str) -> tuple[Argv, ...]:
    found = commands_from(option, params[option])
    for argv in found:
        if len(argv) == 1 and " " in argv[0]:
            raise InputError(f"{option} has {argv[0]!r}: write each word by itself, like {argv[0].split()!r}")
    return found


def _duration(params: t.Mapping[str, t.Any], option: str) -> float:
    try:
        return parse_duration(params[option])
    except InputError as exc:
        raise InputError(f"{option}: {exc}") from None
