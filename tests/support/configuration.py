# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration in tests: a tree like /etc, the two modules, and the repository looked at with git itself."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

from .modules import run_module, start_module

BACKUP = "configuration_backup"
RESTORE = "configuration_restore"


class Configuration:
    """A directory that stands for the configuration of a host, and its branch in a repository."""

    def __init__(self, place: pathlib.Path, branch: str = "web1", repository: str = "") -> None:
        self.root = place / branch / "etc"
        self.root.mkdir(parents=True)
        self.bare = place / "configuration.git"
        self.repository = repository or str(self.bare)
        self.branch = branch
        self.state = place / branch / "state"

    def write(self, name: str, text: str | bytes, mode: int = 0o644) -> pathlib.Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    @property
    def where(self) -> dict[str, t.Any]:
        return {"repository": self.repository, "branch": self.branch, "state_dir": str(self.state)}

    def keep(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module(BACKUP, {**self.where, "paths": [str(self.root)], **more}, check)

    def start(self, env: t.Mapping[str, str] | None = None, **more: t.Any) -> subprocess.Popen[bytes]:
        return start_module(BACKUP, {**self.where, "paths": [str(self.root)], **more}, env=env)

    def bring(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module(RESTORE, {**self.where, **more}, check)

    def git(self, *arguments: str, env: t.Mapping[str, str] | None = None) -> str:
        """What git itself says of the repository."""
        done = subprocess.run(
            ["git", f"--git-dir={self.bare}", *arguments],
            stdout=subprocess.PIPE,
            check=True,
            env={**os.environ, "HOME": "/nonexistent", **(env or {})},
        )
        return done.stdout.decode(errors="surrogateescape")

    def commits(self) -> int:
        return int(self.git("rev-list", "--count", self.branch))

    def show(self, name: str, commit: str = "") -> str:
        return self.git("show", f"{commit or self.branch}:{str(self.root).lstrip('/')}/{name}")

    def everything(self) -> str:
        """All contents of all commits and all objects, to look for what must not be there."""
        names = self.git("rev-list", "--all", "--objects").split("\n")
        objects = [name.split()[0] for name in names if name]
        return "".join(self.git("cat-file", "-p", name) for name in objects)
