# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of rpm packages, ordered as rpm orders them (rpm-version(7), "rpmvercmp").

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A version is written as dnf writes it: [epoch:]version-release.
"""

from __future__ import annotations

import functools
import re
import typing as t

_PARTS = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")
#: How what may come next is ordered: "~" is before the end of the text and "^" behind it, then letters, then numbers.
_TILDE, _END, _CARET, _LETTERS, _NUMBER = range(5)


def _key_of(text: str) -> tuple[t.Any, ...]:
    parts: list[tuple[int, t.Any]] = []
    for part in _PARTS.findall(text):
        if part == "~":
            parts.append((_TILDE, 0))
        elif part == "^":
            parts.append((_CARET, 0))
        elif part.isdigit():
            parts.append((_NUMBER, int(part)))
        else:
            parts.append((_LETTERS, part))
    return (*parts, (_END, 0))


def split(version: str) -> tuple[str, str, str]:
    """Epoch, version and release."""
    epoch, colon, rest = version.partition(":")
    upstream, _dash, release = (rest if colon else version).rpartition("-")
    return (epoch if colon else "0", upstream, release)


@functools.lru_cache(maxsize=16384)
def key(version: str) -> tuple[t.Any, ...]:
    """What versions are sorted by."""
    epoch, upstream, release = split(version)
    return (int(epoch) if epoch.isdigit() else 0, _key_of(upstream), _key_of(release))


def is_newer(version: str, than: str) -> bool:
    return key(version) > key(than)


def full(name: str, version: str, architecture: str) -> str:
    """Name, epoch, version, release and architecture, as one word that dnf takes for one very package."""
    epoch, upstream, release = split(version)
    return f"{name.partition(':')[0]}-{epoch}:{upstream}-{release}.{architecture}"


def file_name(name: str, version: str, architecture: str) -> str:
    """As files of packages are named: without the epoch."""
    _epoch, upstream, release = split(version)
    return f"{name.partition(':')[0]}-{upstream}-{release}.{architecture}.rpm"
