# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of Debian packages, ordered as dpkg orders them (Debian Policy 5.6.12).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A host has thousands of packages: to ask `dpkg --compare-versions` for each pair would take a process each.
"""

from __future__ import annotations

import functools
import re
import typing as t

_PARTS = re.compile(r"(\D*)(\d*)")
#: What is not there compares as an empty text and the number 0.
_END: list[t.Any] = [[0], 0]


def _order(sign: str) -> int:
    if sign == "~":
        return -1
    return ord(sign) if sign.isalpha() else ord(sign) + 256


def _key_of(text: str) -> list[t.Any]:
    """Text and number in turn. The 0 behind each text is its end, which comes after "~" and before all else."""
    parts: list[t.Any] = []
    for letters, digits in _PARTS.findall(text or "0"):
        if letters or digits:
            parts += [[*(_order(sign) for sign in letters), 0], int(digits or 0)]
    return [*parts, *_END]


@functools.lru_cache(maxsize=16384)
def key(version: str) -> tuple[t.Any, ...]:
    """What versions are sorted by."""
    epoch, colon, rest = version.partition(":")
    upstream, dash, revision = (rest if colon else version).rpartition("-")
    if not dash:
        upstream, revision = revision, ""
    return (int(epoch) if colon and epoch.isdigit() else 0, _key_of(upstream), _key_of(revision))


def is_newer(version: str, than: str) -> bool:
    return key(version) > key(than)
