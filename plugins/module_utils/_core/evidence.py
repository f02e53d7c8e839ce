# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays of an update: lists of parts before and after, what changed, how the tests ended, and with which programs.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

One directory for each update. Its name begins with the moment, by which the oldest are known; two within one second are
two.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import typing as t

from .files import sync_directory, write_all

_SLUG = re.compile(r"[^A-Za-z0-9.-]+")
#: Moment, number within its second, what it is about, and the end of what a killed run left. Nothing else is ours.
_OURS = re.compile(r"(\d{4}-\d\d-\d\dT\d{6}Z)(?:\.(\d+))?(?:-[\w-]*)?(\.new|\.old)?", re.ASCII)


def new_place(parent: str, moment: str, about: str = "") -> str:
    """Where evidence of a moment is to be written: where none is yet. Nobody else may write there meanwhile."""
    begin = moment.replace(":", "")
    last = max((number for at, number, _name in _ours_in(parent) if at == begin), default=0)
    return os.path.join(parent, begin + (f".{last + 1}" if last else "") + (f"-{about}" if about else ""))


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


def keep_newest(place: str, most: int, most_bytes: float = math.inf, also: t.Container[str] = ()) -> list[str]:
    """Remove what is older than `place` in its directory, until so much is left at most; the names that went.

    `place` itself stays, however large it is, and so do the names in `also`. What a killed run had not finished goes.
    What `new_place` would not name so is not ours, and is left alone. Nobody else may write there meanwhile.

    :raises OSError: when something cannot be removed.
    """
    parent, name = os.path.split(place)
    gone = [one for _at, _number, one in _ours_in(parent, finished=False)]
    others = [one for one in newest_first(parent) if one != name]
    size, kept = _size(place), 1
    for number, one in enumerate(others):
        size += _size(os.path.join(parent, one))
        if kept >= most or size > most_bytes:
            # From here on all are older, and none is left without those between.
            gone += [older for older in others[number:] if older not in also]
            break
        kept += 1
    for one in gone:
        shutil.rmtree(os.path.join(parent, one))
    return gone


def newest_first(parent: str) -> list[str]:
    """The names of all evidence in a directory."""
    return [name for _at, _number, name in sorted(_ours_in(parent), reverse=True)]


def _ours_in(parent: str, finished: bool = True) -> t.Iterator[tuple[str, int, str]]:
    """Moment, number and name of each evidence that is finished, or of each that is not."""
    with contextlib.suppress(FileNotFoundError), os.scandir(parent) as entries:
        for entry in entries:
            match = _OURS.fullmatch(entry.name)
            if match and bool(match.group(3)) != finished and entry.is_dir(follow_symlinks=False):
                yield match.group(1), int(match.group(2) or 1), entry.name


def _size(place: str) -> int:
    return sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(place))
