# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of Node packages and their ranges: semantic versioning as npm reads it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

#: Numbers, then whether it is a release, then the parts of its pre-release tag.
Key = t.Tuple[int, int, int, bool, t.Tuple[t.Tuple[int, int, str], ...]]
#: A comparison, and what is compared with.
Comparator = t.Tuple[str, Key]

_VERSION = re.compile(r"[v=\s]*(\d+)\.(\d+)\.(\d+)(?:-?([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\s*")
_PARTIAL = re.compile(
    r"[v=\s]*(?P<major>\d+|[xX*])?(?:\.(?P<minor>\d+|[xX*]))?(?:\.(?P<patch>\d+|[xX*]))?"
    r"(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*")
_OPERATOR = re.compile(r"(\^|~>|~|>=|<=|>|<|=)\s*")
_NEVER: list[Comparator] = [("<", (0, 0, 0, False, ()))]


def parse(version: str) -> Key | None:
    """What the version is compared by; None for a text that is no version."""
    match = _VERSION.fullmatch(version)
    if not match:
        return None
    major, minor, patch, pre = match.groups()
    return int(major), int(minor), int(patch), not pre, _tag(pre)


def _tag(pre: str | None) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")) if pre else ()


def is_pre_release(version: str) -> bool:
    key = parse(version)
    return key is not None and not key[3]


def satisfies(version: str, wanted: str, pre_releases: bool = False) -> bool | None:
    """Whether the version is in the range; None when either cannot be read.

    :param pre_releases: as npm does for advisories. Otherwise a pre-release fits only beside one of the same numbers.
    """
    key = parse(version)
    sets = _sets(wanted)
    if key is None or sets is None:
        return None
    return any(_fits(key, comparators, pre_releases) for comparators in sets)


def is_range(wanted: str) -> bool:
    return _sets(wanted) is not None


def highest(versions: t.Iterable[str], wanted: str = "*") -> str | None:
    fitting = [version for version in versions if satisfies(version, wanted)]
    return max(fitting, key=lambda version: parse(version) or (), default=None)


def _fits(key: Key, comparators: list[Comparator], pre_releases: bool) -> bool:
    if not all(_compare(key, operator, limit) for operator, limit in comparators):
        return False
    if key[3] or pre_releases:
        return True
    return any(not limit[3] and limit[:3] == key[:3] for _operator, limit in comparators)


def _compare(key: Key, operator: str, limit: Key) -> bool:
    if operator == "=":
        return key == limit
    if operator == "<":
        return key < limit
    if operator == "<=":
        return key <= limit
    return key > limit if operator == ">" else key >= limit


def _sets(wanted: str) -> list[list[Comparator]] | None:
    found = []
    for part in wanted.split("||"):
        comparators = _set(part)
        if comparators is None:
            return None
        found.append(comparators)
    return found


def _set(text: str) -> list[Comparator] | None:
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen:
        low, high = _simple(">=", hyphen.group(1)), _simple("<=", hyphen.group(2))
        return None if low is None or high is None else low + high
    found: list[Comparator] = []
    for word in _OPERATOR.sub(r" \1", text).replace(",", " ").split():
        match = _OPERATOR.match(word)
        operator = match.group(1) if match else ""
        comparators = _simple(operator, word[match.end() :] if match else word)
        if comparators is None:
            return None
        found += comparators
    return found


def _simple(operator: str, text: str) -> list[Comparator] | None:
    """The comparators of one word, such as "^1.2" or "1.x"."""
    match = _PARTIAL.fullmatch(text)
    if not match or (operator and not text):
        return None
    numbers: list[int] = []
    for part in ("major", "minor", "patch"):
        given = match.group(part)
        if given is None or not given.isdigit():
            break
        numbers.append(int(given))
    pre = match.group("pre") if len(numbers) == 3 else None
    if not numbers:
        # "*", "" and ">=x" are all; nothing is beyond all.
        return _NEVER if operator in ("<", ">") else [(">=", (0, 0, 0, True, ()))]
    low = _key(numbers, pre)
    if operator == "^":
        fixed = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
        return [(">=", low), ("<", _below(numbers, fixed))]
    if operator in ("~", "~>"):
        return [(">=", low), ("<", _below(numbers, min(1, len(numbers) - 1)))]
    return [(operator or "=", low)] if len(numbers) == 3 else _partial(operator, low, numbers)


def _partial(operator: str, low: Key, numbers: list[int]) -> list[Comparator]:
    """The comparators of a version that leaves out its last numbers."""
    beyond = _below(numbers, len(numbers) - 1)
    if operator == ">":
        return [(">=", (*beyond[:3], True, ()))]
    if operator == "<=":
        return [("<", beyond)]
    if operator in ("<", ">="):
        return [(operator, _zero(low) if operator == "<" else low)]
    return [(">=", low), ("<", beyond)]


def _key(numbers: t.Sequence[int], pre: str | None = None) -> Key:
    major, minor, patch = (*numbers, 0, 0)[:3]
    return major, minor, patch, not pre, _tag(pre)


def _zero(key: Key) -> Key:
    """Before all pre-releases of the same numbers."""
    return (*key[:3], False, ())


def _below(numbers: t.Sequence[int], position: int) -> Key:
    """The first version, pre-releases included, whose number at the position is higher."""
    return _zero(_key([*numbers[:position], numbers[position] + 1]))
