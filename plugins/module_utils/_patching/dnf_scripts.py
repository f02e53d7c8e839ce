# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts of packages that failed: rpm goes on, dnf ends with status 0, and nobody hears of it again. Here it is kept.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Of a script for a shell rpm warns with the whole name of the package; of one in Lua, which rpm runs itself, only dnf
says whose it was, by the name alone. Both are in our log. How much of that was read is noted, so that nothing is lost
when this process is killed and dnf, in a session of its own, goes on.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from .._core.files import sync_directory, write_all

_FILE = "scripts.json"
#: "warning: %post(alpha-1.1-1.x86_64) scriptlet failed, exit status 3", or "signal 9".
_FAILED = re.compile(r"(?P<script>%\w+)\((?P<package>\S+)\) scriptlet failed, (?P<how>exit status \d+|signal \d+)")
#: "Error in POSTIN scriptlet in rpm package alpha". The scripts of what is removed have other names.
_LUA = re.compile(
    r"Error in (?P<script>PREIN|POSTIN|POSTTRANS|PRETRANS|TRIGGERIN) scriptlet in rpm package (?P<name>\S+)"
)
_EPOCH = re.compile(r"-\d+:(?=[^-]+-[^-]+$)")


class Scripts:
    """What failed, by name-version-release.architecture: how each script ended.

    `there`, everywhere: the name of each installed package -> what it is called in that way.
    """

    def __init__(self, state_dir: str, log: str) -> None:
        self._path = os.path.join(state_dir, _FILE) if state_dir else ""
        self._log = log

    def failed(self, there: t.Mapping[str, str]) -> dict[str, list[str]]:
        """Of what is installed now, also what no run of ours has read yet."""
        known = self._known(there)["failed"]
        return {package: how for package, how in known.items() if package in there.values()}

    def settle(self, there: t.Mapping[str, str], without: t.Collection[str] = ()) -> None:
        """Write down what is known. `without`: what is about to be installed anew."""
        if not self._path:
            return
        known = self._known(there)
        kept = {one: how for one, how in known["failed"].items() if one not in without and one in there.values()}
        known["failed"] = kept
        if known == self._written():
            return
        half = f"{self._path}.part"
        file = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, json.dumps(known, sort_keys=True).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(half, self._path)
        sync_directory(os.path.dirname(self._path))

    def _known(self, there: t.Mapping[str, str]) -> dict[str, t.Any]:
        """What is written down, and what the log has beyond that."""
        known = self._written()
        try:
            with open(self._log, "rb") as file:
                end = file.seek(0, os.SEEK_END)
                # A log that was begun anew is shorter than what was read of the old one.
                file.seek(known["read"] if known["read"] <= end else 0)
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return known
        failed = {one: list(how) for one, how in known["failed"].items()}
        for package, told in read(text, there).items():
            failed[package] = list(dict.fromkeys([*failed.get(package, []), *told]))
        return {"read": end, "failed": failed}

    def _written(self) -> dict[str, t.Any]:
        try:
            with open(self._path, encoding="utf-8") as file:
                written = json.load(file)
            return {"read": int(written["read"]), "failed": dict(written["failed"])}
        except (OSError, ValueError, KeyError, TypeError):
            return {"read": 0, "failed": {}}


def read(text: str, there: t.Mapping[str, str]) -> dict[str, list[str]]:
    """What failed by what dnf and rpm said."""
    found: dict[str, list[str]] = {}
    for match in _FAILED.finditer(text):
        package = without_epoch(match.group("package"))
        found.setdefault(package, []).append(f"{match.group('script')}, {match.group('how')}")
    for match in _LUA.finditer(text):
        package = there.get(match.group("name"), "")
        if package and package not in found:
            found.setdefault(package, []).append(f"{match.group('script').lower()}, which is part of the package")
    return {package: list(dict.fromkeys(told)) for package, told in found.items()}


def without_epoch(word: str) -> str:
    """A whole name of a package as rpm writes it in its warnings."""
    return _EPOCH.sub("-", word)
