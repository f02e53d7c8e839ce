# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotated files: which they are, whether somebody still writes to them, and what is in them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import bz2
import contextlib
import dataclasses
import fnmatch
import glob
import gzip
import hashlib
import lzma
import os
import re
import shutil
import stat
import subprocess
import typing as t

_BLOCK = 1 << 20
_ROTATED = re.compile(
    r"(?:\.\d{1,4}|[.-](?:19|20)\d{6}(?:[.T-]?\d{2,10})?|[.-]\d{4}-\d{2}-\d{2}(?:[T_.-]\d{2}[-:.]?\d{2}(?:[-:.]?\d{2})?)?)"
    r"(?:\.(?:gz|bz2|xz|zst))?$"
)
_PACKED = re.compile(r"\.(gz|bz2|xz|zst)$")
_WRITING = os.O_WRONLY | os.O_RDWR


class LogsError(Exception):
    """Something could not be archived; the text says what and why."""


@dataclasses.dataclass(frozen=True)
class Rotated:
    """One rotated file as it was found."""

    path: str
    device: int
    inode: int
    size: int
    modified: int  # nanoseconds

    @property
    def identity(self) -> str:
        """Stays when the file gets another name, and is another one when anything else is done to it."""
        return f"{self.device}:{self.inode}:{self.size}:{self.modified}"

    @property
    def packing(self) -> str:
        """How it is compressed already; empty when it is not."""
        found = _PACKED.search(self.path)
        return found.group(1) if found else ""


def is_rotated(path: str) -> bool:
    """Whether its name ends as rotation leaves it: a number, or a date, and perhaps a compression."""
    return bool(_ROTATED.search(os.path.basename(path)))


def base_of(path: str) -> str:
    """The log that a rotated file is of: the same however often it is renamed."""
    return _ROTATED.sub("", path)


class Found(t.NamedTuple):
    """What there is to archive, oldest first; the patterns that fit nothing at all, and those that fit a live file but
    not what was rotated away from it, with an example of that."""

    files: list[Rotated]
    idle: list[str]
    missed: dict[str, str]


def find(patterns: t.Sequence[str], exclude: t.Sequence[str], unrotated: bool) -> Found:
    found: dict[str, Rotated] = {}
    idle = []
    missed: dict[str, str] = {}
    for pattern in patterns:
        names = glob.glob(pattern, recursive=True)
        if not names:
            idle.append(pattern)
        elif not unrotated and not any(map(is_rotated, names)):
            example = next(filter(None, map(_rotated_of, names)), "")
            if example:
                missed[pattern] = example
        for path in names:
            if any(fnmatch.fnmatchcase(path, one) for one in exclude) or not (unrotated or is_rotated(path)):
                continue
            with contextlib.suppress(FileNotFoundError):
                seen = os.lstat(path)
                if stat.S_ISREG(seen.st_mode) and seen.st_size:
                    found[path] = Rotated(path, seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return Found(sorted(found.values(), key=lambda one: (one.modified, one.path)), idle, missed)


def _rotated_of(live: str) -> str:
    """A file that rotation made of a live one, if there is any."""
    beside = glob.glob(f"{glob.escape(live)}[.-]*")
    return next((path for path in sorted(beside) if is_rotated(path) and base_of(path) == live), "")


def open_for_writing() -> set[tuple[int, int]]:
    """Device and inode of each file that some process has open for writing, as far as we may see."""
    found = set()
    for process in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError):
            for name in os.listdir(f"{process}/fd"):
                with contextlib.suppress(OSError, ValueError, StopIteration):
                    with open(f"{process}/fdinfo/{name}", encoding="ascii", errors="replace") as handle:
                        flags = next(line for line in handle if line.startswith("flags:"))
                    if int(flags.split()[1], 8) & _WRITING:
                        seen = os.stat(f"{process}/fd/{name}")
                        found.add((seen.st_dev, seen.st_ino))
    return found


@dataclasses.dataclass(frozen=True)
class Content:
    """What is in a file, whatever it is packed in."""

    sha256: str
    bytes: int


def content_of(handle: t.BinaryIO, packing: str) -> Content:
    """:raises LogsError: when it cannot be unpacked."""
    handle.seek(0)
    digest = hashlib.sha256()
    size = 0
    try:
        for block in _unpacked(handle, packing):
            digest.update(block)
            size += len(block)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as exc:
        raise LogsError(f"it cannot be unpacked: {exc}") from exc
    return Content(digest.hexdigest(), size)


def _unpacked(handle: t.BinaryIO, packing: str) -> t.Iterator[bytes]:
    if packing == "zst":
        yield from _by_program(["zstd", "-q", "-d", "-c"], handle)
        return
    source: t.Any = handle
    if packing:
        opener: t.Any = {"gz": gzip, "bz2": bz2, "xz": lzma}[packing]
        source = opener.open(handle)
    while True:
        block = source.read(_BLOCK)
        if not block:
            return
        yield block


def pack(handle: t.BinaryIO, target: t.BinaryIO, packing: str) -> None:
    """Compress a file into another one.

    :raises LogsError: when that does not go well.
    """
    handle.seek(0)
    if packing == "gz":
        with gzip.GzipFile(fileobj=target, mode="wb", mtime=0, filename="") as packed:
            shutil.copyfileobj(handle, packed, _BLOCK)
    elif packing == "zst":
        target.writelines(_by_program(["zstd", "-q", "-c"], handle))
    else:
        shutil.copyfileobj(handle, target, _BLOCK)


def _by_program(argv: t.Sequence[str], handle: t.BinaryIO) -> t.Iterator[bytes]:
    # What Python has read ahead is nothing to a program: it goes by the position of the system.
    os.lseek(handle.fileno(), 0, os.SEEK_SET)
    try:
        process = subprocess.Popen(list(argv), stdin=handle, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as exc:
        raise LogsError(f"{argv[0]} cannot be run: {exc.strerror}") from exc
    with process:
        if process.stdout is None or process.stderr is None:
            raise AssertionError("both were asked for")
        try:
            while True:
                block = process.stdout.read(_BLOCK)
                if not block:
                    break
                yield block
            said = process.stderr.read()
            if process.wait():
                told = " ".join(said.decode("utf-8", "replace").split()) or "it said nothing"
                raise LogsError(f"{argv[0]} ended with status {process.returncode}: {told}")
        finally:
            if process.poll() is None:
                process.kill()
