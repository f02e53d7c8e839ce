# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the releases of an application are: each in a directory of its own, and one link that says which is in use.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

    current -> releases/3f2a91c07be4d816
    previous -> releases/91c07be4d8163f2a
    releases/3f2a91c07be4d816/.steward-release.json
    releases/5d2b77a0c1e94f03.partial

A directory has its name without `.partial` when all in it is on the disk and was proved.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import shutil
import typing as t

from .._core.files import sync_directory, write_all

#: What is kept of a release in its own directory.
DESCRIPTION = ".steward-release.json"
CURRENT, PREVIOUS = "current", "previous"

Described = t.Dict[str, t.Any]

_RELEASES, _PARTIAL, _DOOMED = "releases", ".partial", ".removed"
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_OPEN = 0o755


class ReleaseError(Exception):
    """Something about a release is not as it has to be; the text names it and what would be right."""


def is_name(text: str) -> bool:
    """Whether a release may be called so."""
    return bool(_NAME.fullmatch(text)) and not text.endswith((_PARTIAL, _DOOMED))


class Place:
    """:raises OSError: from every method that writes."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.releases = os.path.join(directory, _RELEASES)

    @property
    def name(self) -> str:
        return os.path.basename(self.directory)

    def path_of(self, release: str) -> str:
        return os.path.join(self.releases, release)

    def partial_of(self, release: str) -> str:
        return self.path_of(release) + _PARTIAL

    def current(self) -> str:
        """The release in use, or nothing.

        :raises ReleaseError: when something that we did not make has the name.
        """
        return self._led_to(CURRENT)

    def previous(self) -> str:
        """The one that was in use before, or nothing; :raises ReleaseError: as above."""
        return self._led_to(PREVIOUS)

    def has(self, release: str) -> bool:
        return bool(release) and os.path.isfile(os.path.join(self.path_of(release), DESCRIPTION))

    def described(self, release: str) -> Described:
        """What was written of a release when it was installed.

        :raises ReleaseError: when it is not there or cannot be read.
        """
        path = os.path.join(self.path_of(release), DESCRIPTION)
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
            if found["release"] != release or not isinstance(found["packages"], list):
                raise ValueError("it tells of another release")
        except FileNotFoundError:
            raise ReleaseError(f"{self.path_of(release)} is no release that was installed here") from None
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ReleaseError(f"{path} cannot be read: {exc}") from None
        return t.cast(Described, found)

    def installed(self) -> list[str]:
        """The releases that are there as a whole, the one that was installed last first."""
        with contextlib.suppress(FileNotFoundError):
            names = [name for name in os.listdir(self.releases) if is_name(name) and self.has(name)]
            return sorted(names, key=self._moment, reverse=True)
        return []

    def begin(self, release: str) -> str:
        """An empty directory for a release that is being made; what a killed run left of one is gone."""
        make_directory(self.releases)
        path = self.partial_of(release)
        remove_tree(path)
        os.mkdir(path, _OPEN)
        os.chmod(path, _OPEN)
        return path

    def finish(self, release: str, described: Described) -> None:
        """Give it its name, with all that is in it on the disk."""
        partial, path = self.partial_of(release), self.path_of(release)
        write_json(os.path.join(partial, DESCRIPTION), described)
        sync_filesystem(partial)
        if os.path.lexists(path):
            # Damaged, and not in use: see whoever calls.
            self._doom(path)
        os.rename(partial, path)
        sync_directory(self.releases)
        sync_directory(self.directory)

    def discard(self, release: str) -> None:
        """Remove what was not finished."""
        remove_tree(self.partial_of(release))

    def lead(self, link: str, release: str) -> None:
        """Have a link lead to a release; without one it is removed. There is no moment between the two."""
        path = os.path.join(self.directory, link)
        new = f"{path}.new"
        for old in (new,) if release else (new, path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(old)
        if release:
            os.symlink(os.path.join(_RELEASES, release), new)
            os.rename(new, path)
        sync_directory(self.directory)

    def surplus(self, keep: int, spared: t.Collection[str]) -> list[str]:
        """All but the newest `keep` releases beside those that are spared."""
        others = [name for name in self.installed() if name not in spared]
        return others[keep:]

    def remove(self, release: str) -> None:
        self._doom(self.path_of(release))

    def sweep(self) -> None:
        """Remove what a killed run left of releases it was removing."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.releases):
                if name.endswith(_DOOMED):
                    remove_tree(os.path.join(self.releases, name))

    def _doom(self, path: str) -> None:
        """Take the name away first: what is half removed must not be taken for a release."""
        doomed = path + _DOOMED
        remove_tree(doomed)
        os.rename(path, doomed)
        remove_tree(doomed)

    def _led_to(self, link: str) -> str:
        path = os.path.join(self.directory, link)
        try:
            head, release = os.path.split(os.readlink(path))
        except FileNotFoundError:
            return ""
        except OSError as exc:
            foreign = exc.errno == errno.EINVAL
            why = "is no symbolic link: move what it is away" if foreign else f"cannot be read: {exc.strerror}"
            raise ReleaseError(f"{path} {why}") from None
        if head != _RELEASES or not is_name(release):
            raise ReleaseError(
                f"{path} leads to {os.path.join(head, release)}, which is no release: move the link away"
            )
        return release

    def _moment(self, release: str) -> tuple[str, int]:
        """When it was installed; between two of one second, the file in which that is written tells."""
        with contextlib.suppress(ReleaseError, OSError):
            written = os.stat(os.path.join(self.path_of(release), DESCRIPTION)).st_mtime_ns
            return str(self.described(release).get("installed", "")), written
        return "", 0


def make_directory(path: str) -> None:
    """Make a directory with all above it, open whatever the umask is. What is there stays as it is."""
    if not os.path.isdir(path):
        make_directory(os.path.dirname(path))
        os.mkdir(path)
        os.chmod(path, _OPEN)


def remove_tree(path: str) -> None:
    """Remove a directory with all that is in it, also where its directories are closed to their owner."""
    if not os.path.lexists(path):
        return
    for root, directories, _files in os.walk(path):
        for name in directories:
            full = os.path.join(root, name)
            if not os.path.islink(full):
                os.chmod(full, 0o700)
    shutil.rmtree(path)


def write_json(path: str, content: t.Any) -> None:
    """A file that is on the disk as a whole, or not there."""
    half = f"{path}.new"
    file = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        write_all(file, json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(half, path)
    sync_directory(os.path.dirname(path))


def sync_filesystem(path: str) -> None:
    """Have all that was written to the file system on its disk: one call for thousands of files."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if hasattr(library, "syncfs"):
            if library.syncfs(file):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), path)
        else:
            os.sync()
    finally:
        os.close(file)
