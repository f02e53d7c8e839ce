# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Git repository of a project: read, cloned beside, and given one branch in one move at the very end.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

All work is done in a clone that borrows the objects of the repository. The checkout of the user, the index and all
other branches are never written, and that is shown by a digest of them before and after.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import stat
import typing as t

from .running import Ran, run, shortened

#: The last line of each of our commits; the branch is ours as long as all that it adds has one.
TRAILER = "Steward-Dependencies"
_NONE = "0" * 40
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*[A-Za-z0-9]")
#: How others are reached is for the account to say; where a repository is, is not.
_KEPT = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_CONFIG_GLOBAL")
#: No hook, no signature that asks for a password, no clean-up in the background; what is written is on the disk.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "commit.gpgSign=false",
    "core.fsync=all",
    "gc.auto=0",
    "maintenance.auto=false",
    "core.fsmonitor=false",
)
_CHUNK = 1024 * 1024


class GitError(Exception):
    """Git refused; the message says what, and why."""


@dataclasses.dataclass(frozen=True)
class Author:
    name: str
    email: str


def is_branch(name: str) -> bool:
    """Whether Git takes it for the name of a branch, as far as we use such names."""
    parts = name.split("/")
    is_odd = any(not part or part.startswith(".") or part.endswith((".lock", ".")) for part in parts)
    return bool(_BRANCH.fullmatch(name)) and not is_odd and ".." not in name


