# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a release that have dependencies: each installed from its lock, and from nothing else.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

An environment of Python is made where the release is made, and the release is moved to its name afterwards. Programs in
its `bin` name their Python by its path, so that path is put right before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import typing as t

from . import locks
from .inventory import Package, read_environment, read_modules
from .place import ReleaseError
from .programs import must, version_of
from .sources import file_sha256

PIP, NPM_CI, COMMAND = "pip", "npm", "command"
KINDS = (PIP, NPM_CI, COMMAND)
PACKAGE_LOCK = "package-lock.json"
_LARGEST_SCRIPT = 1 << 20

Argv = t.Tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Tools:
    """With what parts are installed."""

    python: str
    npm: str
    timeout: float
    #: Let packages run code when they are installed.
    run_scripts: bool


@dataclasses.dataclass(frozen=True)
class Part:
    """One of them. Paths are those in the release."""

    kind: str
    path: str
    lock: str
    environment: str
    modules: bool
    development: bool
    command: Argv

    @property
    def told(self) -> str:
        return self.lock or self.path

    def to_dict(self) -> dict[str, t.Any]:
        return {**dataclasses.asdict(self), "command": list(self.command)}

    @classmethod
    def from_dict(cls, told: t.Mapping[str, t.Any]) -> Part:
        """:raises TypeError: when it is none."""
        return cls(**{**told, "command": tuple(told["command"])})

    def install(self, root: str, tools: Tools, scratch: str) -> None:
        """:raises ReleaseError: when it cannot be installed."""
        if self.kind == PIP:
            self._install_pip(root, tools, scratch)
        elif self.kind == NPM_CI:
            self._install_npm(root, tools, scratch)
        else:
            where = os.path.join(root, self.path)
            must(self.command, where, tools.timeout, f"the part {self.told} cannot be installed", {"TMPDIR": scratch})

    def _install_pip(self, root: str, tools: Tools, scratch: str) -> None:
        environment, lock = os.path.join(root, self.environment), os.path.join(root, self.lock)
        hashed = locks.read_requirements(lock, self.lock, self.environment).hashed
        what = f"{self.lock} cannot be installed"
        # Without pip: that of the Python outside installs into it, so that nothing is in it but what is locked.
        must([tools.python, "-m", "venv", "--without-pip", environment], root, tools.timeout, what, {"TMPDIR": scratch})
        inner = os.path.join(environment, "bin", "python")
        pip = [tools.python, "-m", "pip", "--disable-pip-version-check", "--no-input", "--python", inner]
        words = [*pip, "install", "--quiet", "--cache-dir", os.path.join(scratch, "pip-cache"), "--requirement", lock]
        words += ["--require-hashes"] if hashed else ["--no-deps"]
        words += [] if tools.run_scripts else ["--only-binary", ":all:"]
        more = {"TMPDIR": scratch, "PIP_REQUIRE_VIRTUALENV": "0"}
        must(words, os.path.dirname(lock), tools.timeout, what, more)
        must([*pip, "check"], root, tools.timeout, f"{self.lock} does not name all that is needed", more)

    def _install_npm(self, root: str, tools: Tools, scratch: str) -> None:
        words = [tools.npm, "ci", "--no-audit", "--no-fund", "--global=false", "--loglevel=error"]
        words += ["--no-update-notifier", "--cache", os.path.join(scratch, "npm-cache")]
        words += [f"--ignore-scripts={'false' if tools.run_scripts else 'true'}"]
        words += ["--include=dev"] if self.development else ["--omit=dev"]
        must(
            words, os.path.join(root, self.path), tools.timeout, f"{self.lock} cannot be installed", {"TMPDIR": scratch}
        )

    def relocate(self, root: str, final: str) -> None:
        """Have its programs name the Python that will be theirs."""
        if self.environment:
            old, new = (os.path.join(base, self.environment) for base in (root, final))
            _replace_in_programs(os.path.join(old, "bin"), old.encode(), new.encode())

    def locked(self, root: str) -> list[locks.Locked]:
        """:raises ReleaseError: when its lock cannot be read."""
        path = os.path.join(root, self.lock)
        if self.kind == PIP:
            return list(locks.read_requirements(path, self.lock, self.environment).packages)
        if self.kind == NPM_CI:
            return locks.read_package_lock(path, self.lock, self.path)
        return []

    def lock_digest(self, root: str) -> dict[str, str]:
        """The SHA-256 of its lock, by the path of that.

        :raises ReleaseError: when it is not there.
        """
        if not self.lock:
            return {}
        path = os.path.join(root, self.lock)
        if os.path.islink(path) or not os.path.isfile(path):
            raise ReleaseError(f"the release has no file {self.lock}")
        return {self.lock: file_sha256(path)}

    def read(self, root: str) -> list[Package]:
        """What is installed; :raises ReleaseError: when it cannot be read or is not what the lock says."""
        found = read_environment(root, self.environment) if self.environment else []
        found += read_modules(root, self.path) if self.modules else []
        if self.kind != COMMAND:
            other = locks.drift(self.locked(root), found)
            if other:
                raise ReleaseError(f"what is installed is not what {self.lock} says: {other}")
        return found


def _replace_in_programs(directory: str, old: bytes, new: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(directory)):
            path = os.path.join(directory, name)
            about = os.lstat(path)
            if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST_SCRIPT:
                continue
            with open(path, "rb") as file:
                content = file.read()
            if old in content:
                with open(path, "wb") as file:
                    file.write(content.replace(old, new))


def locked_in(parts: t.Iterable[Part], root: str) -> list[Package]:
    """The packages that the locks of a release name."""
    return [one.as_package() for part in parts for one in part.locked(root)]


def installed_in(parts: t.Iterable[Part], root: str) -> list[Package]:
    return [package for part in parts for package in part.read(root)]


def lock_digests(parts: t.Iterable[Part], root: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in parts:
        found.update(part.lock_digest(root))
    return found


def programs_of(parts: t.Iterable[Part], tools: Tools) -> dict[str, str]:
    """The versions of what installed them; a command of somebody's own is asked nothing."""
    asked: dict[str, dict[str, tuple[str, ...]]] = {
        PIP: {"python": (tools.python, "--version"), "pip": (tools.python, "-m", "pip", "--version")},
        NPM_CI: {"npm": (tools.npm, "--version"), "node": ("node", "--version")},
    }
    kinds = sorted({part.kind for part in parts})
    return {name: version_of(*argv) for kind in kinds for name, argv in asked.get(kind, {}).items()}
