# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked of the scanners, what they found, and what they did not look at.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

#: Name and version of a package.
Pair = t.Tuple[str, str]

_GHSA = re.compile(r"GHSA(?:-[0-9a-z]{4}){3}", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Advisory:
    """One known vulnerability of one version.

    :param ids: all the names it goes by.
    :param severity: low, medium, high or critical; empty where nobody said.
    :param fixes: versions without it; empty when there is none, None when nobody could be asked.
    :param vulnerable: the range of versions that have it, where the scanner tells that.
    :param fixes_of: the same by the name of the package, from a service that was asked for the advisory by its name.
    """

    ids: tuple[str, ...]
    severity: str = ""
    fixes: tuple[str, ...] | None = ()
    title: str = ""
    url: str = ""
    published: str = ""
    vulnerable: str = ""
    fixes_of: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def id(self) -> str:
        """The name that most people know: of CVE, else of GitHub, else the first."""
        return min(self.ids, key=lambda name: (_rank(name), name))


def _rank(name: str) -> int:
    order = ("CVE-", "GHSA-", "PYSEC-", "OSV-")
    return next((place for place, prefix in enumerate(order) if name.upper().startswith(prefix)), len(order))


@dataclasses.dataclass
class Look:
    """What a scanner says of an ecosystem.

    :param found: what was looked at, with what is known against it.
    :param missed: what was asked and not looked at, and why.
    """

    found: dict[Pair, list[Advisory]] = dataclasses.field(default_factory=dict)
    missed: dict[Pair, str] = dataclasses.field(default_factory=dict)

    def miss(self, pairs: t.Iterable[Pair], reason: str) -> None:
        for pair in pairs:
            self.found.pop(pair, None)
            self.missed.setdefault(pair, reason)

    def take(self, other: Look) -> None:
        self.found.update(other.found)
        self.missed.update(other.missed)


@dataclasses.dataclass(frozen=True)
class Release:
    """One version of a package, as an index or a registry tells it.

    :param published: moment of its release, empty where that is not told.
    :param needs: which versions of the language it wants.
    :param hashes: SHA-256 of all its files; empty unless the index tells that of each.
    """

    version: str
    published: str = ""
    needs: str = ""
    withdrawn: bool = False
    hashes: tuple[str, ...] = ()


@dataclasses.dataclass
class Listing:
    """All versions of a package that can be had; `problem` says why that is not known.

    :param latest: what the registry itself calls the latest one.
    :param metadata: where the metadata of a version can be had alone.
    """

    releases: dict[str, Release] = dataclasses.field(default_factory=dict)
    latest: str = ""
    links: dict[str, str] = dataclasses.field(default_factory=dict)
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    problem: str = ""


def github_id(text: str) -> str:
    """The name of a GitHub advisory in a text, such as an address; empty without one."""
    match = _GHSA.search(text)
    return "GHSA" + match.group().lower()[4:] if match else ""
