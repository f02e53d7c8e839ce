# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The severity that a CVSS vector comes to: the base score of CVSS 3.0 and 3.1.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

See https://www.first.org/cvss/v3.1/specification-document. Vectors of CVSS 4.0 are scored by a table, in cvss4.
"""

from __future__ import annotations

import re

from . import cvss4

_METRICS: dict[str, dict[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES = {"N": (0.85, 0.85), "L": (0.62, 0.68), "H": (0.27, 0.5)}
_VECTOR = re.compile(r"CVSS:3\.[01]/(?P<metrics>[A-Z]+:[A-Z](?:/[A-Z]+:[A-Z])*)/?")
_BANDS = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))


def base_score(vector: str) -> float | None:
    """The base score; None for a vector of another version, or one that is not whole."""
    match = _VECTOR.fullmatch(vector.strip())
    if not match:
        return cvss4.score(vector)
    told = dict(metric.split(":") for metric in match.group("metrics").split("/"))
    try:
        value = {name: values[told[name]] for name, values in _METRICS.items()}
        is_changed = {"U": False, "C": True}[told["S"]]
        privileges = _PRIVILEGES[told["PR"]][is_changed]
    except KeyError:
        return None
    base = 1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"])
    impact = 7.52 * (base - 0.029) - 3.25 * (base - 0.02) ** 15 if is_changed else 6.42 * base
    exploitability = 8.22 * value["AV"] * value["AC"] * privileges * value["UI"]
    if impact <= 0:
        return 0.0
    return _rounded_up(min((1.08 if is_changed else 1.0) * (impact + exploitability), 10))


def _rounded_up(score: float) -> float:
    """To one decimal, upwards, as the specification writes it so that all come to the same."""
    whole = round(score * 100000)
    return whole / 100000 if whole % 10000 == 0 else (whole // 10000 + 1) / 10


def severity_of_vector(vector: str) -> str:
    """low, medium, high or critical; empty when the vector says none of them."""
    score = base_score(vector)
    return next((word for limit, word in _BANDS if score is not None and score >= limit), "")
