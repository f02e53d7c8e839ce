# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are on the disk when we say so: hashed, flushed, written whole or not at all.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
import typing as t

_BLOCK = 1 << 20


def sha256_of(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def digest_of(data: t.Mapping[str, t.Any]) -> str:
    """SHA-256 over a JSON object in its one canonical form."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def flush(path: str) -> None:
    """Have a file or a directory on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files_below(directory: str) -> list[str]:
    """The files below a directory, as sorted paths relative to it."""
    found = []
    for place, _directories, names in os.walk(directory):
        found += [os.path.relpath(os.path.join(place, name), directory) for name in names]
    return sorted(found)


def flush_tree(directory: str) -> None:
    for place, _directories, names in os.walk(directory):
        for name in names:
            flush(os.path.join(place, name))
        flush(place)


def size_of_tree(directory: str) -> int:
    return sum(os.lstat(os.path.join(directory, name)).st_size for name in files_below(directory))


def write_json(path: str, data: t.Mapping[str, t.Any]) -> None:
    """Write a JSON file that is either the old one or the new one, whatever happens."""
    temporary = path + ".new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogatepass") as handle:
        json.dump(data, handle, indent=1, sort_keys=True, ensure_ascii=False)
        handle.write("\n")
        handle.flush()
        os.fsync(handle.fileno())
    give_to_owner_of(os.path.dirname(path), temporary)
    os.replace(temporary, path)
    flush(os.path.dirname(path))


def read_json(path: str) -> t.Any:
    """:raises ValueError: naming the path, when it cannot be read or is no JSON object."""
    try:
        with open(path, encoding="utf-8", errors="surrogatepass") as handle:
            data = json.load(handle)
    except (OSError, ValueError) as exc:
        raise ValueError(f"{path} cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if not isinstance(data, dict):
        raise ValueError(f"{path} is not a JSON object")
    return data


def give_to_owner_of(directory: str, path: str) -> None:
    """Let what root wrote into somebody's directory be theirs, so that their next run can go on with it."""
    if os.geteuid() != 0:
        return
    owner = os.stat(directory)
    entries = [path] + [os.path.join(place, name) for place, below, names in os.walk(path) for name in below + names]
    for entry in entries:
        os.chown(entry, owner.st_uid, owner.st_gid, follow_symlinks=False)


def remove_tree(path: str, patience: float = 15) -> None:
    """Remove a directory; what is already gone is no error.

    A program of a killed run may be dying in there, and write or remove files while we do (initdb clears up after
    itself): then it is tried again until `patience` seconds are over.

    :raises OSError: when it is still there after that, or for any other cause at once.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            shutil.rmtree(path)
            return
        except OSError as exc:
            if not os.path.lexists(path):
                return
            if exc.errno not in (errno.ENOENT, errno.ENOTEMPTY) or time.monotonic() >= deadline:
                raise
        time.sleep(0.1)
