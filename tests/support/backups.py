# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups in tests: a directory of their own, the two modules called on it, and what is to be seen there."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing as t

from .modules import run_module, start_module
from .postgres import PrivatePostgres

FINAL_NAME = "[0-9]*T[0-9]*Z"


class Backups:
    """One directory of backups of one server."""

    def __init__(self, server: PrivatePostgres, path: pathlib.Path, scratch: pathlib.Path) -> None:
        self.server = server
        self.path = path
        self.scratch = scratch

    def backup_arguments(self, **more: t.Any) -> dict[str, t.Any]:
        return {**self.server.login_arguments, "path": str(self.path), "bin_dir": self.server.bin_dir, **more}

    def verify_arguments(self, **more: t.Any) -> dict[str, t.Any]:
        return {"path": str(self.path), "bin_dir": self.server.bin_dir, "scratch_path": str(self.scratch), **more}

    def back_up(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module("postgres_backup", self.backup_arguments(**more), check)

    def verify(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module("postgres_backup_verify", self.verify_arguments(**more), check)

    def start_backup(self, **more: t.Any) -> t.Any:
        return start_module("postgres_backup", self.backup_arguments(**more))

    def start_verify(self, **more: t.Any) -> t.Any:
        return start_module("postgres_backup_verify", self.verify_arguments(**more))

    def sets(self) -> list[pathlib.Path]:
        """What carries a final name."""
        return sorted(self.path.glob(FINAL_NAME))

    def partials(self) -> list[pathlib.Path]:
        return sorted(self.path.glob("*.partial"))

    def manifest(self, at: int = -1) -> dict[str, t.Any]:
        return dict(json.loads((self.sets()[at] / "manifest.json").read_text()))

    def tree(self) -> dict[str, bytes]:
        """Every file and its contents, to see that nothing was touched; the locks name whoever held them last."""
        files = [path for path in sorted(self.path.rglob("*")) if path.is_file() and path.suffix != ".lock"]
        return {str(path): path.read_bytes() for path in files}


@contextlib.contextmanager
def backups_of(server: PrivatePostgres) -> t.Iterator[Backups]:
    """An empty directory for backups, and one for throwaway servers that their account can reach."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="steward-bk-"))
    place.chmod(0o755)
    scratch = place / "scratch"
    scratch.mkdir()
    scratch.chmod(0o1777)
    try:
        yield Backups(server, place / "backups", scratch)
    finally:
        shutil.rmtree(place)


@contextlib.contextmanager
def small_disk(path: pathlib.Path, size: str) -> t.Iterator[None]:
    """A file system of its own at `path`, so that it can be full or read-only."""
    assert os.geteuid() == 0, "this test mounts a small file system: run it as root (or in a container)"
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def remount(path: pathlib.Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)


def processes_naming(text: str) -> list[str]:
    """Command lines of living processes, other than ours, that contain a text or work below it."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if command and (text in command or text in os.readlink(str(entry / "cwd"))):
                found.append(command)
    return found
