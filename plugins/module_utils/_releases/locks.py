# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the locks of a release say: requirements with exact versions, and package-lock.json.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

They are read for two things: to see beforehand what a release brings, and afterwards whether that came out of it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import typing as t

from .inventory import NPM, PYPI, Package, normalised
from .place import ReleaseError

_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;,*]+)\s*(;.*)?")
_MODULES = "node_modules/"
_MOST_TOLD = 3


@dataclasses.dataclass(frozen=True)
class Locked:
    """A package that a lock names. `may_lack`: on some hosts, or without development packages, it is not installed."""

    ecosystem: str
    name: str
    version: str
    place: str
    may_lack: bool

    def as_package(self) -> Package:
        return Package(self.ecosystem, self.name, self.version, self.place, "")


@dataclasses.dataclass(frozen=True)
class Requirements:
    """A file of requirements: what it pins, and whether by hashes."""

    packages: tuple[Locked, ...]
    hashed: bool


def read_requirements(path: str, told: str, place: str) -> Requirements:
    """:raises ReleaseError: for a line that pins no exact version, or when some have hashes and others have none."""
    try:
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"\\\r?\n", " ", file.read())
    except (OSError, UnicodeDecodeError) as exc:
        raise ReleaseError(f"{told} cannot be read: {getattr(exc, 'strerror', None) or exc}") from None
    found, hashes = [], []
    for raw in text.splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if not line or (
            line.startswith("-") and not re.match(r"(-r|-c|-e|--requirement|--constraint|--editable)\b", line)
        ):
            continue
        bare, _hash, _rest = line.partition("--hash=")
        pinned = _PINNED.fullmatch(bare.strip())
        if not pinned:
            raise ReleaseError(f"{told} has {bare.strip()!r}, which is not one package in one version (name==version)")
        found.append(Locked(PYPI, normalised(pinned.group(1)), pinned.group(2), place, bool(pinned.group(3))))
        hashes.append("--hash=" in line)
    if any(hashes) and not all(hashes):
        bare_one = found[hashes.index(False)].name
        raise ReleaseError(f"{told} has hashes, and none for {bare_one}: pip refuses such a file")
    return Requirements(tuple(found), all(hashes) if hashes else False)


def read_package_lock(path: str, told: str, place: str) -> list[Locked]:
    """:raises ReleaseError: when it cannot be read, or is older than version 2 of its format."""
    try:
        with open(path, encoding="utf-8") as file:
            lock = json.load(file)
        if not isinstance(lock.get("packages"), dict):
            raise ValueError("it has no packages: write it anew with npm 7 or newer")
        found = [
            _locked(where, about, place)
            for where, about in lock["packages"].items()
            if where and not about.get("link") and _MODULES in f"{where}/"
        ]
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as exc:
        raise ReleaseError(f"{told} cannot be read: {getattr(exc, 'strerror', None) or exc}") from None
    return found


def _locked(where: str, about: t.Mapping[str, t.Any], place: str) -> Locked:
    name = about.get("name") or where.rpartition(_MODULES)[2]
    may_lack = any(about.get(key) for key in ("optional", "devOptional", "dev", "peer", "os", "cpu", "libc"))
    return Locked(NPM, name, about["version"], os.path.normpath(os.path.join(place, where)), may_lack)


def drift(locked: t.Iterable[Locked], installed: t.Iterable[Package]) -> str:
    """How what is installed differs from what is locked, for a person; empty when it does not."""
    wanted = {(one.ecosystem, one.name, one.version, one.place) for one in locked}
    must = {(one.ecosystem, one.name, one.version, one.place) for one in locked if not one.may_lack}
    there = {(one.ecosystem, one.name, one.version, one.place) for one in installed}
    told = [f"{name} {version} is installed and not locked" for _kind, name, version, _at in sorted(there - wanted)]
    told += [f"{name} {version} is locked and not installed" for _kind, name, version, _at in sorted(must - there)]
    more = f" and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return ", ".join(told[:_MOST_TOLD]) + more
