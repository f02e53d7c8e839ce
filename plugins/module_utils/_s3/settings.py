# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a store is and how to talk to it: the arguments of every module that does, and what they mean.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from .._core.clock import utc_now
from .._core.suggest import InputError

#: Documented by the fragment ``steward.maintenance._s3``.
STORE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": "steward"},
    "endpoint_url": {"type": "str", "default": ""},
    "region": {"type": "str", "default": ""},
    "access_key": {"type": "str", "default": "", "no_log": False},
    "secret_key": {"type": "str", "default": "", "no_log": True},
    "session_token": {"type": "str", "default": "", "no_log": True},
    "profile": {"type": "str", "default": ""},
    "addressing_style": {"type": "str", "choices": ["auto", "path", "virtual"], "default": "auto"},
    "ca_cert": {"type": "path", "default": ""},
    "connect_timeout": {"type": "int", "default": 10},
    "read_timeout": {"type": "int", "default": 60},
    "attempts": {"type": "int", "default": 6},
    "streams": {"type": "int", "default": 4},
    "part_bytes": {"type": "int", "default": 16 * 2**20},
}

_MOST_LOCK_DAYS = 36500
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_BOUNDS = {
    "connect_timeout": (1, 3600),
    "read_timeout": (1, 3600),
    "attempts": (1, 100),
    "streams": (1, 64),
    # The store's own least size (5 MiB on AWS) is its to say: it is told with the first file that is too large for one.
    "part_bytes": (64 * 2**10, 5 * 2**30),
}


@dataclasses.dataclass(frozen=True)
class StoreSettings:
    """One bucket, and how to talk to it; times in seconds. Empty texts leave the choice to the SDK."""

    bucket: str
    prefix: str = "steward"
    endpoint_url: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = dataclasses.field(default="", repr=False)
    session_token: str = dataclasses.field(default="", repr=False)
    profile: str = ""
    addressing_style: str = "auto"
    ca_cert: str = ""
    connect_timeout: int = 10
    read_timeout: int = 60
    attempts: int = 6
    streams: int = 4
    part_bytes: int = 16 * 2**20

    @property
    def place(self) -> str:
        """The prefix as people write it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, *words: str) -> str:
        """The key of something below the prefix."""
        return "/".join(word for word in (self.prefix, *words) if word)


@dataclasses.dataclass(frozen=True)
class Lock:
    """An object lock that each object gets: GOVERNANCE or COMPLIANCE, for so many days."""

    mode: str
    days: int

    def parameters(self) -> dict[str, t.Any]:
        until = utc_now() + datetime.timedelta(days=self.days)
        return {"ObjectLockMode": self.mode, "ObjectLockRetainUntilDate": until}


def lock_from(params: t.Mapping[str, t.Any]) -> Lock | None:
    """The object lock that a module's parameters ask for.

    :raises InputError: naming the argument, the value and what would be right.
    """
    if not 1 <= params["lock_days"] <= _MOST_LOCK_DAYS:
        raise InputError(f"lock_days is {params['lock_days']}: it must be between 1 and {_MOST_LOCK_DAYS}")
    return Lock(params["lock_mode"], params["lock_days"]) if params["lock_mode"] else None


def store_from(params: t.Mapping[str, t.Any]) -> StoreSettings:
    """The store that a module's parameters describe.

    :raises InputError: naming the argument, the value and what would be right.
    """
    bucket = params["bucket"]
    if not _BUCKET.fullmatch(bucket):
        raise InputError(f"bucket {bucket!r} cannot be one: write its name alone, like 'backups.example.com'")
    url = params["endpoint_url"] or ""
    if url and not re.fullmatch(r"https?://[^/\s@]+/?", url):
        raise InputError("endpoint_url cannot be read: write scheme, host and port, like 'https://s3.example.com:9000'")
    if bool(params["access_key"]) != bool(params["secret_key"]):
        lacking = "secret_key" if params["access_key"] else "access_key"
        raise InputError(f"{lacking} is empty: give access_key and secret_key together, or neither")
    if params["session_token"] and not params["secret_key"]:
        raise InputError("session_token is given without access_key and secret_key: give all three, or none")
    if params["profile"] and params["access_key"]:
        raise InputError(f"profile is {params['profile']!r} although access_key is given: give one of them")
    for name, (least, most) in _BOUNDS.items():
        if not least <= params[name] <= most:
            raise InputError(f"{name} is {params[name]}: it must be between {least} and {most}")
    texts: dict[str, t.Any] = {
        name: params[name] or ""
        for name in ("region", "access_key", "secret_key", "session_token", "profile", "addressing_style", "ca_cert")
    }
    numbers: dict[str, t.Any] = {name: params[name] for name in _BOUNDS}
    prefix = (params["prefix"] or "").strip("/")
    return StoreSettings(bucket=bucket, prefix=prefix, endpoint_url=url, **texts, **numbers)
