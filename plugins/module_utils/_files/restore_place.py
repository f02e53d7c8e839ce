# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a tree is brought back to: a new or an empty directory, or one in which only what belongs there lies.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import typing as t

from .._core.files import sync_directory
from .._core.sizes import format_size
from .index import Entry
from .names import path_of, unescape
from .placing import dress, is_dressed
from .walk import BLIND, Found, Rules, Walk

_TEMPORARY = re.compile(r"\.steward-restore\.\d+")
_SPARE = 0.05


class NotEmpty(Exception):
    """Something lies at the destination that is not of the tree; the text names it."""


class Destination:
    """A directory to restore into.

    Directories are made open to their owner only. They get their own mode, owner and time in the end, the deepest
    first, for until then they are written into.
    """

    def __init__(self, path: str, overwrite: bool) -> None:
        self.path = path
        self.overwrite = overwrite
        self.changed = False
        self.may_chown = os.geteuid() == 0
        self._root = os.fsencode(path)
        self._directories: list[Entry] = []

    def look(self, entries: t.Iterable[Entry]) -> None:
        """See that nothing lies there that is not of the tree, unless it may.

        :raises NotEmpty: naming what lies there.
        """
        if not os.path.lexists(self.path):
            return
        if not os.path.isdir(self.path) or os.path.islink(self.path):
            raise NotEmpty(f"{self.path} is there and is no directory")
        ours = iter(entries)
        entry = next(ours, None)
        for found in Walk(self.path, Rules(cross_filesystems=True)):
            if _TEMPORARY.fullmatch(found.key.rpartition("/")[2]):
                continue
            while entry is not None and entry["key"] < found.key:
                entry = next(ours, None)
            if found.kind == BLIND:
                raise NotEmpty(f"{self.path}/{found.key} cannot be looked at: {found.detail}")
            if self.overwrite:
                continue
            wrong = self._why_not(found, entry if entry is not None and entry["key"] == found.key else None)
            if wrong:
                raise NotEmpty(
                    f"{self.path}/{found.key} {wrong}: restore into a new or an empty directory, or set overwrite"
                )

    def require_space(self, size: int) -> None:
        """:raises NotEmpty: when the file system does not have it; what is there already is not reckoned in."""
        place = self.path
        while not os.path.isdir(place):
            place = os.path.dirname(place) or "/"
        free = os.statvfs(place)
        there = sum(found.stat.st_size for found in self._there() if found.stat is not None)
        if free.f_bavail * free.f_frsize < (size - there) * (1 + _SPARE):
            have = format_size(free.f_bavail * free.f_frsize)
            raise NotEmpty(f"{place} has {have} free, and the restored files take {format_size(size)}")

    def make(self, entry: Entry) -> None:
        """Have a directory of the tree.

        :raises OSError: when something else of that name is in the way.
        """
        self._make(self.full(entry["key"]))
        self._directories.append(entry)

    def full(self, key: str) -> bytes:
        return os.path.join(self._root, path_of(key))

    def have_above(self, path: bytes) -> None:
        """Have the directories that something lies in, none of which may be a link to elsewhere."""
        above = os.path.dirname(path)
        if len(above) <= len(self._root):
            self._make_root()
            return
        if not os.path.isdir(above) or self._has_link(above):
            self.have_above(above)
            self._make(above)

    def temporary(self, path: bytes, number: int) -> bytes:
        return os.path.join(os.path.dirname(path), f".steward-restore.{number}".encode())

    def finish(self, root: Entry | None) -> None:
        """Give the directories what belongs to them, the deepest first, and have all of it on the disk."""
        self._make_root()
        self._remove_leftovers()
        for entry in reversed(self._directories):
            self._dress(self.full(entry["key"]), entry)
        if root is not None:
            self._dress(self._root, root)

    def _dress(self, path: bytes, entry: Entry) -> None:
        sync_directory(os.fsdecode(path))
        if not is_dressed(os.lstat(path), entry, self.may_chown):
            dress(path, entry, self.may_chown)
            self.changed = True

    def _make_root(self) -> None:
        if not os.path.isdir(self.path):
            os.makedirs(self.path, mode=0o700, exist_ok=True)  # another thread may come first
            self.changed = True

    def _make(self, path: bytes) -> None:
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            self.have_above(path)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
                self.changed = True
            return
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(20, "something else of that name is in the way")

    def _has_link(self, path: bytes) -> bool:
        while len(path) > len(self._root):
            if os.path.islink(path):
                return True
            path = os.path.dirname(path)
        return False

    def _there(self) -> t.Iterator[Found]:
        return iter(Walk(self.path, Rules(cross_filesystems=True))) if os.path.isdir(self.path) else iter(())

    def _remove_leftovers(self) -> None:
        """Files half written by a run that was killed: they have names that nobody else gives."""
        for found in self._there():
            if _TEMPORARY.fullmatch(found.key.rpartition("/")[2]):
                os.unlink(os.path.join(self._root, unescape(found.key)))

    def _why_not(self, found: Found, entry: Entry | None) -> str:
        if entry is None:
            return "is there and is not of the tree"
        if entry["type"] != found.kind:
            return f"is there and is no {entry['type']}"
        if found.stat is not None and "size" in entry and found.stat.st_size != entry["size"]:
            return f"is there and has {found.stat.st_size} bytes instead of {entry['size']}"
        return ""
