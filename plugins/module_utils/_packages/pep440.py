# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of Python packages and what is asked of them: PEP 440, as far as locks, requirements and indexes need it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Managed hosts need not have the library `packaging`.
"""

from __future__ import annotations

import re
import typing as t

#: What sorts versions. Infinity and its opposite are told by the first number of each part.
Key = t.Tuple[int, t.Tuple[int, ...], t.Tuple[int, ...], t.Tuple[int, ...], t.Tuple[int, ...], t.Tuple[t.Any, ...]]

_VERSION = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|beta|preview|pre|a|b|c|rc)[-_.]?(?P<pre_number>\d+)?)?"
    r"(?P<post>-(?P<post_bare>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>\d+)?)?"
    r"(?P<dev>[-_.]?dev[-_.]?(?P<dev_number>\d+)?)?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE,
)
_PRE = {"alpha": 0, "a": 0, "beta": 1, "b": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_CLAUSE = re.compile(r"\s*(?P<operator>===|~=|==|!=|<=|>=|<|>)\s*(?P<version>[^\s,;)]+)\s*")
_SEPARATORS = re.compile(r"[-_.]+")

#: Before all pre-releases (a bare development release), and behind them (no pre-release at all).
_BEFORE, _BEHIND = (-1,), (9,)


def canonical(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def parse(version: str) -> Key | None:
    """What the version is compared by; None for a text that is no version."""
    match = _VERSION.fullmatch(version.strip())
    if not match:
        return None
    release = tuple(int(part) for part in match.group("release").split("."))
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    has_dev, has_post = match.group("dev") is not None, match.group("post") is not None
    pre: tuple[int, ...] = _BEHIND
    if match.group("pre"):
        pre = (_PRE[match.group("pre").lower()], int(match.group("pre_number") or 0))
    elif has_dev and not has_post:
        pre = _BEFORE
    post = (int(match.group("post_bare") or match.group("post_number") or 0),) if has_post else (-1,)
    dev = (0, int(match.group("dev_number") or 0)) if has_dev else (1,)
    return int(match.group("epoch") or 0), release, pre, post, dev, _local(match.group("local"))


def _local(local: str | None) -> tuple[t.Any, ...]:
    if local is None:
        return ()
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part.lower()) for part in re.split(r"[-_.]", local))


def is_pre_release(version: str) -> bool:
    key = parse(version)
    return key is not None and (key[2] != _BEHIND or key[4] != (1,))


def same(one: str, other: str) -> bool:
    """Whether two texts name the same version: "1.0" and "1.0.0" do."""
    left, right = parse(one), parse(other)
    return left == right if left is not None and right is not None else one.strip() == other.strip()


def is_valid_specifier(specifier: str) -> bool:
    return _clauses(specifier) is not None


def satisfies(version: str, specifier: str) -> bool | None:
    """Whether the version is among those of the specifier, such as ">=1.2,<2"; None when either cannot be read."""
    clauses = _clauses(specifier)
    key = parse(version)
    if clauses is None or key is None:
        return None
    answers = [_one(key, version, operator, wanted) for operator, wanted in clauses]
    return None if None in answers else all(answers)


def _clauses(specifier: str) -> list[tuple[str, str]] | None:
    found: list[tuple[str, str]] = []
    stripped = specifier.strip().strip("()")
    for part in stripped.split(",") if stripped.strip() else []:
        match = _CLAUSE.fullmatch(part)
        if not match:
            return None
        operator, version = match.group("operator"), match.group("version")
        bare = version[:-2] if version.endswith(".*") and operator in ("==", "!=") else version
        if operator != "===" and parse(bare) is None:
            return None
        found.append((operator, version))
    return found


def _one(key: Key, text: str, operator: str, wanted: str) -> bool | None:  # noqa: PLR0911 - one line an operator
    if operator == "===":
        return text.strip().lower() == wanted.lower()
    if operator in ("==", "!=") and wanted.endswith(".*"):
        return _has_prefix(key, wanted[:-2]) is (operator == "==")
    limit = parse(wanted)
    if limit is None:
        return None
    # A local part, such as "+cu118", counts only where the specifier names one.
    bare = (*key[:5], ()) if not limit[5] else key
    if operator == "==":
        return bare == limit
    if operator == "!=":
        return bare != limit
    if operator == "<=":
        return bare <= limit
    if operator == ">=":
        return bare >= limit
    if operator == "<":
        # "<2" does not mean 2rc1, nor does ">1" mean 1.post1.
        return bare < limit and not (_is_pre(key) and not _is_pre(limit) and key[:2] == limit[:2])
    if operator == ">":
        return bare > limit and not (key[3] != (-1,) and limit[3] == (-1,) and key[:2] == limit[:2])
    shortened = re.sub(r"(?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview|post|dev).*)$", "", wanted, flags=re.IGNORECASE)
    return bare >= limit and _has_prefix(key, shortened.rpartition(".")[0] or shortened)


def _is_pre(key: Key) -> bool:
    return key[2] != _BEHIND or key[4] != (1,)


def _has_prefix(key: Key, prefix: str) -> bool:
    wanted = parse(prefix)
    if wanted is None:
        return False
    bare = re.sub(r"^v?(?:\d+!)?", "", prefix)
    parts = tuple(int(part) for part in re.findall(r"\d+", bare))
    release = key[1] + (0,) * max(0, len(parts) - len(key[1]))
    return key[0] == wanted[0] and release[: len(parts)] == parts


def highest(versions: t.Iterable[str], specifier: str = "", pre_releases: bool = False) -> str | None:
    """The highest version of the specifier; pre-releases only where they are wanted or there is nothing else."""
    fitting = [version for version in versions if parse(version) is not None and satisfies(version, specifier)]
    final = [version for version in fitting if pre_releases or not is_pre_release(version)]
    return max(final or fitting, key=lambda version: parse(version) or (), default=None)
