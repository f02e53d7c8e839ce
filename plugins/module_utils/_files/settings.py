# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules of file backups are told: which trees, and where they are kept.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from .._core.durations import parse_duration
from .._core.records import default_path
from .._core.suggest import InputError
from .._s3.settings import STORE_ARGUMENTS, StoreSettings, store_from
from .names import is_tree_name
from .target import Target, TargetError
from .target_local import LocalTarget
from .target_s3 import S3Target
from .walk import Rules

#: Documented by the fragments ``steward.maintenance._s3`` and ``steward.maintenance._files``.
TARGET_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **STORE_ARGUMENTS,
    "bucket": {"type": "str", "default": ""},
    # Most of the time of a small file is spent on waiting for its answer.
    "streams": {"type": "int", "default": 16},
    "directory": {"type": "path", "default": ""},
    "state_dir": {"type": "path", "default": ""},
}

TREE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "path": {"type": "path", "required": True},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "cross_filesystems": {"type": "bool", "default": False},
}


@dataclasses.dataclass(frozen=True)
class Tree:
    """One directory tree on this host, and the name under which it is kept."""

    name: str
    path: str
    rules: Rules = dataclasses.field(default_factory=Rules)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where trees are kept: a bucket or a directory."""

    store: StoreSettings | None
    directory: str
    prefix: str
    state_dir: str
    streams: int
    part_bytes: int

    @property
    def secret(self) -> str:
        return self.store.secret_key if self.store else ""

    @contextlib.contextmanager
    def open(self, tree: str) -> t.Iterator[Target]:
        """The place of one tree.

        :raises S3Error: when it cannot be talked to.
        :raises TargetError: when there is no such directory. It is not made: where a disk is not mounted, that would
            fill another one.
        """
        if self.store:
            with S3Target(self.store, tree) as bucket:
                yield bucket
        else:
            if not os.path.isdir(self.directory):
                raise TargetError(f"{self.directory} is not there: make it, or mount what belongs there")
            with LocalTarget(os.path.join(self.directory, self.prefix), tree, self.part_bytes) as directory:
                yield directory


def place_from(params: t.Mapping[str, t.Any]) -> Place:
    """:raises InputError: naming the argument, the value and what would be right."""
    directory = params["directory"] or ""
    if bool(params["bucket"]) == bool(directory):
        lacking = "both bucket and directory are given" if directory else "neither bucket nor directory is given"
        raise InputError(f"{lacking}: give the one where the trees are kept")
    # A directory has no use for the store, but a wrong number is wrong all the same.
    store = store_from({**params, "bucket": params["bucket"] or "directory"})
    if directory and not os.path.isabs(directory):
        raise InputError(f"directory is {directory!r}: write its whole path, beginning with a slash")
    state = params["state_dir"] or os.path.join(os.path.dirname(default_path()), "files")
    return Place(None if directory else store, directory, store.prefix, state, store.streams, store.part_bytes)


def tree_name_from(name: str, where: str) -> str:
    """:raises InputError: naming the argument, the value and what would be right."""
    if not is_tree_name(name):
        raise InputError(
            f"{where} is {name!r}: write letters, digits, dots, dashes and underscores, with slashes between words"
        )
    return name


def tree_names_from(params: t.Mapping[str, t.Any]) -> list[str]:
    """:raises InputError: naming the argument, the value and what would be right."""
    names = [tree_name_from(name, f"trees[{number}]") for number, name in enumerate(params["trees"])]
    if not names:
        raise InputError("trees is empty: give at least one name, like 'uploads'")
    return names


def destination_from(params: t.Mapping[str, t.Any]) -> str:
    """:raises InputError: naming the argument, the value and what would be right."""
    path = str(params["destination"]).rstrip("/")
    if not os.path.isabs(path):
        given = params["destination"]
        raise InputError(f"destination is {given!r}: write its whole path, beginning with a slash, and not the root")
    return os.path.normpath(path)


def trees_from(params: t.Mapping[str, t.Any]) -> list[Tree]:
    """:raises InputError: naming the argument, the value and what would be right."""
    trees: list[Tree] = []
    for number, given in enumerate(params["trees"]):
        name = tree_name_from(given["name"], f"trees[{number}].name")
        if not os.path.isabs(given["path"]):
            raise InputError(f"trees[{number}].path is {given['path']!r}: write its whole path, beginning with a slash")
        if not given["path"].isprintable():
            raise InputError(f"trees[{number}].path is {given['path']!r}: it must be UTF-8 without control characters")
        for one in trees:
            if one.name == name or f"{name}/".startswith(f"{one.name}/") or f"{one.name}/".startswith(f"{name}/"):
                wrong = f"trees[{number}].name is {name!r}, which lies in or around {one.name!r}"
                raise InputError(f"{wrong}: give another")
        if not all(pattern.strip("/") for pattern in given["exclude"] or ()):
            raise InputError(f"trees[{number}].exclude has an empty pattern: leave it out")
        rules = Rules(tuple(given["exclude"] or ()), bool(given["cross_filesystems"]))
        trees.append(Tree(name, given["path"], rules))
    if not trees:
        raise InputError("trees is empty: give at least one, like {name: uploads, path: /srv/app/uploads}")
    return trees


def duration_from(params: t.Mapping[str, t.Any], name: str) -> int:
    """:raises InputError: naming the argument, the value and what would be right."""
    try:
        return parse_duration(params[name])
    except InputError as exc:
        raise InputError(f"{name}: {exc}") from None


def number_from(params: t.Mapping[str, t.Any], name: str, least: int, most: int) -> int:
    """:raises InputError: naming the argument, the value and what would be right."""
    value = int(params[name])
    if not least <= value <= most:
        raise InputError(f"{name} is {value}: it must be between {least} and {most}")
    return value
