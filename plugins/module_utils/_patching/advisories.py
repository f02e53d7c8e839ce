# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Advisories about packages: what a fix is for, and how severe that is. Repositories of rpm packages have them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

#: The words of Red Hat, which other vendors use as well -> ours. What nobody rated counts as high.
_SEVERITIES = {"critical": "critical", "important": "high", "moderate": "medium", "low": "low"}
_UNRATED = "high"
_ORDER = ("low", "medium", "high", "critical")


@dataclasses.dataclass(frozen=True)
class Advisory:
    """One advisory about one package: `version` is the first one that has the fix."""

    id: str
    severity: str
    version: str
    cves: tuple[str, ...] = ()

    @property
    def weight(self) -> str:
        return _SEVERITIES.get(self.severity.lower(), _UNRATED)

    def told(self) -> str:
        return f"{self.id} ({self.severity or 'not rated'})"

    def to_dict(self) -> dict[str, t.Any]:
        return {"id": self.id, "severity": self.severity, "version": self.version, "cves": list(self.cves)}


def highest(severities: t.Iterable[str]) -> str:
    """The most severe of them."""
    return max(severities, key=_ORDER.index)


def worst(advisories: t.Iterable[Advisory], otherwise: str) -> str:
    """The severity of the worst of them; `otherwise` where there are none."""
    return max((one.weight for one in advisories), key=_ORDER.index, default=otherwise)


def ids(advisories: t.Iterable[Advisory]) -> tuple[str, ...]:
    """By which names somebody may know them."""
    return tuple(dict.fromkeys(name for one in advisories for name in (one.id, *one.cves)))


def told(advisories: t.Sequence[Advisory]) -> str:
    """For a person; empty where there are none."""
    return ", ".join(dict.fromkeys(one.told() for one in advisories))
