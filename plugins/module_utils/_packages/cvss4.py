# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The score of a vector of CVSS 4.0, by https://www.first.org/cvss/v4-0/specification-document (section 8).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Vectors fall into 270 classes, each named by six digits and with a score of its own, which a table of the standard
gives. Within its class a vector lies somewhere between the worst one and the next milder classes.
"""

from __future__ import annotations

import math
import re
import typing as t

_VECTOR = re.compile(r"CVSS:4\.0(?P<metrics>(?:/[A-Z]+:[A-Za-z]+)+)/?")
#: From the worst value to the mildest. Those of the system behind can be worse than "high": safety of people.
_VALUES = dict(
    re.findall(
        r"(\w+):(\w+)",
        "AV:NALP AC:LH AT:NP PR:NLH UI:NPA VC:HLN VI:HLN VA:HLN SC:SHLN SI:SHLN SA:SHLN E:APU CR:HML IR:HML AR:HML",
    )
)
_BASE = ("AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA")
#: What is not told counts as the worst.
_DEFAULTS = {"E": "A", "CR": "H", "IR": "H", "AR": "H"}

#: By the first three digits: the scores for the fourth, fifth and sixth, counted up. A third digit of 2 goes with a
#: sixth of 1 alone.
_SCORES = {
    "000": "10 9.9 9.8 9.5 9.5 9.2 10 9.6 9.3 8.7 9.1 8.1 9.3 9 8.9 8 8.1 6.8",
    "001": "9.8 9.5 9.5 9.2 9 8.4 9.3 9.2 8.9 8.1 8.1 6.5 8.8 8 7.8 7 6.9 4.8",
    "002": "9.2 8.2 7.2 7.9 6.9 5 6.9 5.5 2.7",
    "010": "9.9 9.7 9.5 9.2 9.2 8.5 9.5 9.1 9 8.3 8.4 7.1 9.2 8.1 8.2 7.1 7.2 5.3",
    "011": "9.5 9.3 9.2 8.5 8.5 7.3 9.2 8.2 8 7.2 7 5.9 8.4 7 7.1 5.2 5 3",
    "012": "8.6 7.5 5.2 7.1 5.2 2.9 6.3 2.9 1.7",
    "100": "9.8 9.5 9.4 8.7 9.1 8.1 9.4 8.9 8.6 7.4 7.7 6.4 8.7 7.5 7.4 6.3 6.3 4.9",
    "101": "9.4 8.9 8.8 7.7 7.6 6.7 8.6 7.6 7.4 5.8 5.9 5 7.2 5.7 5.7 5.2 5.2 2.5",
    "102": "8.3 7 5.4 6.5 5.8 2.6 5.3 2.1 1.3",
    "110": "9.5 9 8.8 7.6 7.6 7 9 7.7 7.5 6.2 6.1 5.3 7.7 6.6 6.8 5.9 5.2 3",
    "111": "8.9 7.8 7.6 6.7 6.2 5.8 7.4 5.9 5.7 5.7 4.7 2.3 6.1 5.2 5.7 2.9 2.4 1.6",
    "112": "7.1 5.9 3 5.8 2.6 1.5 2.3 1.3 0.6",
    "200": "9.3 8.7 8.6 7.2 7.5 5.8 8.6 7.4 7.4 6.1 5.6 3.4 7 5.4 5.2 4 4 2.2",
    "201": "8.5 7.5 7.4 5.5 6.2 5.1 7.2 5.7 5.5 4.1 4.6 1.9 5.3 3.6 3.4 1.9 1.9 0.8",
    "202": "6.4 5.1 2 4.7 2.1 1.1 2.4 0.9 0.4",
    "210": "8.8 7.5 7.3 5.3 6 5 7.3 5.5 5.9 4 4.1 2 5.4 4.3 4.5 2.2 2 1.1",
    "211": "7.5 5.5 5.8 4.5 4 2.1 6.1 5.1 4.8 1.8 2 0.9 4.6 1.8 1.7 0.7 0.8 0.2",
    "212": "5.3 2.4 1.4 2.4 1.2 0.5 1 0.3 0.1",
}
#: The worst vectors of a class, for what belongs together, and how many steps lead from there to its mildest one.
_EXPOSURE, _EFFORT, _IMPACT, _BEHIND = (
    *(("AV", "PR", "UI"), ("AC", "AT")),
    *(("VC", "VI", "VA", "CR", "IR", "AR"), ("SC", "SI", "SA")),
)
_WORST: dict[tuple[str, ...], dict[tuple[int, ...], tuple[int, tuple[str, ...]]]] = {
    _EXPOSURE: {(0,): (1, ("NNN",)), (1,): (4, ("ANN", "NLN", "NNP")), (2,): (5, ("PNN", "ALP"))},
    _EFFORT: {(0,): (1, ("LN",)), (1,): (2, ("HN", "LP"))},
    _IMPACT: {
        (0, 0): (7, ("HHHHHH",)),
        (0, 1): (6, ("HHLMMH", "HHHMMM")),
        (1, 0): (8, ("LHHHHH", "HLHHHH")),
        (1, 1): (8, ("LHLHMH", "LHHHMM", "HLHMHM", "HLLMHH", "LLHHHM")),
        (2, 1): (10, ("LLLHHH",)),
    },
    _BEHIND: {(0,): (6, ("HSS",)), (1,): (5, ("HHH",)), (2,): (4, ("LLL",))},
}
#: Sums of tenths are not exact in binary, and half a tenth goes up.
_EPSILON = 1e-6

Metrics = t.Dict[str, str]
Class = t.Tuple[int, int, int, int, int, int]


def score(vector: str) -> float | None:
    """The score; None for what is no whole vector of CVSS 4.0."""
    told = _read(vector)
    if told is None:
        return None
    if all(told[metric] == "N" for metric in ("VC", "VI", "VA", "SC", "SI", "SA")):
        return 0.0
    its = _class_of(told)
    own = _score_of(its)
    if own is None:
        return None
    drops = []
    for number, (group, places) in enumerate(((_EXPOSURE, (0,)), (_EFFORT, (1,)), (_IMPACT, (2, 5)), (_BEHIND, (3,)))):
        milder = [one for one in (_score_of(other) for other in _milder(its, number)) if one is not None]
        if milder:
            steps, worst = _WORST[group][tuple(its[place] for place in places)]
            drops.append((own - max(milder)) * _distance(told, group, worst) / steps)
    if _score_of((*its[:4], its[4] + 1, its[5])) is not None:
        # How mature an exploit is has no steps within a class.
        drops.append(0.0)
    found = own - (sum(drops) / len(drops) if drops else 0.0)
    return math.floor(min(10.0, max(0.0, found)) * 10 + 0.5 + _EPSILON) / 10


def _read(vector: str) -> Metrics | None:
    match = _VECTOR.fullmatch(vector.strip())
    if not match:
        return None
    pairs = [metric.split(":") for metric in match.group("metrics")[1:].split("/")]
    told = dict(pairs)
    if len(told) != len(pairs) or any(metric not in told for metric in _BASE):
        return None
    found = {}
    for metric, values in _VALUES.items():
        changed = told.get(f"M{metric}", "X")
        value = changed if changed != "X" else told.get(metric, "X")
        value = _DEFAULTS.get(metric, value) if value == "X" else value
        if value not in values or len(value) != 1:
            return None
        found[metric] = value
    return found


def _class_of(told: Metrics) -> Class:
    easy = [told["AV"] == "N", told["PR"] == "N", told["UI"] == "N"]
    exposure = 0 if all(easy) else 1 if any(easy) and told["AV"] != "P" else 2
    effort = 0 if (told["AC"], told["AT"]) == ("L", "N") else 1
    high = [told[metric] == "H" for metric in ("VC", "VI", "VA")]
    impact = 0 if high[0] and high[1] else 1 if any(high) else 2
    behind = [told[metric] for metric in ("SC", "SI", "SA")]
    beyond = 0 if "S" in behind[1:] else 1 if "H" in behind else 2
    needed = any(is_high and told[metric] == "H" for is_high, metric in zip(high, ("CR", "IR", "AR")))
    return exposure, effort, impact, beyond, "APU".index(told["E"]), 0 if needed else 1


def _score_of(its: Class) -> float | None:
    scores = _SCORES.get("".join(str(digit) for digit in its[:3]))
    beyond, maturity, needed = its[3:]
    if scores is None or beyond > 2 or maturity > 2 or needed > 1 or (its[2] == 2 and not needed):
        return None
    place = beyond * 3 + maturity
    return float(scores.split()[place if its[2] == 2 else place * 2 + needed])


def _milder(its: Class, number: int) -> list[Class]:
    """The next milder classes in one of the four respects."""
    one, two, three, four, five, six = its
    if number == 0:
        return [(one + 1, two, three, four, five, six)]
    if number == 1:
        return [(one, two + 1, three, four, five, six)]
    if number == 3:
        return [(one, two, three, four + 1, five, six)]
    needed: Class = (one, two, three, four, five, six + 1)
    impact: Class = (one, two, three + 1, four, five, six)
    return [needed, impact] if (three, six) == (0, 0) else [needed] if six == 0 else [impact]


def _distance(told: Metrics, group: tuple[str, ...], worst: t.Sequence[str]) -> int:
    """How many steps it is milder than the first of the worst vectors that is nowhere milder than it."""
    for values in worst:
        steps = [_VALUES[metric].index(told[metric]) - _VALUES[metric].index(value)
                 for metric, value in zip(group, values)]  # fmt: skip
        if min(steps) >= 0:
            return sum(steps)
    return 0
