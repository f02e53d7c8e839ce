# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs in tests: a directory like /var/log, rotation as logrotate does it, and the archive looked at from outside."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pathlib
import subprocess
import time
import typing as t

from .modules import run_module, start_module

MODULE = "logs_archive"


class Logs:
    """The logs of one host and a directory for their archive."""

    def __init__(self, place: pathlib.Path) -> None:
        self.log = place / "log"
        self.root = place / "archive"
        self.state = place / "state"
        self.log.mkdir()
        self.root.mkdir()
        self.arguments: dict[str, t.Any] = {
            "paths": [f"{self.log}/*"], "directory": str(self.root), "host": "web1", "state_dir": str(self.state),
        }  # fmt: skip

    def write(self, name: str, text: str, age: float = 3600) -> pathlib.Path:
        path = self.log / name
        path.write_text(text)
        moment = time.time() - age
        os.utime(path, (moment, moment))
        return path

    def rotate(self, name: str, text: str) -> None:
        """As logrotate with delaycompress: x.1 becomes x.2.gz, x becomes x.1, and a new x is begun."""
        old = sorted(self.log.glob(f"{name}.*.gz"), key=lambda path: -int(path.name.split(".")[-2]))
        for path in old:
            number = int(path.name.split(".")[-2])
            path.rename(self.log / f"{name}.{number + 1}.gz")
        first = self.log / f"{name}.1"
        if first.exists():
            packed = self.log / f"{name}.2.gz"
            packed.write_bytes(gzip.compress(first.read_bytes()))
            os.utime(packed, ns=(first.stat().st_atime_ns, first.stat().st_mtime_ns))
            first.unlink()
        (self.log / name).rename(first)
        self.write(name, text)

    def archive(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module(MODULE, {**self.arguments, **more}, check)

    def start(self, **more: t.Any) -> subprocess.Popen[bytes]:
        return start_module(MODULE, {**self.arguments, **more})

    def entries(self) -> list[dict[str, t.Any]]:
        paths = sorted(self.root.glob("web1/*/manifest.json"))
        return [
            {**entry, "file": path.parent / entry["name"]}
            for path in paths
            for entry in json.loads(path.read_text())["entries"]
        ]

    def contents(self) -> list[str]:
        """What is in the archive by its manifests, unpacked by other programs; each file is as its manifest says."""
        found = []
        for entry in self.entries():
            data = entry["file"].read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
            found.append(unpacked(entry["file"]).decode())
        return found


def write_journal(directory: pathlib.Path, name: str, first: int, count: int) -> None:
    """A file of a journal with so many entries, a second apart, made by the program that takes over journals."""
    directory.mkdir(exist_ok=True)
    text = "".join(
        f"__REALTIME_TIMESTAMP={1_790_000_000_000_000 + number * 1_000_000}\n"
        f"__MONOTONIC_TIMESTAMP={1_000_000 + number * 1_000_000}\n_BOOT_ID={'01' * 16}\nMESSAGE=line {number}\n\n"
        for number in range(first, first + count)
    )
    command = ["/lib/systemd/systemd-journal-remote", "-o", str(directory / f"{name}.journal"), "-"]
    subprocess.run(command, input=text.encode(), check=True, capture_output=True)


def unpacked(path: pathlib.Path) -> bytes:
    program = {".gz": ["gzip", "-dc"], ".zst": ["zstd", "-q", "-dc"]}.get(path.suffix)
    if not program:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return subprocess.run([*program, str(path)], check=True, stdout=subprocess.PIPE).stdout