def _git(place: str, timeout: float, *arguments: str, author: Author | None = None) -> Ran:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    # Else a mere look at the state of the checkout would write its index.
    environment.update(GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0", LC_ALL="C")
    if author is not None:
        for who in ("AUTHOR", "COMMITTER"):
            environment.update({f"GIT_{who}_NAME": author.name, f"GIT_{who}_EMAIL": author.email})
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    return run(["git", *settings, *arguments], place, timeout, environment)


def git(place: str, timeout: float, *arguments: str, author: Author | None = None) -> str:
    """What it printed.

    :raises GitError: when it did not end well.
    """
    ran = _git(place, timeout, *arguments, author=author)
    if "dubious ownership" in ran.errors:
        raise GitError(f"{place} belongs to another account: run this as that account")
    if ran.problem or ran.status != 0:
        raise GitError(f"git {arguments[0]}: {ran.problem or ran.told()}")
    return ran.output


class Repository:
    """The repository that a directory is in.

    :raises GitError: when it is in none, or Git does not trust it.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._timeout = timeout
        self.path = path
        if not os.path.isdir(path):
            raise GitError(f"there is no directory {path}, or this account may not look into it")
        # realpath: what Git prints has no links in it.
        told = git(path, timeout, "rev-parse", "--show-toplevel", "--absolute-git-dir").splitlines()
        if len(told) != 2 or not told[0]:
            raise GitError(f"{path} is not in the checkout of a Git repository")
        self.top, self._directory = told
        self.inside = os.path.relpath(os.path.realpath(path), os.path.realpath(self.top))

    def _run(self, *arguments: str) -> str:
        return git(self.top, self._timeout, *arguments)

    def commit_of(self, name: str) -> str:
        """:raises GitError: when there is no such commit."""
        ran = _git(
            self.top, self._timeout, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        )
        if ran.problem or ran.status != 0:
            raise GitError(ran.problem or f"{name!r} is no commit of {self.top}")
        return ran.output.strip()

    def tip(self, branch: str) -> str:
        """The commit of a branch; empty when there is no such branch."""
        ran = _git(self.top, self._timeout, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
        return ran.output.strip() if not ran.problem and ran.status == 0 else ""

    def told_by(self, commit: str) -> tuple[str, str]:
        """The first parent of a commit, and its trailer; empty what it has not."""
        parents, _newline, message = self._run("log", "-1", "--format=%P%n%B", commit).partition("\n")
        match = re.search(rf"^{TRAILER}: (\S+)$", message, re.MULTILINE)
        return parents.split(" ")[0], match.group(1) if match else ""

    def strangers(self, base: str, tip: str) -> int:
        """How many commits that the base has not are somebody else's."""
        told = self._run("log", "--format=%x01%B", f"{base}..{tip}")
        return sum(not re.search(rf"^{TRAILER}: ", message, re.MULTILINE) for message in told.split("\x01")[1:])

    def is_checked_out(self, branch: str) -> bool:
        return f"branch refs/heads/{branch}" in self._run("worktree", "list", "--porcelain").splitlines()

    def clone(self, place: str, commit: str) -> None:
        """The commit, checked out in a new directory.

        :raises GitError: when it cannot be.
        """
        git(os.path.dirname(place), self._timeout, "clone", "--quiet", "--no-checkout", "--shared", "--no-tags",
            "--template=", "--", self.top, place)  # fmt: skip
        git(place, self._timeout, "checkout", "--quiet", "--detach", commit)

    def publish(self, clone: str, commit: str, branch: str, before: str) -> None:
        """Give the branch the commit of the clone, unless somebody has moved it since.

        :param before: where the branch stood, empty when there was none.
        :raises GitError: when it did not come to that.
        """
        self._run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", clone, "HEAD")
        message = "steward.maintenance: update of dependencies"
        self._run("update-ref", "-m", message, f"refs/heads/{branch}", commit, before or _NONE)
        if self.tip(branch) != commit:
            raise GitError(f"git said that {branch} was written, and it is not {commit}")

    def push(self, remote: str, branch: str, commit: str, base: str) -> bool:
        """Give the branch of another repository the commit; whether it had another one.

        What somebody else put there stays.

        :raises GitError: when it did not come to that.
        """
        there = self._tip_at(remote, branch)
        if there == commit:
            return False
        if there:
            known = _git(self.top, self._timeout, "cat-file", "-e", f"{there}^{{commit}}")
            if known.problem or known.status != 0 or self.strangers(base, there):
                raise GitError(f"the branch {branch} of {remote} has commits of somebody else: merge it or remove it")
        lease = f"--force-with-lease=refs/heads/{branch}:{there}"
        self._run("push", "--quiet", lease, "--", remote, f"{commit}:refs/heads/{branch}")
        if self._tip_at(remote, branch) != commit:
            raise GitError(f"git said that {branch} was pushed to {remote}, and it is not {commit}")
        return True

    def _tip_at(self, remote: str, branch: str) -> str:
        told = self._run("ls-remote", "--", remote, f"refs/heads/{branch}").split()
        return told[0] if told else ""

    def digest(self, branch: str) -> str:
        """Of all that must not change: the files, the index, what is checked out, and the other branches.

        What Git ignores (installed packages, mostly) counts by size, time and rights; all else byte for byte.
        """
        total = hashlib.sha256()
        listed = self._run("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
        ignored = {os.path.join(self.top, name.rstrip("/")) for name in listed.split("\0") if name}
        for path, told, is_ignored in _walk(self.top, ignored):
            total.update(f"{path!r} {stat.S_IFMT(told.st_mode):o} {stat.S_IMODE(told.st_mode):o} ".encode())
            if stat.S_ISLNK(told.st_mode):
                total.update(os.readlink(path).encode("utf-8", "surrogateescape"))
            elif is_ignored or not stat.S_ISREG(told.st_mode):
                total.update(f"{told.st_size} {told.st_mtime_ns}".encode() if is_ignored else b"")
            else:
                _take(total, path)
        for name in ("HEAD", "index"):
            path = os.path.join(self._directory, name)
            if os.path.exists(path):
                _take(total, path)
        for line in self._run("for-each-ref", "--format=%(objectname) %(refname)").splitlines():
            # What a push leaves of it is not counted either.
            if not re.fullmatch(rf"refs/(?:heads|remotes/[^/]+)/{re.escape(branch)}", line.partition(" ")[2]):
                total.update(line.encode("utf-8", "replace"))
        return total.hexdigest()


def _walk(top: str, ignored: t.Collection[str]) -> t.Iterator[tuple[str, os.stat_result, bool]]:
    waiting = [(top, False)]
    while waiting:
        directory, is_ignored = waiting.pop()
        with os.scandir(directory) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.name == ".git":
                continue
            within = is_ignored or entry.path in ignored
            told = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(told.st_mode):
                waiting.append((entry.path, within))
                # The time of a directory changes when something in it does: what is in it is counted itself.
                yield entry.path, told, False
            else:
                yield entry.path, told, within


def _take(total: t.Any, path: str) -> None:
    one = hashlib.sha256()
    with open(path, "rb") as handle:
        for piece in iter(lambda: handle.read(_CHUNK), b""):
            one.update(piece)
    total.update(one.digest())


def commit_files(clone: str, files: t.Sequence[str], message: str, author: Author, timeout: float) -> str:
    """Commit these files of a clone and nothing else; the commit.

    :raises GitError: when it cannot be, or something else would be in it.
    """
    git(clone, timeout, "add", "--force", "--", *files)
    staged = git(clone, timeout, "diff", "--cached", "--name-only", "-z").split("\0")
    extra = sorted({name for name in staged if name} - set(files))
    if extra:
        raise GitError(f"{shortened(', '.join(extra))} would be committed, too")
    git(clone, timeout, "commit", "--quiet", "--no-verify", "--message", message, author=author)
    return git(clone, timeout, "rev-parse", "HEAD").strip()


def changed_files(clone: str, timeout: float) -> list[str]:
    """Files of the last commit that are no longer as it has them."""
    told = git(clone, timeout, "diff", "--name-only", "-z", "HEAD").split("\0")
    return sorted(name for name in told if name)
