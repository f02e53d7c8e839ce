# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of version means to those who use the package.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core import accepted
from . import pep440, semver

PYPI, NPM = accepted.PYPI, accepted.NPM

ECOSYSTEMS = (PYPI, NPM)

#: From least to most demanding. Below 1.0 a minor release may break what a major one may above.
CLASSES = ("none", "patch", "minor", "minor-0x", "major", "downgrade", "unknown")


def sort_key(ecosystem: str, version: str) -> t.Any:
    """What versions of an ecosystem are sorted by; None for a text that is no version."""
    return pep440.parse(version) if ecosystem == PYPI else semver.parse(version)


def same_version(ecosystem: str, one: str, other: str) -> bool:
    return pep440.same(one, other) if ecosystem == PYPI else one == other


def update_class(ecosystem: str, installed: str, target: str) -> str:
    """The class of going from one version to the other, one of L{CLASSES}."""
    before, after = sort_key(ecosystem, installed), sort_key(ecosystem, target)
    if before is None or after is None:
        return "unknown"
    if before == after:
        return "none"
    if after < before:
        return "downgrade"
    old, new = _numbers(ecosystem, before), _numbers(ecosystem, after)
    if old[:2] != new[:2]:  # the epoch of PEP 440, and the major number
        return "major"
    if old[2] == new[2]:
        # 0.0.x promises nothing at all (semver.org, 4), and npm's "^0.0.3" means that version alone.
        return "minor-0x" if ecosystem == NPM and old[:3] == (0, 0, 0) and old[3] != new[3] else "patch"
    return "minor-0x" if old[1] == 0 else "minor"


def series(ecosystem: str, key: t.Any) -> tuple[int, int]:
    """What versions share that get their fixes in common: epoch and major number."""
    return _numbers(ecosystem, key)[:2]


def minor_series(ecosystem: str, key: t.Any) -> tuple[int, int, int]:
    """Epoch, major and minor number: some projects mend several of these at once."""
    return _numbers(ecosystem, key)[:3]


def _numbers(ecosystem: str, key: t.Any) -> tuple[int, int, int, int]:
    epoch, release = (key[0], key[1]) if ecosystem == PYPI else (0, key[:3])
    major, minor, patch = (*release, 0, 0)[:3]
    return epoch, major, minor, patch


def lowest_fix(ecosystem: str, installed: str, fixes: t.Iterable[str]) -> str | None:
    """The nearest version with the fix: the lowest above the installed one, else the highest below it."""
    key = sort_key(ecosystem, installed)
    known = sorted(
        (version for version in fixes if sort_key(ecosystem, version) is not None),
        key=lambda version: sort_key(ecosystem, version),
    )
    if key is None:
        return known[0] if known else None
    above = [version for version in known if sort_key(ecosystem, version) > key]
    below = [version for version in known if sort_key(ecosystem, version) < key]
    return above[0] if above else (below[-1] if below else None)
