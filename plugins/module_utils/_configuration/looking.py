# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies below the named paths: files, links and directories with owner and mode, and what could not be read.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import grp
import os
import pwd
import stat
import typing as t

FILE = "file"
LINK = "link"
DIRECTORY = "directory"

_ATTEMPTS = 3


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing in the file system. Its path has no slash at its beginning.

    :param content: of a file; of a link, where it leads to.
    """

    path: str
    kind: str
    mode: int
    owner: str
    group: str
    content: bytes = b""
    bytes: int = 0


@dataclasses.dataclass
class Seen:
    """All that was found, and what was not.

    :param unreadable: absolute paths and why. What was known of them, and of all below, is kept.
    :param vanished: named paths that are not there.
    """

    entries: dict[str, Entry] = dataclasses.field(default_factory=dict)
    unreadable: dict[str, str] = dataclasses.field(default_factory=dict)
    vanished: list[str] = dataclasses.field(default_factory=list)

    def keeps(self, path: str) -> bool:
        """Whether nobody can say that this path is gone."""
        return any(is_below(f"/{path}", root) for root in (*self.unreadable, *self.vanished))


def shown(path: str) -> str:
    """A path for people and for what reads lines: what cannot be printed is escaped."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in path)


def is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def matches(path: str, patterns: t.Iterable[str]) -> bool:
    """Whether a pattern fits an absolute path, or one of the directories that it is in; without a slash, its name."""
    parts = path.split("/")
    places = ["/".join(parts[: end + 1]) for end in range(1, len(parts))]
    return any(
        fnmatch.fnmatchcase(place if "/" in pattern else place.rpartition("/")[2], pattern)
        for pattern in patterns
        for place in places
    )


def look(paths: t.Sequence[str], exclude: t.Sequence[str], largest: int) -> Seen:
    """Read all of it, following no link. Of what is larger than that, only the size is read."""
    seen = Seen()
    for path in paths:
        if not os.path.lexists(path):
            try:
                os.lstat(path)
            except FileNotFoundError:
                seen.vanished.append(path)
            except OSError as exc:
                seen.unreadable[path] = exc.strerror or str(exc)
            continue
        _look_at(path, exclude, largest, seen)
    return seen


def _look_at(path: str, exclude: t.Sequence[str], largest: int, seen: Seen) -> None:
    if matches(path, exclude):
        return
    try:
        found = os.lstat(path)
        kind = _kind(found.st_mode)
        if not kind:
            return  # a socket, a pipe, a device: nothing to keep
        content = _content(path, kind, found, largest)
        names = sorted(os.listdir(path)) if kind == DIRECTORY else []
    except FileNotFoundError:
        return  # it went while we looked
    except OSError as exc:
        seen.unreadable[path] = exc.strerror or str(exc)
        return
    name = path.lstrip("/")
    if name:
        seen.entries[name] = Entry(
            name, kind, stat.S_IMODE(found.st_mode), _owner(found.st_uid), _group(found.st_gid), content, found.st_size
        )
    for below in names:
        _look_at(os.path.join(path, below), exclude, largest, seen)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return FILE
    if stat.S_ISLNK(mode):
        return LINK
    return DIRECTORY if stat.S_ISDIR(mode) else ""


def _content(path: str, kind: str, found: os.stat_result, largest: int) -> bytes:
    if kind == LINK:
        return os.fsencode(os.readlink(path))
    if kind != FILE or found.st_size > largest:
        return b""
    for _attempt in range(_ATTEMPTS):
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(file, "rb") as handle:
            before = os.fstat(handle.fileno())
            content = handle.read(largest + 1)
            after = os.fstat(handle.fileno())
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, len(content)):
            return content
    raise OSError(0, "it is written all the time")


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
