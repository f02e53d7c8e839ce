# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of a run: what a tree was then, one line for each entry in the order of the keys, gzipped.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The first line says what it is the index of, the last one how many lines there are and what they come to: an index that
was cut off or altered is never taken for a smaller tree.
"""

from __future__ import annotations

import functools
import grp
import gzip
import hashlib
import json
import os
import pwd
import stat
import typing as t
import zlib

from .names import path_of
from .walk import DIRECTORY, FILE, SYMLINK

FORMAT = 1
Entry = t.Dict[str, t.Any]

#: A file that was altered this short a time before it was read could be altered again without another ctime: where the
#: file system keeps fractions of a second, and where it does not (two seconds is FAT's step).
_TICK, _LONG_TICK = 20_000_000, 2_000_000_000
_LEVEL = 5
_NEEDED = {
    FILE: ("size", "mtime", "mode", "uid", "gid", "sha256", "etag"),
    DIRECTORY: ("mtime", "mode", "uid", "gid"),
    SYMLINK: ("target", "mtime", "uid", "gid"),
}


class IndexDamaged(ValueError):
    """An index that is not what was written; the text says what is wrong with it."""


def file_entry(key: str, status: os.stat_result, sha256: str, etag: str, read_at: int) -> Entry:
    """:param read_at: when reading began, in nanoseconds of the epoch."""
    entry = _entry(key, FILE, status)
    entry.update(size=status.st_size, sha256=sha256, etag=etag)
    # Zero means: read it again the next time.
    tick = _TICK if status.st_ctime_ns % 1_000_000_000 else _LONG_TICK
    entry["ctime"] = status.st_ctime_ns if read_at - status.st_ctime_ns > tick else 0
    if status.st_size and status.st_blocks * 512 < status.st_size:
        entry["sparse"] = True
    return entry


def other_entry(key: str, kind: str, status: os.stat_result, target: str = "") -> Entry:
    """The entry of a directory or a symbolic link."""
    entry = _entry(key, kind, status)
    if kind == SYMLINK:
        entry["target"] = target
    return entry


def is_same_file(status: os.stat_result, entry: Entry) -> bool:
    """Whether a file is, by all that the file system says without reading it, the one of an entry."""
    return bool(
        status.st_ctime_ns == entry["ctime"]
        and status.st_mtime_ns == entry["mtime"]
        and status.st_size == entry["size"]
        and stat.S_IMODE(status.st_mode) == entry["mode"]
        and status.st_uid == entry["uid"]
        and status.st_gid == entry["gid"]
    )


def line_of(entry: t.Mapping[str, t.Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


class Writer:
    """Writes an index into a file; use as a context manager. Without :meth:`end`, what was written is not one."""

    def __init__(self, path: str, head: t.Mapping[str, t.Any]) -> None:
        self._handle = gzip.GzipFile(path, "wb", compresslevel=_LEVEL, mtime=0)
        self._digest = hashlib.sha256()
        self.entries = 0
        self.files = 0
        self.bytes = 0
        self._write(line_of({"format": FORMAT, **head}))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._handle.close()

    def add(self, line: bytes, size: int | None) -> None:
        """:param size: of a file; None for what is none."""
        self._write(line)
        self.entries += 1
        if size is not None:
            self.files += 1
            self.bytes += size

    def end(self, **more: t.Any) -> None:
        last = {"entries": self.entries, "files": self.files, "bytes": self.bytes, "sha256": self._digest.hexdigest()}
        self._handle.write(line_of({"end": {**last, **more}}))

    def _write(self, line: bytes) -> None:
        self._digest.update(line)
        self._handle.write(line)


class Reader:
    """Reads an index from a file: `head` at once, the entries one by one; `last` is known after them.

    :raises IndexDamaged: whenever it is found not to be what was written.
    """

    def __init__(self, path: str, place: str) -> None:
        self._place = place
        self._lines = self._read(path)
        first = next(self._lines, None)
        self.head: Entry = self._parsed(first or b"")
        self.last: Entry = {}
        if self.head.get("format") != FORMAT:
            raise IndexDamaged(f"{place} has the format {self.head.get('format')!r}; this version reads {FORMAT}")
        self._digest = hashlib.sha256(first or b"")

    def __iter__(self) -> t.Iterator[tuple[bytes, Entry]]:
        """Each line as it is, and what it says."""
        before, count = "", 0
        for line in self._lines:
            entry = self._parsed(line)
            if "end" in entry:
                self.last = entry["end"]
                # To the end of the file, where gzip has a checksum of its own.
                if any(True for _more in self._lines):
                    raise IndexDamaged(f"{self._place} goes on after its end")
                break
            key = entry.get("key")
            if not isinstance(key, str) or key <= before:
                raise IndexDamaged(f"{self._place} is not in order at {key!r}")
            lacking = [word for word in _NEEDED.get(str(entry.get("type")), ("a known type",)) if word not in entry]
            if lacking:
                raise IndexDamaged(f"{self._place} says of {key!r} no {', '.join(lacking)}")
            self._digest.update(line)
            yield line, entry
            before, count = key, count + 1
        if self.last.get("sha256") != self._digest.hexdigest() or self.last.get("entries") != count:
            raise IndexDamaged(f"{self._place} is not whole: it breaks off after {count} entries, or was altered")

    def _read(self, path: str) -> t.Iterator[bytes]:
        try:
            with gzip.open(path) as handle:
                yield from handle
        except (EOFError, OSError, zlib.error) as exc:
            raise IndexDamaged(f"{self._place} cannot be read: {exc}") from exc

    def _parsed(self, line: bytes) -> Entry:
        try:
            entry = json.loads(line)
        except ValueError as exc:
            raise IndexDamaged(f"{self._place} holds a line that is none of an index: {exc}") from exc
        if not isinstance(entry, dict):
            raise IndexDamaged(f"{self._place} holds a line that is none of an index")
        return entry


def checked(reader: Reader) -> t.Iterator[Entry]:
    """The entries of an index that is to be written to disk: each key is looked at first.

    :raises IndexDamaged: for a key that would lie elsewhere.
    """
    for _line, entry in reader:
        try:
            path_of(entry["key"])
        except ValueError as exc:
            raise IndexDamaged(str(exc)) from exc
        yield entry


def _entry(key: str, kind: str, status: os.stat_result) -> Entry:
    return {
        "key": key,
        "type": kind,
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "user": _user(status.st_uid),
        "group": _group(status.st_gid),
        "mtime": status.st_mtime_ns,
    }


@functools.lru_cache(maxsize=1024)
def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return ""


@functools.lru_cache(maxsize=1024)
def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""
