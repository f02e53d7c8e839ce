# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small drawings. Each carries its meaning as text too: a colour or a height alone tells nobody who cannot see it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.durations import format_duration
from .markup import Markup, tag

if t.TYPE_CHECKING:
    from .history import Run

_STEP = 6
_HEIGHT = 20
_LOWEST = 3
_SHOWN = 20


def sparkline(runs: t.Sequence[Run]) -> Markup | None:
    """One bar a run, oldest first, as high as it took long; what went wrong is marked below the line as well."""
    shown = runs[-_SHOWN:]
    if not shown:
        return None
    longest = max(run.seconds for run in shown) or 1.0
    drawn = []
    for place, run in enumerate(shown):
        height = round(_LOWEST + (_HEIGHT - _LOWEST) * (run.seconds / longest) ** 0.5, 1)
        x = place * _STEP
        drawn.append(_rectangle(x, round(_HEIGHT - height, 1), 4, height, run.verdict))
        if run.is_bad:
            drawn.append(_rectangle(x, _HEIGHT + 2, 4, 2, run.verdict))
    width = len(shown) * _STEP
    told = ", ".join(run.verdict for run in shown)
    took = format_duration(shown[-1].seconds)
    return tag(
        "svg",
        *drawn,
        class_="spark",
        width=str(width),
        height=str(_HEIGHT + 4),
        viewBox=f"0 0 {width} {_HEIGHT + 4}",
        role="img",
        aria_label=f"Last {len(shown)} runs, oldest first: {told}. The last one took {took}.",
    )


def duration_bar(seconds: float, longest: float, verdict: str) -> Markup:
    """A bar on the common scale of its table; the duration stands beside it as text."""
    share = 100 * (seconds / longest) if longest > 0 else 0
    return tag(
        "svg",
        _rectangle(0, 0, 100, 6, "track"),
        _rectangle(0, 0, round(max(share, 1.5), 1), 6, verdict),
        class_="bar",
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def _rectangle(x: float, y: float, width: float, height: float, verdict: str) -> Markup:
    return tag("rect", class_=f"v-{verdict}", x=f"{x:g}", y=f"{y:g}", width=f"{width:g}", height=f"{height:g}")
