# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects in Git that depend on packages of support.registries, and the module that updates them."""

from __future__ import annotations

import datetime
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._packages.renewing import Outcome, update
from ansible_collections.steward.maintenance.plugins.module_utils._packages.update_arguments import (
    UPDATE_ARGUMENTS,
    update_settings_from,
)

from .dependencies import PIP_AUDIT, clean_environment, clean_environment_of, sound, write_lock, write_requirements
from .modules import run_module
from .registries import Registries, Table, advisory, python_package
from .tarballs import npm_dist

YOUNG = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
SECRET = "kanarienvogel-3f9a1c7e"  # the canary: see support.canary
_OWN = ("test", "policy", "approved", "base", "remote", "merge_request")
#: Tests of a project that look at what is really installed.
TESTS = """#!/bin/sh
set -e
python -c 'import importlib.metadata as m; print("jinja2", m.version("jinja2"))'
node -e 'console.log("qs", require("qs"))'
"""


def catalogue() -> Table:
    """Fixes and newer versions of both ecosystems; the fix of jinja2 is young, and needs a newer markupsafe."""
    found = sound()
    found["python"]["flask"] = {
        **python_package("3.0.0", needs=["jinja2>=3"], python=">=3.7"),
        **python_package("3.0.1", needs=["jinja2>=3", "itsdangerous>=2"], python=">=3.8"),
        **python_package("3.1.0", needs=["jinja2>=3"], uploaded=YOUNG),
        **python_package("4.0.0", needs=["jinja2>=3"]),
    }
    found["python"]["jinja2"] = {
        **python_package("3.1.0", needs=["markupsafe>=2.0"]),
        **python_package("3.1.1", needs=["markupsafe>=2.1"], uploaded=YOUNG),
        **python_package("3.2.0", needs=["markupsafe>=2.1"]),
    }
    found["python"]["itsdangerous"] = {"2.0": {}, "2.1": {"uploaded": YOUNG}}
    found["python"]["markupsafe"] = python_package("2.0", "2.1", "2.2", "3.0")
    found["node"]["express"] = {
        "4.0.0": {"dependencies": {"qs": "^6.0.0"}},
        "4.1.0": {"dependencies": {"qs": "^6.0.0", "ms": "^1.0.0"}, "changelog": "# 4.1.0\n\n- BREAKING: no more X\n"},
        "5.0.0": {"dependencies": {"qs": "^6.0.0"}},
    }
    found["node"]["qs"] = {"6.0.0": {}, "6.0.5": {}, "6.1.0": {}}
    found["node"]["ms"] = {"1.0.0": {}}
    found["advisories"] += [
        advisory("PYSEC-2026-1", "jinja2", ["3.1.0"], aliases=["CVE-2026-1"], fixed=["3.1.1"], severity="HIGH"),
        advisory("GHSA-aaaa-bbbb-cccc", "qs", ["6.0.0"], ecosystem="npm", aliases=["CVE-2026-3"], range="<6.0.4",
                 severity="moderate"),
    ]  # fmt: skip
    return found


def locked(registries: Registries, name: str, version: str) -> Table:
    """The entry of a version in a package-lock.json, as npm writes it."""
    more = registries.catalogue["node"][name][version]
    dist = npm_dist(registries.npm_url, name, version, more)
    kept = {key: more[key] for key in ("dependencies", "engines") if key in more}
    return {"version": version, "resolved": dist["tarball"], "integrity": dist["integrity"], **kept}


class Shop:
    """A project with parts of pip and npm in a repository. Its `.npmrc` holds a token and is not in Git."""

    def __init__(
        self, directory: pathlib.Path, registries: Registries, ecosystems: t.Sequence[str] = ("pypi", "npm")
    ) -> None:
        self.directory = directory
        self.path = directory / "shop"
        self.registries = registries
        self.ecosystems = list(ecosystems)
        self.path.mkdir(parents=True)
        tests = TESTS.splitlines(keepends=True)
        if "pypi" in ecosystems:
            versions = {"flask": "3.0.0", "jinja2": "3.1.0", "markupsafe": "2.0"}
            write_requirements(self.path, registries.catalogue, versions, registries)
        if "npm" in ecosystems:
            packages = {f"node_modules/{name}": locked(registries, name, version)
                        for name, version in {"express": "4.0.0", "qs": "6.0.0"}.items()}  # fmt: skip
            write_lock(self.path, {"express": "^4.0.0"}, packages, registries, f"//127.0.0.1/:_authToken={SECRET}")
        kept = [line for line in tests if not (line.startswith("python") and "pypi" not in ecosystems)]
        kept = [line for line in kept if not (line.startswith("node") and "npm" not in ecosystems)]
        (self.path / "run-tests").write_text("".join(kept), encoding="utf-8")
        (self.path / ".gitignore").write_text("node_modules\n.venv\n.npmrc\n", encoding="utf-8")
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("config", "user.name", "Jane Doe")
        self.git("config", "user.email", "jane@example.org")
        self.commit("begin")
        # What the user has not committed stays his.
        (self.path / "notes.txt").write_text("not committed\n", encoding="utf-8")

    def git(self, *arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def arguments(self, **more: t.Any) -> dict[str, t.Any]:
        """All arguments of the module, with its defaults; what belongs to a project goes to it."""
        own = {key: more.pop(key) for key in _OWN if key in more}
        defaults = {name: option.get("default") for name, option in UPDATE_ARGUMENTS.items()}
        project = {"path": str(self.path), "test": "sh ./run-tests", **own}
        given = {
            "projects": [project],
            "ecosystems": self.ecosystems,
            "pip_audit": PIP_AUDIT,
            "python": sys.executable,
            "osv_url": self.registries.osv_url,
            "state_file": str(self.directory / "state" / "dependencies.json"),
        }
        return {**defaults, **given, **more}

    def update(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        """What the module would answer, without the second that Ansible takes to start it."""
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(clean_environment_of(before))
        try:
            outcome = Outcome()
            settings = update_settings_from(self.arguments(**more))
            result = update(settings, check, utc_now(), outcome)
        finally:
            os.environ.clear()
            os.environ.update(before)
        project = outcome.projects[0] if outcome.projects else {}
        return {**result.to_dict(), "changed": outcome.changed, "diff": outcome.diff, "project": project}

    def run(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        """The answer of the module, in a process of its own."""
        return run_module(
            "dependency_update", self.arguments(**more), check=check, env=clean_environment(), timeout=180
        )

    def fingerprint(self) -> str:
        """Of every byte below the project, what Git keeps of its branches and its index among it; not its objects."""
        total = hashlib.sha256()
        for path in sorted(self.path.rglob("*")):
            inside = path.relative_to(self.path)
            if inside.parts[:2] == (".git", "objects"):
                continue
            told = path.lstat()
            total.update(f"{inside} {told.st_mode}".encode())
            if path.is_symlink():
                total.update(os.readlink(path).encode())
            elif path.is_file():
                total.update(path.read_bytes())
        return total.hexdigest()

    def file_of(self, commit: str, name: str) -> str:
        return self.git("show", f"{commit}:{name}")

    def check_out(self, commit: str, place: pathlib.Path) -> pathlib.Path:
        """The commit, somewhere else."""
        shutil.copytree(self.path / ".git", place / ".git")
        subprocess.run(["git", "checkout", "--quiet", "--force", commit], cwd=place, check=True)
        return place
