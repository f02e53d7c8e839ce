# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place of a service's pairs: each in a directory of its own, and one link that says which is in use.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

    current -> versions/20261126T183000Z-0c1f6c5c7f1e9a02
    versions/20261126T183000Z-0c1f6c5c7f1e9a02/fullchain.pem, privkey.pem, combined.pem

A directory gets its name when all in it is on the disk, and certificate and key change together, by one rename.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re
import shutil
import stat
import typing as t

from .._core.files import sync_directory, write_all
from .disk import read_file
from .pair import Pair
from .x509 import Certificate, CertificateError, certificates_in

FULLCHAIN, KEY, COMBINED = "fullchain.pem", "privkey.pem", "combined.pem"

#: The service goes through the directories; the keys in them are closed by themselves.
_OPEN = 0o755
_CURRENT, _VERSIONS, _NEW = "current", "versions", ".new"
_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}(?:-\d+)?")


@dataclasses.dataclass(frozen=True)
class Rights:
    """Whose the files are, as numbers (-1: as whoever runs this), and the mode of those with a key in them."""

    uid: int = -1
    gid: int = -1
    key_mode: int = 0o600


class Store:
    """:raises OSError: from every method that writes."""

    def __init__(self, directory: str, rights: Rights) -> None:
        self.directory = directory
        self._rights = rights
        self._link = os.path.join(directory, _CURRENT)
        self._versions = os.path.join(directory, _VERSIONS)

    def current(self) -> str:
        """The version in use, or nothing.

        :raises CertificateError: when something that we did not make has the name.
        """
        try:
            head, version = os.path.split(os.readlink(self._link))
        except FileNotFoundError:
            return ""
        except OSError as exc:
            foreign = exc.errno == errno.EINVAL
            why = "is no symbolic link: move what it is away" if foreign else f"cannot be read: {exc.strerror}"
            raise CertificateError(f"{self._link} {why}") from None
        if head != _VERSIONS or not _VERSION.fullmatch(version):
            raise CertificateError(f"{self._link} leads to something that this module did not put there")
        return version

    def certificate_of(self, version: str) -> Certificate | None:
        """The certificate of a version, or None when it cannot be read."""
        if not version:
            return None
        try:
            return certificates_in(read_file(self._path(version, FULLCHAIN)))[0]
        except CertificateError:
            return None

    def version_for(self, pair: Pair) -> str:
        """The name under which the pair is there or will be: never that of a directory with something else in it."""
        name, number = pair.version, 1
        while os.path.lexists(self._path(name)) and not self.has(name, pair):
            number += 1
            name = f"{pair.version}-{number}"
        return name

    def has(self, version: str, pair: Pair) -> bool:
        """Whether the version is there, with these very files."""
        try:
            return all(_content(self._path(version, name)) == data for name, data in _files_of(pair).items())
        except OSError:
            return False

    def put(self, version: str, pair: Pair) -> None:
        """Write a version beside the others, on the disk before it has its name."""
        _make(self._versions)
        new = self._path(_NEW)
        shutil.rmtree(new, ignore_errors=True)
        os.mkdir(new, 0o700)
        for name, data in _files_of(pair).items():
            self._write(os.path.join(new, name), data, 0o644 if name == FULLCHAIN else self._rights.key_mode)
        os.chmod(new, _OPEN)
        sync_directory(new)
        os.rename(new, self._path(version))
        sync_directory(self._versions)
        sync_directory(self.directory)

    def remove(self, version: str) -> None:
        """Remove a version that is not in use, and what a killed run left of one."""
        if version and version != self.current():
            shutil.rmtree(self._path(_NEW), ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._path(version))

    def switch(self, version: str) -> None:
        """Have `current` lead to a version; without one it is removed. There is no moment between the two."""
        new = f"{self._link}{_NEW}"
        for path in (new,) if version else (new, self._link):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        if version:
            os.symlink(os.path.join(_VERSIONS, version), new)
            os.rename(new, self._link)
        sync_directory(self.directory)

    def wrong_rights(self, version: str) -> list[str]:
        """The files of a whole version whose owner, group or mode are others than is wanted."""
        found = []
        for name in (FULLCHAIN, KEY, COMBINED):
            path = self._path(version, name)
            about = os.stat(path)
            mode = 0o644 if name == FULLCHAIN else self._rights.key_mode
            owned = self._rights.uid in (-1, about.st_uid) and self._rights.gid in (-1, about.st_gid)
            if not owned or stat.S_IMODE(about.st_mode) != mode:
                found.append(path)
        return found

    def mend_rights(self, version: str) -> None:
        for path in self.wrong_rights(version):
            mode = 0o644 if path.endswith(FULLCHAIN) else self._rights.key_mode
            # Never wider than it will be: the owner first, while nobody else may read it.
            os.chmod(path, 0o600)
            os.chown(path, self._rights.uid, self._rights.gid)
            os.chmod(path, mode)

    def versions(self) -> list[str]:
        """All of them, in the order of their issue."""
        return [name for name in sorted(os.listdir(self._versions)) if _VERSION.fullmatch(name)]

    def prune(self, keep: int, spared: t.Collection[str]) -> list[str]:
        """Remove all but the newest `keep` versions beside the one in use and the spared ones; their names."""
        in_use = self.current()
        others = [name for name in self.versions() if name != in_use and name not in spared]
        surplus = others[: max(0, len(others) - keep)]
        for name in surplus:
            shutil.rmtree(self._path(name))
        return surplus

    def _path(self, version: str, name: str = "") -> str:
        return os.path.join(self._versions, version, name) if name else os.path.join(self._versions, version)

    def _write(self, path: str, data: bytes, mode: int) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchown(file, self._rights.uid, self._rights.gid)
            os.fchmod(file, mode)
            write_all(file, data)
            os.fsync(file)
        finally:
            os.close(file)


def revocation_mark(directory: str, fingerprint: str) -> str:
    """The file that says that nothing is left to be revoked of a certificate."""
    return os.path.join(directory, "revoked", fingerprint)


def _make(directory: str) -> None:
    """Make a directory with all above it, open to the service whatever the umask is. What is there stays as it is."""
    if not os.path.isdir(directory):
        _make(os.path.dirname(directory))
        os.mkdir(directory)
        os.chmod(directory, _OPEN)


def _files_of(pair: Pair) -> dict[str, bytes]:
    return {FULLCHAIN: pair.fullchain, KEY: pair.key, COMBINED: pair.fullchain + pair.key}


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
