# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directory trees and the places where they are kept, in tests: the modules on them, and what is seen from outside."""

from __future__ import annotations

import hashlib
import os
import pathlib
import stat
import subprocess
import time
import typing as t

from .modules import start_module
from .offsite import run_module_here
from .s3_server import Bucket, without_credentials

BACKUP, RESTORE, VERIFY = "files_backup", "files_restore", "files_verify"
NAME = "web1/uploads"
BASE = f"steward/{NAME}"

Seen = dict[bytes, tuple[t.Any, ...]]


def see(root: str | pathlib.Path, times: bool = True) -> Seen:
    """Everything in a tree: kind, mode, owner, time, and the bytes or the target. Directories' times are left out."""
    found: Seen = {}
    top = os.fsencode(str(root))
    for place, directories, names in os.walk(top):
        for name in directories + names:
            path = os.path.join(place, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                what: tuple[t.Any, ...] = ("link", os.readlink(path), status.st_mtime_ns if times else 0)
            elif stat.S_ISDIR(status.st_mode):
                what = ("directory", status.st_mode)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as handle:
                    digest = hashlib.sha256(handle.read()).hexdigest()
                what = ("file", status.st_mode, status.st_size, status.st_mtime_ns if times else 0, digest)
            else:
                continue  # sockets, pipes and devices are not kept
            found[os.path.relpath(path, top)] = (*what, status.st_uid, status.st_gid)
    return found


class Kept:
    """A tree and the place where it is kept, a bucket (perhaps behind a proxy that breaks things) or a directory."""

    def __init__(self, place: pathlib.Path, bucket: Bucket | None = None, url: str = "") -> None:
        self.tree = place / "tree"
        self.tree.mkdir()
        self.state = place / "state"
        self.directory = place / "kept"
        self.directory.mkdir()
        self.bucket = bucket
        self.url = url or (bucket.server.url if bucket else "")
        self._place = place

    def where(self, **more: t.Any) -> dict[str, t.Any]:
        state = {"state_dir": str(self.state)}
        if self.bucket:
            return {**self.bucket.arguments(endpoint_url=self.url), **state, **more}
        return {"directory": str(self.directory), **state, **more}

    def arguments(self, **more: t.Any) -> dict[str, t.Any]:
        tree = {"name": NAME, "path": str(self.tree)}
        tree.update({name: more.pop(name) for name in ("exclude", "cross_filesystems") if name in more})
        return {**self.where(), "trees": [tree], **more}

    def back_up(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        time.sleep(0.03)  # what was altered less than 20 ms ago is read again by the next run
        return run_module_here(BACKUP, self.arguments(**more), check)

    def backed_up(self, **more: t.Any) -> str:
        """Back up, which has to succeed, and return the stamp of the run."""
        answer = self.back_up(**more)
        assert not answer["failed"], answer
        return str(answer["runs"][NAME])

    def start(self, **more: t.Any) -> subprocess.Popen[bytes]:
        return start_module(BACKUP, self.arguments(**more), env=without_credentials())

    def restore(self, into: str | pathlib.Path, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        given = {"tree": NAME, "destination": str(into), **more}
        if "run" in given:
            given["at"] = readable(given.pop("run"))
        return run_module_here(RESTORE, {**self.where(), **given}, check)

    def restored(self, name: str, **more: t.Any) -> pathlib.Path:
        """Restore into a new directory, which has to succeed."""
        into = self._place / name
        answer = self.restore(into, **more)
        assert not answer["failed"], answer
        return into

    def verify(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module_here(VERIFY, {**self.where(), "trees": [NAME], **more}, check)

    def listing(self, below: str = "") -> list[str]:
        """The keys below the place of the tree."""
        if self.bucket:
            return [key[len(BASE) + 1 :] for key in self.bucket.listing(f"{BASE}/{below}")]
        top = self.directory / BASE
        found = [str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()]
        return sorted(key for key in found if key.startswith(below))

    def read(self, key: str) -> bytes:
        return self.bucket.read(f"{BASE}/{key}") if self.bucket else (self.directory / BASE / key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        if self.bucket:
            self.bucket.write(f"{BASE}/{key}", content)
        else:
            (self.directory / BASE / key).write_bytes(content)

    def delete(self, key: str) -> None:
        if self.bucket:
            self.bucket.delete(f"{BASE}/{key}")
        else:
            (self.directory / BASE / key).unlink()

    def file(self, name: str, content: bytes | str = b"", age: float = 100) -> pathlib.Path:
        """A file of the tree, last altered some time ago."""
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        moment = int(path.stat().st_mtime_ns - age * 1e9)
        os.utime(path, ns=(moment, moment))
        return path

    def assert_sound(self) -> None:
        """What a restore of the newest run gives is the tree, and the verification of all bytes is content."""
        answer = self.verify(whole=True)
        assert answer["verdict"] == "ok", answer
        number = len(list(self._place.iterdir()))
        assert see(self.restored(f"sound-{number}")) == see(self.tree)


def readable(run: str) -> str:
    return f"{run[:4]}-{run[4:6]}-{run[6:8]}T{run[9:11]}:{run[11:13]}:{run[13:15]}Z"
