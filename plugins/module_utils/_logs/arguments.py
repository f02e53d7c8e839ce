# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module that archives logs.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import typing as t

from .._core.durations import parse_duration
from .._core.records import default_path
from .._core.suggest import InputError
from .._s3.client import Store
from .._s3.settings import StoreSettings, store_from
from .._s3.streams import Streams
from .._s3.upload import Sender
from .archive import Settings
from .journal import Journal
from .targets import BucketTarget, DirectoryTarget, Target

#: Beside those of the store; `bucket` is not required here.
LOGS_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "paths": {"type": "list", "elements": "str", "default": ["/var/log/**/*"]},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "unrotated": {"type": "bool", "default": False},
    "directory": {"type": "path", "default": ""},
    "host": {"type": "str", "default": ""},
    "retention": {"type": "str", "default": "90d"},
    "settle": {"type": "str", "default": "10m"},
    "compression": {"type": "str", "choices": ["auto", "zstd", "gzip"], "default": "auto"},
    "journal": {"type": "bool", "default": False},
    "journal_directory": {"type": "path", "default": ""},
    "state_dir": {"type": "path", "default": ""},
}

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


def settings_from(params: t.Mapping[str, t.Any]) -> Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    if not params["directory"] and not params["bucket"]:
        raise InputError("directory and bucket are empty: say where the archive is to be, in one of them or in both")
    if not params["paths"] and not params["journal"]:
        raise InputError("paths is empty and journal is false: there is nothing to archive")
    for path in params["paths"]:
        if not os.path.isabs(path):
            raise InputError(f"paths has {path!r}: write an absolute path, with * and ** where you want")
    compression = params["compression"]
    if compression == "zstd" and not shutil.which("zstd"):
        raise InputError("compression is 'zstd', and the program zstd is not in PATH: install it, or take 'gzip'")
    zstd = compression == "zstd" or (compression == "auto" and shutil.which("zstd") is not None)
    return Settings(
        paths=tuple(params["paths"]),
        exclude=tuple(params["exclude"]),
        unrotated=params["unrotated"],
        retention=_duration(params, "retention"),
        settle=_duration(params, "settle"),
        packing="zst" if zstd else "gz",
        journal=Journal(params["journal_directory"] or "") if params["journal"] else None,
        state_dir=params["state_dir"] or os.path.join(os.path.dirname(default_path()), "logs"),
    )


def store_settings_from(params: t.Mapping[str, t.Any]) -> StoreSettings | None:
    """:raises InputError: naming the option, the value and what would be right."""
    return store_from(params) if params["bucket"] else None


def host_from(params: t.Mapping[str, t.Any]) -> str:
    """:raises InputError: for what cannot be the name of a directory and a part of a key."""
    host = params["host"] or os.uname().nodename
    if not _HOST.fullmatch(host):
        raise InputError(f"host is {host!r}: write letters, digits, dots, dashes and underscores")
    return host


@contextlib.contextmanager
def targets_from(directory: str, where: StoreSettings | None, host: str) -> t.Iterator[list[Target]]:
    """:raises LogsError: when the directory is missing.
    :raises S3Error: when the store cannot be used.
    """
    targets: list[Target] = [DirectoryTarget(directory, host)] if directory else []
    if not where:
        yield targets
        return
    with Streams(where.streams) as streams:
        store = Store(where)
        yield [*targets, BucketTarget(store, Sender(store, streams), host)]


def _duration(params: t.Mapping[str, t.Any], name: str) -> int:
    try:
        return parse_duration(params[name])
    except InputError as exc:
        raise InputError(f"{name}: {exc}") from None
