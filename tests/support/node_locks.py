# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects whose locks the real pnpm or Yarn 1 wrote, before there was anything newer in the registry."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import typing as t

from .dependencies import clean_environment
from .registries import Registries, Table
from .updates import Shop, catalogue

LOCKS = {"pnpm": "pnpm-lock.yaml", "yarn": "yarn.lock"}
ASKED = {"express": "^4.0.0", "depd": "^1.0.0"}
#: What is really installed, found as the packages find each other.
TEST = """node -e '
const { createRequire } = require("module");
const express = createRequire(require("fs").realpathSync(require.resolve("express")));
console.log(require("express"), express("qs"), require("depd"));
'"""


def old() -> Table:
    """What there is when the lock is written."""
    found = catalogue()
    found["node"]["express"] = {"4.0.0": {"dependencies": {"qs": "^6.0.0"}}}
    found["node"]["qs"] = {"6.0.0": {}}
    found["node"]["depd"] = {"1.0.0": {}}
    return found


def newer() -> Table:
    """What there is when it is updated: the nearest fix of qs is not the newest, and nothing is wrong with depd."""
    found = dict(catalogue()["node"])
    found["depd"] = {"1.0.0": {}, "1.1.0": {}}
    return found


class Node(Shop):
    """A project with a lock of the tool alone."""

    def __init__(self, directory: pathlib.Path, registries: Registries, tool: str, **manifest: t.Any) -> None:
        super().__init__(directory, registries, ["npm"])
        self.tool = tool
        self.lock = LOCKS[tool]
        (self.path / "package-lock.json").unlink()
        content = {"name": "shop", "version": "1.0.0", "private": True, "dependencies": ASKED, **manifest}
        (self.path / "package.json").write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
        self.write_lock()
        self.commit(f"lock by {tool}")

    def write_lock(self) -> None:
        command = {
            "pnpm": ["pnpm", "install", "--lockfile-only"],
            "yarn": ["yarn", "install", "--non-interactive", "--modules-folder", str(self.directory / "modules")],
        }[self.tool]
        self.run_tool(*command, place=self.path)

    def run_tool(self, *command: str, place: pathlib.Path) -> None:
        caches = self.directory / "caches"
        where = {"pnpm": [f"--config.{name}-dir={caches / name}" for name in ("store", "cache", "state")],
                 "yarn": ["--cache-folder", str(caches / "yarn")]}[self.tool]  # fmt: skip
        assert shutil.which(command[0]), f"bin/test brings {command[0]}"
        done = subprocess.run(
            [*command, *where],
            cwd=place,
            env={**clean_environment(), "CI": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def install_frozen(self, commit: str, place: pathlib.Path) -> pathlib.Path:
        """The commit, installed somewhere else by its lock alone."""
        self.check_out(commit, place)
        os.symlink(self.path / ".npmrc", place / ".npmrc")
        self.run_tool(self.tool, "install", "--frozen-lockfile", place=place)
        return place

    def differing(self, commit: str, file: str = "") -> list[str]:
        """The lines that a commit takes out of a file and puts into it."""
        told = self.git("diff", "--unified=0", "main", commit, "--", file or self.lock).splitlines()
        return [line for line in told if line[:1] in "+-" and not line.startswith(("+++", "---"))]
