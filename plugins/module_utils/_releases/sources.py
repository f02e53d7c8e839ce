# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is made from: a commit of a Git repository, or an archive of a known SHA-256.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A branch or a tag moves, so neither is taken: what was tested by one name might be something else by the same name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import re
import shutil
import stat
import tarfile
import typing as t
import zipfile

from .place import ReleaseError, make_directory
from .programs import must, run

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SHA256 = re.compile(r"[0-9a-f]{64}")
_IN_NAME = 16
_BLOCK = 1 << 20
_GITLINK = b"160000 "


class Source(t.Protocol):
    """Where the files of a release come from."""

    @property
    def release(self) -> str:
        """The name of the release."""

    def told(self) -> dict[str, str]:
        """What it is, for the evidence."""

    def write(self, target: str, scratch: str) -> None:
        """Write all files into an empty directory and look whether they are what they should be.

        :param scratch: a directory of ours, for what is of use the next time, too.
        :raises ReleaseError: when they cannot be had or are not what they should be.
        """


@dataclasses.dataclass(frozen=True)
class GitSource:
    """A commit."""

    repository: str
    commit: str
    timeout: float

    @property
    def release(self) -> str:
        return self.commit[:_IN_NAME]

    def told(self) -> dict[str, str]:
        return {"commit": self.commit, "archive_sha256": ""}

    def write(self, target: str, scratch: str) -> None:
        make_directory(scratch)
        bare = os.path.join(scratch, "repository.git")
        self._git(bare, "init", "--quiet", "--bare", bare)
        if not self._is_there(bare):
            self._fetch(bare)
        index = {"GIT_INDEX_FILE": os.path.join(scratch, "index")}
        with contextlib.suppress(FileNotFoundError):
            os.unlink(index["GIT_INDEX_FILE"])
        listed = run(["git", "ls-tree", "-r", self.commit], bare, self.timeout, self._quiet(bare), apart=True)
        if any(line.startswith(_GITLINK) for line in listed.output.splitlines()):
            raise ReleaseError(f"the commit {self.commit} has submodules, which are not in it: make an archive of all")
        tree = {**index, "GIT_WORK_TREE": target}
        self._git(bare, "read-tree", self.commit, directory=target, **tree)
        self._git(bare, "checkout-index", "--all", "--force", directory=target, **tree)
        # The index has no stamps of the files yet, so Git reads each to say whether it is what the commit says.
        self._git(bare, "update-index", "-q", "--refresh", directory=target, **tree)
        self._git(bare, "diff-files", "--quiet", directory=target, **tree)

    def _is_there(self, bare: str) -> bool:
        """The commit with all that it consists of: a pack is there as a whole or not at all."""
        asked = ["git", "rev-list", "--quiet", "--objects", "--no-walk", self.commit]
        return run(asked, bare, self.timeout, self._quiet(bare)).status == 0

    def _fetch(self, bare: str) -> None:
        asked = ["git", "fetch", "--quiet", "--no-tags", "--depth=1", "--", self.repository, self.commit]
        first = run(asked, bare, self.timeout, self._quiet(bare))
        if first.status == 0:
            return
        # Servers of before protocol version 2 give what has a name only.
        everything = ["+refs/heads/*:refs/steward/heads/*", "+refs/tags/*:refs/steward/tags/*"]
        asked = ["git", "fetch", "--quiet", "--no-tags", "--", self.repository, *everything]
        second = run(asked, bare, self.timeout, self._quiet(bare))
        if second.status:
            raise ReleaseError(f"the repository cannot be fetched: git fetch ended with {second.told()}")
        if not self._is_there(bare):
            raise ReleaseError(f"the repository has no commit {self.commit}: git fetch ended with {first.told()}")

    def _git(self, bare: str, *words: str, directory: str = "/", **more: str) -> None:
        what = f"the commit {self.commit[:_IN_NAME]} cannot be written ({words[0]})"
        must(["git", *words], directory, self.timeout, what, {**self._quiet(bare), **more})

    @staticmethod
    def _quiet(bare: str) -> dict[str, str]:
        """Git asks nobody for a password, and looks for no other repository."""
        return {"GIT_DIR": bare, "GIT_TERMINAL_PROMPT": "0", "GIT_ADVICE": "0"}


