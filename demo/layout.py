# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the demonstration keeps things, so that `bin/demo clean` finds every one of them again.

Two places: the state directory (`.demo` in the checkout, a few small files) and the scratch directory (database,
backups, records). Scratch lies under /var/tmp because a server that dropped root's rights must be able to reach it, and
because the path of a Unix socket may not be longer than 107 characters.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import secrets
import shutil

PREFIX = "steward-demo."
MARK = ".steward-demo"


class DemoError(Exception):
    """What a person should read when the demonstration cannot go on."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The paths of one demonstration.

    :param root: the checkout.
    :param state: the directory that remembers what was started; removed by `clean`.
    """

    root: pathlib.Path
    state: pathlib.Path

    @property
    def logs(self) -> pathlib.Path:
        return self.state / "log"

    @property
    def processes(self) -> pathlib.Path:
        return self.state / "processes"

    @property
    def environment_file(self) -> pathlib.Path:
        return self.state / "env"

    @property
    def password_file(self) -> pathlib.Path:
        return self.state / "password"

    @property
    def report(self) -> pathlib.Path:
        return self.state / "report.html"

    @property
    def collections(self) -> pathlib.Path:
        return self.state / "collections"

    @property
    def scratch(self) -> pathlib.Path:
        """The scratch directory of the running demonstration.

        :raises DemoError: when there is none.
        """
        try:
            return pathlib.Path((self.state / "scratch").read_text(encoding="utf-8").strip())
        except FileNotFoundError:
            raise DemoError(f"no demonstration is set up in {self.state}; bin/demo starts one") from None

    @property
    def records(self) -> pathlib.Path:
        return self.scratch / "records"

    @property
    def backups(self) -> pathlib.Path:
        return self.scratch / "backups"

    def create(self) -> None:
        """Make the directories. The name of scratch is written down first: a kill in between loses nothing."""
        for directory in (self.state, self.logs, self.processes):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = pathlib.Path("/var/tmp") / (PREFIX + secrets.token_hex(4))
        write_private(self.state / "scratch", f"{scratch}\n")
        # root's server runs under another account, which must be able to pass through.
        scratch.mkdir(mode=0o700)
        scratch.chmod(0o755 if os.geteuid() == 0 else 0o700)  # whatever the umask says
        (scratch / MARK).touch()
        for directory in (self.records, self.backups, scratch / "ansible", scratch / "metrics"):
            directory.mkdir(mode=0o700)
        link = self.collections / "ansible_collections" / "steward" / "maintenance"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(self.root, target_is_directory=True)

    def remove(self) -> list[str]:
        """Remove scratch and state; the processes must be stopped. Return what was removed."""
        removed = []
        if (self.state / "scratch").exists() and remove_scratch(self.scratch):
            removed.append(str(self.scratch))
        if self.state.exists():
            shutil.rmtree(self.state)
            removed.append(str(self.state))
        return removed


def remove_scratch(scratch: pathlib.Path) -> bool:
    """Remove a scratch directory, if it is one of ours: the path comes from a file that anybody may have edited."""
    if not scratch.is_dir() or scratch.is_symlink():
        return False
    ours = scratch.name.startswith(PREFIX) and scratch.stat().st_uid == os.geteuid()
    if not ours or not ((scratch / MARK).exists() or not any(scratch.iterdir())):
        raise DemoError(f"{scratch} does not look like a scratch directory of this demonstration; it is left alone")
    shutil.rmtree(scratch)
    return True


def write_private(path: pathlib.Path, text: str) -> None:
    """Write a file that only its owner may read, from its first moment on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
