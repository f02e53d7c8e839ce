# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree on disk, in the order of its keys, one directory's names in memory at a time.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

What could not be looked at is told in its place, as blind: nothing below it may be taken for deleted.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import re
import stat
import typing as t

from .names import escape, unescape

FILE, DIRECTORY, SYMLINK, BLIND, MOUNT = "file", "directory", "symlink", "blind", "mount"


class Found(t.NamedTuple):
    """One thing in the tree. A directory's key ends in a slash, so that it stands before what is in it.

    :ivar kind: BLIND and MOUNT tell of what is below a key and was not looked at, because it could not be read or is
        another file system.
    :ivar detail: the escaped target of a symbolic link, or why it could not be looked at.
    """

    key: str
    kind: str
    stat: os.stat_result | None
    detail: str = ""


@dataclasses.dataclass
class Passed:
    """What was passed over on the way."""

    special: int = 0
    excluded: int = 0
    vanished: int = 0


@dataclasses.dataclass(frozen=True)
class Rules:
    """What of a tree is looked at."""

    exclude: tuple[str, ...] = ()
    cross_filesystems: bool = False


class Walk:
    """Iterate over it once; `passed` counts meanwhile.

    :raises OSError: when the root itself cannot be read.
    """

    def __init__(self, root: str, rules: Rules) -> None:
        self.passed = Passed()
        self._root = os.fsencode(root)
        self._rules = rules
        self._excluded = [_compiled(pattern) for pattern in rules.exclude]

    def __iter__(self) -> t.Iterator[Found]:
        device = os.stat(self._root).st_dev
        top = self._root.rstrip(b"/") + b"/"
        stack = [(top, "", iter(self._words(self._root, "")))]
        while stack:
            place, base, words = stack[-1]
            word = next(words, None)
            if word is None:
                stack.pop()
                continue
            is_directory = word.endswith("/")
            path = place + unescape(word[:-1] if is_directory else word)
            found = self._look(path, base + word, is_directory)
            if found is None:
                continue
            yield found
            if found.kind != DIRECTORY or found.stat is None:
                continue
            if found.stat.st_dev != device and not self._rules.cross_filesystems:
                yield Found(found.key, MOUNT, None, "another file system is mounted there")
                continue
            try:
                below = self._words(path, found.key)
            except FileNotFoundError:
                self.passed.vanished += 1
            except OSError as exc:
                yield Found(found.key, BLIND, None, exc.strerror or str(exc))
            else:
                stack.append((path + b"/", found.key, iter(below)))

    def _look(self, path: bytes, key: str, is_directory: bool) -> Found | None:
        try:
            status = os.lstat(path)
            mode = status.st_mode
            if stat.S_ISREG(mode) and not is_directory:
                return Found(key, FILE, status)
            if stat.S_ISDIR(mode) and is_directory:
                return Found(key, DIRECTORY, status)
            if stat.S_ISLNK(mode) and not is_directory:
                return Found(key, SYMLINK, status, escape(os.readlink(path)))
        except (FileNotFoundError, NotADirectoryError):
            self.passed.vanished += 1
            return None
        except OSError as exc:
            return Found(key, BLIND, None, exc.strerror or str(exc))
        if is_directory or stat.S_ISDIR(mode):
            self.passed.vanished += 1  # it became something else meanwhile; the next run sees what
        else:
            self.passed.special += 1
        return None

    def _words(self, directory: bytes, base: str) -> list[str]:
        """The names in a directory as words of keys, in their order; a directory's ends in a slash.

        :raises OSError: when it cannot be read to its end.
        """
        words = []
        with os.scandir(directory) as entries:
            for entry in entries:
                word = escape(entry.name)
                if _is_directory(entry):
                    word += "/"
                if self._excluded and self._is_excluded(base + word):
                    self.passed.excluded += 1
                    continue
                words.append(word)
        words.sort()
        return words

    def _is_excluded(self, key: str) -> bool:
        path = os.fsdecode(unescape(key))
        name = path.rstrip("/").rpartition("/")[2]
        for pattern, whole, only_directories in self._excluded:
            if only_directories and not path.endswith("/"):
                continue
            if pattern.match(path.rstrip("/") if whole else name):
                return True
        return False


def _is_directory(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # lstat will say why


def _compiled(pattern: str) -> tuple[re.Pattern[str], bool, bool]:
    """A pattern without a slash is one of names, with one it is one of whole paths; at its end it means directories."""
    bare = pattern.rstrip("/")
    whole = "/" in bare
    return re.compile(fnmatch.translate(bare.lstrip("/"))), whole, pattern.endswith("/")
