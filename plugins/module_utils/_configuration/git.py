# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program git, always told where its repository is, never asking anybody, never reading somebody's settings.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import shutil
import subprocess
import typing as t

from .._core.durations import format_duration
from .._core.masking import mask_secrets
from .._core.suggest import InputError

_SAID = 400
_KEPT = ("PATH", "LANG", "TMPDIR", "SSH_AUTH_SOCK")
#: What was acknowledged is on the disk; nothing that lies in a repository is run.
_SETTINGS = ("core.fsync=all", "core.fsyncObjectFiles=true", "core.hooksPath=/dev/null", "gc.auto=0")
_URL = re.compile(r"ssh://[^\s]+|file:///[^\s]+|[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^\s]+")


class GitError(Exception):
    """Git did not do what it was told; the text is what it said."""


@dataclasses.dataclass(frozen=True)
class Remote:
    """A repository somewhere else, and how ssh gets there."""

    url: str
    ssh_key: str = ""
    known_hosts: str = ""

    @property
    def ssh_command(self) -> str:
        words = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=20"]
        if self.ssh_key:
            words += ["-i", self.ssh_key, "-o", "IdentitiesOnly=yes"]
        if self.known_hosts:
            words += ["-o", f"UserKnownHostsFile={self.known_hosts}"]
        return " ".join(shlex.quote(word) for word in words)


class Git:
    """One bare repository."""

    def __init__(self, directory: str, timeout: float, remote: Remote | None = None) -> None:
        self.directory = directory
        self.remote = remote
        self._timeout = timeout
        program = shutil.which("git")
        if not program:
            raise GitError("the program git is not in PATH: install the package git")
        self._program = program

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run one command of git and return what it wrote.

        :raises GitError: when it did not end with status 0, or not in time.
        """
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        try:
            done = subprocess.run(
                [self._program, *settings, *arguments],
                input=stdin,
                capture_output=True,
                env=self._environment(),
                cwd="/",
                timeout=self._timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitError(
                f"git {arguments[0]} has not ended after {format_duration(self._timeout)} and was ended"
            ) from None
        except OSError as exc:
            raise GitError(f"git cannot be started: {exc.strerror}") from exc
        if done.returncode:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[-_SAID:]
            told = mask_secrets(said) or "it said nothing"
            raise GitError(f"git {arguments[0]} ended with status {done.returncode}: {told}")
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Whether a question is answered with yes."""
        try:
            self.run(*arguments)
        except GitError:
            return False
        return True

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        ours = {
            "GIT_DIR": self.directory,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "HOME": "/nonexistent",  # an older git reads its settings there, whatever the line above says
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "ssh:file",
            "LC_ALL": "C",
        }
        if self.remote:
            ours["GIT_SSH_COMMAND"] = self.remote.ssh_command
        return {**kept, **ours}


def remote_from(repository: str, ssh_key: str, known_hosts: str) -> Remote | None:
    """How a repository that is not a path here is reached; nothing for one that is.

    :raises InputError: for what is neither.
    """
    if repository.startswith("/"):
        return None
    if not _URL.fullmatch(repository):
        right = "write the absolute path of a bare repository, or 'git@host:path', 'ssh://git@host/path'"
        raise InputError(f"repository is {mask_secrets(repository)!r}: {right}")
    if re.match(r"ssh://[^/@]*:[^/@]*@", repository):
        raise InputError("repository has a password in it, which every process here could read: use a key (ssh_key)")
    return Remote(repository, ssh_key, known_hosts)


def quoted(path: str) -> bytes:
    """A path as git's streams want it: in quotes, with what is not plain as octal numbers."""
    plain = path.encode("utf-8", "surrogateescape")
    inner = b"".join(bytes([byte]) if 32 <= byte < 127 and byte not in b'"\\' else b"\\%03o" % byte for byte in plain)
    return b'"' + inner + b'"'


def names_of(fields: bytes) -> t.Iterator[str]:
    """The entries of an output that ends each with a NUL."""
    for field in fields.split(b"\0"):
        if field:
            yield field.decode("utf-8", "surrogateescape")
