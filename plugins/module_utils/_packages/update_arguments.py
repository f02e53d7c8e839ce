# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an update is set: which projects by which policy and tests, and how they are judged.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._core.durations import parse_duration
from .._core.masking import mask_secrets
from .._core.suggest import InputError
from .arguments import PACKAGES_ARGUMENTS, Settings, settings_from
from .forge import Forge, read_forge
from .policy import ROUTINE
from .repository import Author, is_branch

_LOOKING = ("projects", "environments", "updates", "paths")
_AUTHOR = re.compile(r"(?P<name>[^<>\n]*[^<>\s]) <(?P<email>[^<>\s]+@[^<>\s]+)>")

UPDATE_ARGUMENTS: dict[str, t.Any] = {
    **{name: option for name, option in PACKAGES_ARGUMENTS.items() if name not in _LOOKING},
    "projects": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "test": {"type": "str", "required": True},
            "policy": {"type": "str", "choices": list(ROUTINE)},
            "approved": {"type": "list", "elements": "str", "default": []},
            "base": {"type": "str", "default": "HEAD"},
            "python": {"type": "str", "default": ""},
            "remote": {"type": "str", "default": ""},
            "merge_request": {"type": "dict", "default": {}, "no_log": False},
        },
    },
    "policy": {"type": "str", "choices": list(ROUTINE), "default": "security"},
    "branch": {"type": "str", "default": "steward/dependencies"},
    "author": {"type": "str", "default": "steward.maintenance <steward@localhost>"},
    "test_timeout": {"type": "str", "default": "1h"},
    "install_scripts": {"type": "bool", "default": False},
    "changelogs": {"type": "bool", "default": True},
    **{name: {"type": "str", "default": name} for name in ("pnpm", "yarn", "uv", "poetry")},
    "evidence_dir": {"type": "path", "default": ""},
    "evidence_keep": {"type": "int", "default": 24},
}


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is wanted of one project.

    :param approved: patterns of packages whose breaking steps somebody answers for.
    """

    path: str
    test: str
    policy: str
    approved: tuple[str, ...]
    base: str
    python: str
    remote: str = ""
    forge: Forge | None = None


@dataclasses.dataclass(frozen=True)
class UpdateSettings:
    """:param looking: how the projects are looked at."""

    looking: Settings
    projects: tuple[Wanted, ...]
    branch: str
    author: Author
    test_timeout: int
    install_scripts: bool
    changelogs: bool
    pnpm: str
    yarn: str
    uv: str
    poetry: str
    evidence_dir: str
    evidence_keep: int
    state_dir: str


def update_settings_from(params: t.Mapping[str, t.Any]) -> UpdateSettings:
    """:raises InputError: naming the option, the value and what would be right."""
    paths = [one["path"] for one in params["projects"]]
    more = {"environments": [], "updates": True, "paths": 1}
    looking = settings_from({**params, **more, "projects": paths})
    projects = tuple(_wanted(one, params["policy"], looking.python) for one in params["projects"])
    seen: set[str] = set()
    for one in projects:
        if one.path in seen:
            raise InputError(f"projects: {one.path} is there twice")
        seen.add(one.path)
    if not is_branch(params["branch"]):
        raise InputError(
            f"branch is {params['branch']!r}, must be what a branch may be called, like steward/dependencies"
        )
    author = _AUTHOR.fullmatch(params["author"])
    if not author:
        raise InputError(f"author is {params['author']!r}, must be like 'Jane Doe <jane@example.org>'")
    try:
        test_timeout = parse_duration(params["test_timeout"])
    except InputError as exc:
        raise InputError(f"test_timeout: {exc}") from None
    if params["evidence_keep"] < 1:
        raise InputError(f"evidence_keep is {params['evidence_keep']}, must be how many are kept: 1 or more")
    state = os.path.dirname(looking.state_file)
    return UpdateSettings(
        looking=looking,
        projects=projects,
        branch=params["branch"],
        author=Author(author.group("name"), author.group("email")),
        test_timeout=test_timeout,
        install_scripts=params["install_scripts"],
        changelogs=params["changelogs"],
        pnpm=params["pnpm"],
        yarn=params["yarn"],
        uv=params["uv"],
        poetry=params["poetry"],
        evidence_dir=params["evidence_dir"] or os.path.join(state, "evidence", "dependencies"),
        evidence_keep=params["evidence_keep"],
        state_dir=state,
    )


def _wanted(one: t.Mapping[str, t.Any], policy: str, python: str) -> Wanted:
    path = os.path.normpath(one["path"])
    if not one["test"].strip():
        raise InputError(f"projects: test of {path} is empty, must be the command of its full tests, like 'make test'")
    base = one.get("base") or "HEAD"
    if base.startswith("-") or not re.fullmatch(r"[\w./@{}^~+-]+", base):
        raise InputError(f"projects: base of {path} is {base!r}, must be a branch, a tag or a commit")
    approved = tuple(one.get("approved") or ())
    remote = one.get("remote") or ""
    if remote.startswith("-"):
        raise InputError(f"projects: remote of {path} is {remote!r}, must be the name or the address of a repository")
    if mask_secrets(remote) != remote:
        raise InputError(f"projects: remote of {path} holds a password: give it to a credential helper of Git instead")
    forge = read_forge(f"projects: merge_request of {path}", one.get("merge_request") or {})
    if forge and not remote:
        raise InputError(f"projects: merge_request of {path} needs a remote, to which the branch is pushed first")
    chosen = one.get("policy") or policy
    return Wanted(path, one["test"], chosen, approved, base, one.get("python") or python, remote, forge)
