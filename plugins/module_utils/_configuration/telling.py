# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed, for people: a diff of what may be seen, of a bounded length.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import difflib
import typing as t

from .._core.sealing import SUFFIX
from .contents import MANIFEST
from .looking import shown
from .repository import Change

_LONGEST = 20_000
_MOST_NAMED = 5


def diff_of(changes: t.Sequence[Change], sealed: t.Collection[str]) -> str:
    """A unified diff. What is encrypted, or no text, is only named; what is too long is cut, and that is said."""
    text = ""
    for number, change in enumerate(changes):
        text += _of(change, sealed)
        if len(text) > _LONGEST:
            left = len(changes) - number - 1
            return f"{text[:_LONGEST]}\n[cut off here; {left} more paths changed, see the commit]\n"
    return text


def lines_of(change: Change, sealed: t.Collection[str]) -> tuple[int, int]:
    """How many lines were added and taken away; none where they cannot be counted."""
    if change.path in sealed or _is_binary(change):
        return 0, 0
    added = removed = 0
    for line in _unified(change):
        added += line.startswith("+") and not line.startswith("+++")
        removed += line.startswith("-") and not line.startswith("---")
    return added, removed


def told(changes: t.Sequence[Change], sealed: t.Collection[str]) -> str:
    """For a summary: "etc/nginx/nginx.conf (+2 -1), etc/hosts (added)"."""
    words = []
    for change in changes:
        if change.path == MANIFEST:
            continue
        added, removed = lines_of(change, sealed)
        words.append(f"{shown(change.path)} ({f'+{added} -{removed}' if change.kind == 'changed' else change.kind})")
    if not words:
        return "only owners or modes"
    more = f" and {len(words) - _MOST_NAMED} more" if len(words) > _MOST_NAMED else ""
    return ", ".join(words[:_MOST_NAMED]) + more


def _of(change: Change, sealed: t.Collection[str]) -> str:
    if change.path in sealed:
        return f"{shown(change.path)}: encrypted, {change.kind}\n"
    if _is_binary(change):
        return f"{shown(change.path)}: no text, {change.kind}\n"
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in _unified(change))


def _unified(change: Change) -> t.Iterator[str]:
    before, after = (_lines(content) for content in (change.before, change.after))
    old = "/dev/null" if change.before is None else f"a/{shown(change.path)}"
    new = "/dev/null" if change.after is None else f"b/{shown(change.path)}"
    return difflib.unified_diff(before, after, old, new)


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode("utf-8", "replace").splitlines(keepends=True)


def _is_binary(change: Change) -> bool:
    return any(b"\0" in (content or b"") for content in (change.before, change.after))


def sealed_names(manifests: t.Iterable[t.Mapping[str, t.Mapping[str, t.Any]]]) -> set[str]:
    return {path + SUFFIX for manifest in manifests for path, entry in manifest.items() if "sealed" in entry}
