# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files that somebody changed, and what became of them in an upgrade.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A file that not everybody may read is never shown, and what looks like a secret is masked in those that are.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
import re
import stat
import typing as t

from .._core.masking import MASK, mask_secrets
from .manager import KEEP, NEW, Manager

__all__ = ["KEEP", "NEW", "OPTIONS", "Changed", "changed", "options", "outcome", "stamps", "variables"]

_MOST_BYTES = 256 * 1024
_MOST_LINES = 200
_SECRET_WORD = re.compile(
    r"(?i)^(.*?(?:passw(?:or)?d|secret|token|api[-_ ]?key|credential|private)\w*[\"']?[\s:=]+)\S.*$"
)
OPTIONS = {
    # A file that nobody changed is replaced in both cases: dpkg asks of changed ones alone.
    KEEP: ("--force-confdef", "--force-confold"),
    NEW: ("--force-confnew",),
}
_UCF = {KEEP: {"UCF_FORCE_CONFFOLD": "1"}, NEW: {"UCF_FORCE_CONFFNEW": "1"}}


@dataclasses.dataclass(frozen=True)
class Changed:
    """A configuration file of a package that differs from what the package brought."""

    package: str
    path: str

    def told(self) -> str:
        return f"{self.path} ({self.package})"


def options(policy: str) -> list[str]:
    """What apt has to tell dpkg."""
    return [word for option in OPTIONS[policy] for word in ("-o", f"DPkg::Options::={option}")]


def variables(policy: str) -> dict[str, str]:
    return dict(_UCF[policy])


def changed(manager: Manager, names: t.Iterable[str]) -> list[Changed]:
    """The files that somebody changed, of these packages."""
    found = []
    for package, files in manager.conffiles(names).items():
        for path, (algorithm, digest) in files.items():
            content = _read(manager.in_root(path))
            if content is not None and hashlib.new(algorithm, content).hexdigest() != digest:
                found.append(Changed(package, path))
    return sorted(found, key=lambda one: (one.package, one.path))


def stamps(manager: Manager, files: t.Iterable[Changed], policy: str) -> dict[str, tuple[int, int]]:
    """What lies beside them now, so that what an upgrade puts there can be told from it."""
    found = {}
    for one in files:
        for ending in manager.beside(policy):
            path = manager.in_root(one.path) + ending
            try:
                seen = os.stat(path)
                found[path] = (seen.st_mtime_ns, seen.st_ino)
            except OSError:
                continue
    return found


def outcome(
    manager: Manager, files: t.Iterable[Changed], before: t.Mapping[str, tuple[int, int]], policy: str
) -> list[dict[str, t.Any]]:
    """Each file for which a choice was made: which one is used, where the other one is, and how they differ."""
    found = []
    for one in files:
        for ending, whose in manager.beside(policy).items():
            used = manager.in_root(one.path)
            other = used + ending
            try:
                seen = os.stat(other)
            except OSError:
                continue
            if before.get(other) == (seen.st_mtime_ns, seen.st_ino):
                continue
            old, new = (used, other) if whose == "own" else (other, used)
            entry = {"package": one.package, "path": one.path, "used": whose, "other": one.path + ending}
            found.append({**entry, "diff": _diff(old, new, one.path)})
    return found


def _diff(old: str, new: str, name: str) -> str:
    """From the administrator's file to the package's."""
    texts = []
    for path in (old, new):
        try:
            is_open = bool(os.stat(path).st_mode & stat.S_IROTH)
        except OSError:
            is_open = False
        content = _read(path)
        if not is_open or content is None or len(content) > _MOST_BYTES:
            return f"{name} is not shown: not everybody may read it, or it is too large"
        texts.append(content.decode("utf-8", "replace").splitlines())
    lines = list(difflib.unified_diff(texts[0], texts[1], f"{name} (own)", f"{name} (package)", lineterm=""))
    return "\n".join(_masked(line) for line in lines[:_MOST_LINES])


def _masked(line: str) -> str:
    return _SECRET_WORD.sub(rf"\g<1>{MASK}", str(mask_secrets(line)))


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
