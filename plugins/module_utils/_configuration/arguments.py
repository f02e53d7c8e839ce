# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of modules that keep configuration in Git.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from .._core.clock import parse_time
from .._core.durations import parse_duration
from .._core.sealing import check_recipients
from .._core.suggest import InputError
from . import backup, restore
from .contents import Policy
from .filtering import PATTERNS
from .git import remote_from
from .repository import Author

#: Documented by the fragment ``steward.maintenance._configuration``.
PLACE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "repository": {"type": "str", "required": True},
    "branch": {"type": "str", "default": ""},
    "ssh_key": {"type": "path", "default": "", "no_log": False},  # a path
    "known_hosts": {"type": "path", "default": ""},
    "state_dir": {"type": "path", "default": ""},
    "timeout": {"type": "str", "default": "5m"},
}

BACKUP_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "paths": {"type": "list", "elements": "path", "required": True},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "secrets": {"type": "list", "elements": "str", "default": list(PATTERNS), "no_log": False},  # patterns
    "encrypt": {"type": "list", "elements": "str", "default": []},
    "recipients": {"type": "list", "elements": "str", "default": []},
    "largest": {"type": "int", "default": 2**20},
    "author": {"type": "str", "default": "steward <steward@localhost>"},
}

RESTORE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "paths": {"type": "list", "elements": "path", "default": []},
    "at": {"type": "str", "default": ""},
    "commit": {"type": "str", "default": ""},
    "directory": {"type": "path", "default": ""},
    "overwrite": {"type": "bool", "default": False},
    "identity_file": {"type": "path", "default": ""},
}

_AUTHOR = re.compile(r"([^<>\n]+) <([^<>\s]+)>")


def place_from(params: t.Mapping[str, t.Any]) -> backup.Place:
    """:raises InputError: naming the option, the value and what would be right."""
    try:
        timeout = parse_duration(params["timeout"])
    except InputError as exc:
        raise InputError(f"timeout: {exc}") from None
    remote = remote_from(params["repository"], params["ssh_key"] or "", params["known_hosts"] or "")
    branch = params["branch"] or os.uname().nodename
    return backup.Place(
        params["repository"].rstrip("/"), branch, remote, backup.state_directory(params["state_dir"] or ""), timeout
    )


def backup_settings_from(params: t.Mapping[str, t.Any]) -> backup.Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    paths = _paths(params["paths"])
    if not paths:
        raise InputError("paths is empty: name the files and directories to keep, such as /etc/nginx")
    check_recipients(params["recipients"])
    if params["encrypt"] and not params["recipients"]:
        raise InputError("recipients is empty: give the public keys that what is named in encrypt is encrypted to")
    if params["largest"] < 1:
        raise InputError(f"largest is {params['largest']}: give a number of bytes, 1 or more")
    author = _AUTHOR.fullmatch(params["author"])
    if not author:
        raise InputError(f"author is {params['author']!r}: write 'Name <address>'")
    return backup.Settings(
        place=place_from(params),
        paths=paths,
        exclude=tuple(params["exclude"]),
        secrets=tuple(params["secrets"]),
        policy=Policy(tuple(params["encrypt"]), tuple(params["recipients"]), params["largest"]),
        author=Author(*author.groups()),
    )


def restore_settings_from(params: t.Mapping[str, t.Any]) -> restore.Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    at = None
    if params["at"]:
        try:
            at = parse_time(params["at"])
        except InputError as exc:
            raise InputError(f"at: {exc}") from None
    directory = params["directory"] or ""
    if directory and not os.path.isabs(directory):
        raise InputError(f"directory is {directory!r}: write an absolute path")
    if directory and os.path.isdir(directory) and os.listdir(directory) and not params["overwrite"]:
        raise InputError(f"directory {directory} is not empty: name another one, or set overwrite")
    return restore.Settings(
        place=place_from(params),
        paths=_paths(params["paths"]),
        at=at,
        commit=params["commit"] or "",
        directory=directory.rstrip("/"),
        overwrite=params["overwrite"],
        identity_file=params["identity_file"] or "",
    )


def _paths(given: t.Sequence[str]) -> tuple[str, ...]:
    for path in given:
        if not os.path.isabs(path) or os.path.normpath(path) != path.rstrip("/"):
            raise InputError(f"paths has {path!r}: write an absolute path without '.', '..' or doubled slashes")
    return tuple(dict.fromkeys(path.rstrip("/") for path in given))
