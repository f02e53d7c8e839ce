# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the test run keeps its things, and the environment that every layer starts in."""

from __future__ import annotations

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOGS = ROOT / ".cache" / "logs"
COLLECTIONS = ROOT / ".cache" / "collections"


def cache() -> pathlib.Path:
    """What outlives the checkout: environments and tools, named by the hash of what they are made of."""
    chosen = os.environ.get("STEWARD_CACHE_DIR")
    if chosen:
        return pathlib.Path(chosen).absolute()
    if os.geteuid() == 0:
        # Servers that root starts run as another account, which could not look into root's home.
        return pathlib.Path("/var/cache/steward-maintenance")
    home_cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    try:
        home_cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return ROOT / ".cache"
    return home_cache / "steward-maintenance" if os.access(home_cache, os.W_OK) else ROOT / ".cache"


def unpacked() -> pathlib.Path:
    """Where servers lie that are not installed, each with all its files (L{system})."""
    return cache() / "tools" / "unpacked"


def link_collection() -> None:
    """Give the checkout the path under which Ansible and Python look for steward.maintenance."""
    link = COLLECTIONS / "ansible_collections" / "steward" / "maintenance"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT, target_is_directory=True)


def tracked_files() -> list[str]:
    """The files of the collection as git would commit them now, new ones included."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def environment(venv: pathlib.Path | None) -> dict[str, str]:
    """The caller's environment without what would steer Ansible or PostgreSQL, and with the chosen Python first."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "PG", "MOLECULE_")) and name not in ("PYTHONPATH", "PYTHONHOME")
    }
    path = [str(cache() / "tools" / "bin"), env.get("PATH", "/usr/bin:/bin"), "/usr/sbin", "/sbin"]
    if venv:
        path.insert(0, str(venv / "bin"))
        env["VIRTUAL_ENV"] = env["STEWARD_VENV"] = str(venv)
    env.update(
        PATH=os.pathsep.join(path),
        ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
        ANSIBLE_HOME=str(ROOT / ".cache" / "ansible"),
        ANSIBLE_NOCOLOR="1",
        NO_COLOR="1",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PYTHONUNBUFFERED="1",
        STEWARD_UNPACKED=str(unpacked()),
    )
    # ansible-core refuses to start under a locale that is not UTF-8, which a bare container has.
    if "utf" not in (env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or "").lower():
        env["LC_ALL"] = "C.UTF-8"
    return env
