# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guards of the house know about the tree they guard."""

from __future__ import annotations

import functools
import os
import pathlib
import subprocess
import sys
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("[!_]*.py"))
#: The programs of the environment that pytest itself runs in, found even when nobody activated it.
PATH = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))


def load(*parts: str) -> t.Any:
    """A YAML file of the collection; nothing when it does not exist."""
    path = ROOT.joinpath(*parts)
    return yaml.safe_load(path.read_text()) if path.exists() else None


@functools.lru_cache(maxsize=1)
def tracked_files() -> tuple[str, ...]:
    """The files that git holds or would take in now."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file()))


def run(*command: str, cwd: pathlib.Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd or ROOT,
        env={**os.environ, "PATH": PATH, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
