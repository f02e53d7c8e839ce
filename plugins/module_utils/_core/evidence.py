# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays of an update: lists of parts before and after, what changed, how the tests ended, and with which programs.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

One directory for each update, named after what it was to do: doing the same again writes it anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import typing as t

from .files import sync_directory, write_all

_SLUG = re.compile(r"[^A-Za-z0-9.-]+")


def place_of(directory: str, project: str, plan: str) -> str:
    """Where the evidence of an update is."""
    return os.path.join(directory_of(directory, project), plan[:12])


def directory_of(directory: str, subject: str) -> str:
    """Where all evidence of one subject is, which is a path."""
    slug = _SLUG.sub("-", os.path.basename(subject)).strip("-.") or "project"
    return os.path.join(directory, f"{slug}-{hashlib.sha256(subject.encode()).hexdigest()[:8]}")


def write_evidence(place: str, files: t.Mapping[str, t.Any]) -> dict[str, str]:
    """All of it or nothing, closed to others; the SHA-256 of each file.

    :param files: by name: bytes as they are, all else as JSON.
    :raises OSError: when it cannot be written.
    """
    parent = os.path.dirname(place)
    os.makedirs(parent, mode=0o700, exist_ok=True)
    beside = f"{place}.new"
    for left in (beside, f"{place}.old"):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(left)
    os.mkdir(beside, 0o700)
    digests = {}
    for name, content in sorted(files.items()):
        data = content if isinstance(content, bytes) else json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"
        file = os.open(os.path.join(beside, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, data)
            os.fsync(file)
        finally:
            os.close(file)
        digests[name] = hashlib.sha256(data).hexdigest()
    sync_directory(beside)
    if os.path.isdir(place):
        os.rename(place, f"{place}.old")
    os.rename(beside, place)
    sync_directory(parent)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(f"{place}.old")
    return digests


def keep_newest(place: str, most: int, most_bytes: int) -> list[str]:
    """Remove what is older than `place` in its directory, until so much is left at most; the names that went.

    Names begin with a moment, so they come in the order of time. `place` itself stays, however large it is. What a
    killed run had not finished goes. Nobody else may write there meanwhile.

    :raises OSError: when something cannot be removed.
    """
    parent, name = os.path.split(place)
    others = sorted(entry.name for entry in os.scandir(parent) if entry.is_dir(follow_symlinks=False))
    others.remove(name)
    left = [one for one in others if one.endswith((".new", ".old"))]
    whole = [one for one in reversed(others) if one not in left]
    size, kept = _size(place), 1
    gone = list(left)
    for one in whole:
        size += _size(os.path.join(parent, one))
        if kept >= most or size > most_bytes:
            # From here on all are older, and none is left without those between.
            gone += whole[whole.index(one) :]
            break
        kept += 1
    for one in gone:
        shutil.rmtree(os.path.join(parent, one))
    return gone


def _size(place: str) -> int:
    return sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(place))
