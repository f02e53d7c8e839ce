# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thresholds as the guide writes them: "< 99.5%", "> 1s", ">= 10 GB".

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A threshold is compared in the base unit of its kind: seconds, bytes, percent, or a plain number.
GB are 10^9 bytes, GiB 2^30.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
import typing as t

from .result import SEVERITIES, Finding
from .suggest import InputError, did_you_mean, refuse_unknown

_COMPARE: dict[str, t.Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}

#: unit -> (kind, how many of the base unit)
_UNITS: dict[str, tuple[str, float]] = {
    "": ("number", 1),
    "%": ("percent", 1),
    "ms": ("seconds", 0.001),
    "s": ("seconds", 1),
    "min": ("seconds", 60),
    "m": ("seconds", 60),
    "h": ("seconds", 3600),
    "d": ("seconds", 86400),
    "w": ("seconds", 604800),
    "B": ("bytes", 1),
    "kB": ("bytes", 10**3),
    "MB": ("bytes", 10**6),
    "GB": ("bytes", 10**9),
    "TB": ("bytes", 10**12),
    "KiB": ("bytes", 2**10),
    "MiB": ("bytes", 2**20),
    "GiB": ("bytes", 2**30),
    "TiB": ("bytes", 2**40),
}

_RIGHT = 'write a comparison, a number and a unit, like "< 99.5%", "> 1s" or ">= 10 GB"'
_THRESHOLD = re.compile(r"(?P<compare><=|>=|==|!=|<|>)\s*(?P<number>-?[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[A-Za-z%]*)")


class ThresholdError(InputError):
    """A threshold that cannot be read or used; the message names the value and what would be right."""


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A limit that a measured value must not cross."""

    compare: str
    limit: float
    kind: str
    text: str

    def is_crossed_by(self, value: float) -> bool:
        """Whether the value, in the base unit of the kind, is one that somebody should know about.

        :raises ThresholdError: for a value that is not a number: what was not measured is not within its limits.
        """
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            raise ThresholdError(f"value {value!r} cannot be compared with {self.text!r}: it is not a number")
        return _COMPARE[self.compare](value, self.limit)

    def __str__(self) -> str:
        return self.text


def parse_threshold(text: str, kind: str = "") -> Threshold:
    """Read a threshold; `kind` (number, percent, seconds, bytes) refuses one that would compare unlike things.

    :raises ThresholdError: naming the value and what would be right.
    """
    if not isinstance(text, str):
        raise ThresholdError(f"threshold {text!r} is not a text: {_RIGHT}")
    match = _THRESHOLD.fullmatch(text.strip())
    if not match:
        raise ThresholdError(f"threshold {text!r} cannot be read: {_RIGHT}")
    unit = match.group("unit")
    if unit not in _UNITS:
        hint = did_you_mean(unit, [known for known in _UNITS if known])
        raise ThresholdError(f"threshold {text!r} has the unknown unit {unit!r}; {hint}")
    own_kind, size = _UNITS[unit]
    if kind and own_kind != kind:
        fitting = ", ".join(repr(known) for known, (its_kind, _size) in _UNITS.items() if its_kind == kind)
        raise ThresholdError(f"threshold {text!r} is in {own_kind}, must be in {kind}: its unit is one of {fitting}")
    return Threshold(match.group("compare"), float(match.group("number")) * size, own_kind, text.strip())


def parse_limits(limits: t.Mapping[str, str], kind: str = "") -> dict[str, Threshold]:
    """Thresholds by severity, like {"critical": "> 95%", "high": "> 80%"}, the most severe first."""
    refuse_unknown("unknown severity", limits, SEVERITIES)
    return {name: parse_threshold(limits[name], kind) for name in reversed(SEVERITIES) if name in limits}


def judge(value: float, limits: t.Mapping[str, Threshold], **about: str) -> Finding | None:
    """The finding for the most severe limit that the value crosses, or None; `about`: id, subject, message, action."""
    for severity in reversed(SEVERITIES):
        threshold = limits.get(severity)
        if threshold and threshold.is_crossed_by(value):
            return Finding(severity=severity, value=value, threshold=threshold.text, **about)
    return None
