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

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import backup_sets, durable

from .modules import run_module, start_module
from .postgres import PrivatePostgres

FINAL_NAME = "[0-9]*T[0-9]*Z"
_STATEMENTS = ("manifest.json", "manifest.sig", "verified.json", "refuted.json", "pinned.json")


class Backups:
    """One directory of backups of one server."""

    def __init__(self, server: PrivatePostgres, path: pathlib.Path, scratch: pathlib.Path) -> None:
        self.server = server
        self.path = path
        self.scratch = scratch

    def backup_arguments(self, **more: t.Any) -> dict[str, t.Any]:
        return {**self.server.login_arguments, "path": str(self.path), "bin_dir": self.server.bin_dir, **more}

    def verify_arguments(self, **more: t.Any) -> dict[str, t.Any]:
        # Giving way to the other tests of a busy machine would make these the last of all.
        polite = {"nice": 0, "io_class": "none"}
        place = {"path": str(self.path), "scratch_path": str(self.scratch)}
        return {**place, "bin_dir": self.server.bin_dir, **polite, **more}

    def back_up(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module("postgres_backup", self.backup_arguments(**more), check)

    def verify(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module("postgres_backup_verify", self.verify_arguments(**more), check)

    def pin(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module("postgres_backup_pin", {"path": str(self.path), **more}, check)

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


class AgeKey:
    """A key pair of age: the public key, and the file with the private one."""

    def __init__(self, directory: pathlib.Path, name: str = "identity.txt") -> None:
        self.path = directory / name
        subprocess.run(["age-keygen", "-o", str(self.path)], check=True, stderr=subprocess.DEVNULL)
        told = subprocess.run(["age-keygen", "-y", str(self.path)], check=True, stdout=subprocess.PIPE)
        self.public = told.stdout.decode().strip()

    @property
    def private(self) -> str:
        """The line that must never be seen anywhere."""
        return next(line for line in self.path.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-"))


def signing_key(directory: pathlib.Path, name: str = "signer") -> tuple[str, str]:
    """Files with a private and a public key for signatures."""
    private, public = str(directory / f"{name}.key"), str(directory / f"{name}.pub")
    kind = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "genpkey", *kind, "-out", private], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


def make_old(backups: Backups, at: int, name: str) -> str:
    """Let a backup be of another moment, in all that says so."""
    backup = backup_sets.read_sets(str(backups.path))[at]
    body = {key: value for key, value in backup.manifest.items() if key != "digest"}
    body["started"] = backup_sets.moment_of(name).strftime("%Y-%m-%dT%H:%M:%SZ")
    backup_sets.write_manifest(backup.path, body)
    changed = backup_sets.read_sets(str(backups.path))[at]
    if backup.verified:
        backup_sets.declare(changed, backup_sets.VERIFIED, dict(backup.verified))
    os.rename(backup.path, os.path.join(str(backups.path), name))
    return name


def rewrite(backups: Backups, change: t.Callable[[dict[str, t.Any]], None], at: int = 0) -> None:
    """A manifest that is consistent in itself, but not with what was dumped."""
    backup = backup_sets.read_sets(str(backups.path))[at]
    body = json.loads(json.dumps({name: value for name, value in backup.manifest.items() if name != "digest"}))
    change(body)
    backup_sets.write_manifest(backup.path, body)


def fit_manifest_to_files(backups: Backups, at: int = 0) -> None:
    """Let the manifest say what the files are now, so that only a restore can tell what was done to them."""
    directory = backup_sets.read_sets(str(backups.path))[at].path
    there = [name for name in durable.files_below(directory) if name not in _STATEMENTS]

    def change(body: dict[str, t.Any]) -> None:
        body["files"] = [
            {
                "path": name,
                "bytes": os.stat(os.path.join(directory, name)).st_size,
                "sha256": durable.sha256_of(os.path.join(directory, name)),
            }
            for name in there
        ]

    rewrite(backups, change, at)
