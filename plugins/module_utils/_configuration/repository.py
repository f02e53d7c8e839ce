# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The branch of one host in a bare repository, here or somewhere else: read, compared, written, seen again.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

There is no work tree, so nothing clear lies on a disk beside the files themselves. What a killed run leaves are objects
that nothing refers to, or a commit that was not sent yet; the next run sends it.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import os
import typing as t

from .._core.clock import utc_now
from . import contents
from .git import Git, GitError, Remote, names_of, quoted

_NONE = ""
#: What git push says when another one came first; it is tried again then.
_SOMEBODY_WAS_FASTER = ("fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref")


class Moved(GitError):
    """Somebody else has written to the branch meanwhile."""


@dataclasses.dataclass(frozen=True)
class Author:
    name: str
    email: str


@dataclasses.dataclass(frozen=True)
class Change:
    """One file of the tree that is another one than before."""

    path: str
    kind: str  # added, changed, deleted
    before: bytes | None = None
    after: bytes | None = None


class Repository:
    """One branch.

    :param place: where it is, or the copy of it here when it is somewhere else.
    """

    def __init__(self, place: str, branch: str, timeout: float, remote: Remote | None = None) -> None:
        self.git = Git(place, timeout, remote)
        self.place = place
        self.branch = branch
        self.remote = remote
        self._ref = f"refs/heads/{branch}"

    @property
    def exists(self) -> bool:
        return os.path.exists(os.path.join(self.place, "HEAD"))

    def make(self) -> None:
        """Have the repository, or the copy of it; one that was half made is made again."""
        if not self.exists:
            os.makedirs(os.path.dirname(self.place), mode=0o700, exist_ok=True)
            self.git.run("init", "--bare", "--quiet", "--template=", self.place)
            os.chmod(self.place, 0o700)

    def check_branch(self) -> bool:
        return self.git.succeeds("check-ref-format", self._ref)

    def fetch(self) -> str:
        """Bring the copy here up to date; what is strange about it, or an empty text.

        :raises GitError: when the other repository cannot be asked.
        """
        if not self.remote:
            return ""
        theirs = self._remote_head()
        ours = self.head()
        if not theirs:
            again = f"it has no branch {self.branch} any more: all of it is sent again from the copy here"
            return again if ours else ""
        if theirs == ours:
            return ""
        fetched = "refs/steward/fetched"
        self.git.run("fetch", "--quiet", "--no-tags", self.remote.url, f"+{self._ref}:{fetched}")
        theirs = self._commit(fetched)
        if not ours or self.git.succeeds("merge-base", "--is-ancestor", ours, theirs):
            self.git.run("update-ref", self._ref, theirs)
            return ""
        if self.git.succeeds("merge-base", "--is-ancestor", theirs, ours):
            return ""  # a commit that a killed run did not send
        kept = f"refs/steward/lost/{ours}"
        self.git.run("update-ref", kept, ours)
        self.git.run("update-ref", self._ref, theirs)
        return f"its history is another one than the copy here knows, which is kept as {kept} in {self.place}"

    def head(self) -> str:
        return self._commit(self._ref)

    def _commit(self, ref: str) -> str:
        if not self.exists:
            return _NONE
        try:
            return self.git.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").decode().strip()
        except GitError:
            return _NONE

    def _remote_head(self) -> str:
        if self.remote is None:
            raise AssertionError("only another repository is asked")
        told = self.git.run("ls-remote", self.remote.url, self._ref).decode()
        return told.split()[0] if told.strip() else _NONE

    def tree(self, commit: str) -> dict[str, tuple[str, str]]:
        """Mode and object of each file of a commit."""
        if not commit:
            return {}
        found = {}
        for line in names_of(self.git.run("ls-tree", "-r", "-z", "--full-tree", commit)):
            about, _tab, path = line.partition("\t")
            mode, _kind, object_id = about.split()
            found[path] = (mode, object_id)
        return found

    def read(self, object_id: str) -> bytes:
        return self.git.run("cat-file", "blob", object_id)

    def manifest(self, tree: t.Mapping[str, tuple[str, str]]) -> contents.Manifest:
        """:raises ManifestError: when it cannot be read."""
        if contents.MANIFEST not in tree:
            return {}
        return contents.read(self.read(tree[contents.MANIFEST][1]))

    def compare(
        self, old: t.Mapping[str, tuple[str, str]], new: t.Mapping[str, contents.Stored]
    ) -> tuple[list[Change], dict[str, tuple[str, str]]]:
        """What is not as it was, and what the tree must be afterwards."""
        algorithm = self.git.run("rev-parse", "--show-object-format").decode().strip() if self.exists else "sha1"
        wanted = {
            path: (stored.mode, stored.object_id or _id_of(stored.content, algorithm)) for path, stored in new.items()
        }
        changes = [Change(path, "deleted", self.read(old[path][1])) for path in sorted(set(old) - set(new))]
        for path in sorted(new):
            if path not in old:
                changes.append(Change(path, "added", None, new[path].content))
            elif old[path] != wanted[path]:
                changes.append(Change(path, "changed", self.read(old[path][1]), new[path].content))
        return changes, wanted

    def commit(
        self,
        parent: str,
        changes: t.Sequence[Change],
        new: t.Mapping[str, contents.Stored],
        author: Author,
        message: str,
    ) -> str:
        """Write the changes on top of the parent.

        :raises Moved: when the branch is at another commit by now.
        """
        seconds = int(utc_now().timestamp())
        text = message.encode("utf-8", "surrogateescape")
        stream = [
            f"commit {self._ref}\n".encode(),
            f"committer {author.name} <{author.email}> {seconds} +0000\n".encode(),
            b"data %d\n%s\n" % (len(text), text),
            f"from {parent}\n".encode() if parent else b"",
        ]
        stream += [b"D %s\n" % quoted(change.path) for change in changes if change.kind == "deleted"]
        for change in changes:
            if change.kind != "deleted":
                stored = new[change.path]
                head = f"M {stored.mode} inline ".encode()
                stream.append(b"%s%s\ndata %d\n%s\n" % (head, quoted(change.path), len(stored.content), stored.content))
        if self.head() != parent:
            raise Moved(f"branch {self.branch} was written to by somebody else")
        try:
            self.git.run("fast-import", "--quiet", "--date-format=raw", stdin=b"".join(stream))
        except GitError as exc:
            if self.head() != parent:
                raise Moved(f"branch {self.branch} was written to by somebody else: {exc}") from exc
            raise
        return self.head()

    def send(self) -> None:
        """Have the other repository at the commit that is here, and see it there.

        :raises Moved: when it has gone on meanwhile.
        """
        if not self.remote:
            return
        ours = self.head()
        if self._remote_head() == ours:
            return
        try:
            self.git.run("push", "--quiet", self.remote.url, f"{ours}:{self._ref}")
        except GitError as exc:
            if any(words in str(exc) for words in _SOMEBODY_WAS_FASTER):
                raise Moved(str(exc)) from exc
            raise
        if self._remote_head() != ours:
            raise Moved(f"git push ended well, but branch {self.branch} is at another commit there")

    def commit_of(self, moment: datetime.datetime | None, commit: str) -> str:
        """The commit that is meant, or the newest at that moment, or the newest; an empty text when there is none."""
        if commit:
            found = self._commit(commit) if commit.isalnum() else _NONE
            return found if found and self.git.succeeds("merge-base", "--is-ancestor", found, self._ref) else _NONE
        if moment is None:
            return self.head()
        until = f"--min-age={int(moment.timestamp())}"
        return self.git.run("rev-list", "-1", until, self._ref).decode().strip() if self.head() else _NONE

    def moment_of(self, commit: str) -> datetime.datetime:
        seconds = int(self.git.run("show", "--no-patch", "--format=%ct", commit).decode())
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)

    def oldest(self) -> str:
        found = self.git.run("rev-list", "--max-parents=0", self._ref).decode().split()
        return found[-1] if found else _NONE


def _id_of(content: bytes, algorithm: str) -> str:
    """The name that Git gives to a content. Not a matter of security: it is what it is."""
    digest = hashlib.new(algorithm)
    digest.update(b"blob %d\0" % len(content) + content)
    return digest.hexdigest()