@dataclasses.dataclass(frozen=True)
class ArchiveSource:
    """A file with all of it: tar, compressed or not, or zip."""

    path: str
    sha256: str
    strip: int

    @property
    def release(self) -> str:
        return self.sha256[:_IN_NAME]

    def told(self) -> dict[str, str]:
        return {"commit": "", "archive_sha256": self.sha256}

    def write(self, target: str, scratch: str) -> None:
        del scratch
        try:
            found = file_sha256(self.path)
            if found != self.sha256:
                raise ReleaseError(f"{self.path} has the SHA-256 {found}, not {self.sha256}")
            with _opened(self.path) as members:
                count = sum(_write_member(member, target, self.strip) for member in members)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError) as exc:
            raise ReleaseError(f"{self.path} cannot be read: {exc}") from None
        if not count:
            raise ReleaseError(f"{self.path} has no file below {self.strip} directories: see strip")


@dataclasses.dataclass(frozen=True)
class _Member:
    """A file, a directory or a link of an archive."""

    name: str
    kind: str
    mode: int
    link: str
    content: t.Callable[[], t.Any]


@contextlib.contextmanager
def _opened(path: str) -> t.Iterator[t.Iterator[_Member]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as zipped:
            yield _of_zip(zipped)
    else:
        with tarfile.open(path) as tar:
            yield _of_tar(tar)


def _of_tar(tar: tarfile.TarFile) -> t.Iterator[_Member]:
    for member in tar:
        kind = "file" if member.isfile() else "directory" if member.isdir() else "link" if member.issym() else ""
        yield _Member(member.name, kind, member.mode, member.linkname, functools.partial(tar.extractfile, member))


def _of_zip(zipped: zipfile.ZipFile) -> t.Iterator[_Member]:
    for member in zipped.infolist():
        mode = member.external_attr >> 16
        link = zipped.read(member).decode() if stat.S_ISLNK(mode) else ""
        kind = "link" if link else "directory" if member.is_dir() else "file"
        yield _Member(member.filename, kind, mode or 0o644, link, functools.partial(zipped.open, member))


def _write_member(member: _Member, target: str, strip: int) -> int:
    """How many files were written: one or none.

    :raises ReleaseError: for what would lead out of the release, or is no file, directory or link.
    """
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if ".." in parts or member.name.startswith("/"):
        raise ReleaseError(f"the archive has {member.name!r}, which leads out of the release")
    inside = parts[strip:]
    if not inside:
        return 0
    path = os.path.join(target, *inside)
    # The archive may have a link, and then a file below it.
    parent = os.path.realpath(os.path.dirname(path))
    if parent != target and not parent.startswith(f"{target}/"):
        raise ReleaseError(f"the archive has {member.name!r}, which leads out of the release")
    os.makedirs(path if member.kind == "directory" else os.path.dirname(path), exist_ok=True)
    if member.kind == "directory":
        return 0
    if member.kind == "link":
        to = os.path.normpath(os.path.join(os.path.dirname(path), member.link))
        if os.path.isabs(member.link) or not f"{to}/".startswith(f"{target}/"):
            raise ReleaseError(f"the archive has the link {member.name!r}, which leads out of the release")
        os.symlink(member.link, path)
        return 1
    if member.kind != "file":
        raise ReleaseError(f"the archive has {member.name!r}, which is no file, directory or symbolic link")
    mode = 0o755 if member.mode & 0o111 else 0o644
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(file, "wb") as writing, member.content() as reading:
        shutil.copyfileobj(reading, writing, _BLOCK)
    os.chmod(path, mode)
    return 1


def file_sha256(path: str) -> str:
    """:raises OSError: when it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
