# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks have in common: rounds in turn, medians, bars, and what a server's log says was really done."""

from __future__ import annotations

import re
import signal
import statistics
import sys
import typing as t

Side = t.Callable[[], float]

#: How a server's log tells, with log_statement = all, of a statement: by the simple or the extended protocol.
_LOGGED = re.compile(r"LOG:  (?:statement|execute [^:]*): (?P<sql>.*)")
_COMMENT = re.compile(r"^\s*/\*.*?\*/\s*")
_MAINTENANCE = re.compile(r"(?:VACUUM|ANALYZE|REINDEX|CREATE INDEX|DROP INDEX)\b", re.IGNORECASE)


class NotWorked(Exception):
    """A side did not do its work: then it was not fast, and there is no ratio."""


class Bars:
    """Prints each bar once it is known, and remembers whether all were met."""

    def __init__(self) -> None:
        self.short: list[str] = []

    def judge(self, name: str, value: float, limit: float) -> None:
        met = value <= limit
        if not met:
            self.short.append(name)
        say(f"bar {name} {value:.3g} {limit:g} {'ok' if met else 'short'}")

    @property
    def status(self) -> int:
        return 1 if self.short else 0


def say(text: str) -> None:
    print(text, flush=True)


def in_turn(sides: t.Mapping[str, Side], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side, round by round; every other round the other way round, so that nobody is always first."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        names = list(sides) if number % 2 == 0 else list(reversed(list(sides)))
        for name in names:
            seconds[name].append(sides[name]())
    return seconds


def tell(scenario: str, seconds: t.Mapping[str, t.Sequence[float]]) -> None:
    for name, each in seconds.items():
        rounds = ", ".join(f"{second:.2f}" for second in each)
        say(f"{scenario}: {name}: median {statistics.median(each):.2f} s ({rounds})")


def ratio(ours: t.Sequence[float], theirs: t.Sequence[float]) -> float:
    """The median of the rounds' ratios: the two runs of a round had the machine in the same state, more or less."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs))  # noqa: B905 - Python 3.9


def maintenance_in(log: str) -> list[str]:
    """The statements in a server's log that maintain something."""
    found = []
    for match in _LOGGED.finditer(log):
        sql = match.group("sql")
        while (bare := _COMMENT.sub("", sql)) != sql:
            sql = bare
        if _MAINTENANCE.match(sql):
            found.append(sql.strip())
    return found


def measured_in(log: str) -> int:
    """How often a server's log tells that an index was measured."""
    return sum('"pgstatindex"(' in match.group("sql") for match in _LOGGED.finditer(log))


def collisions_with(name: str, applications: t.Sequence[str], met: t.Sequence[str]) -> int:
    """How many of the sessions that were met at work are the side's own, by the beginnings of their names.

    :raises NotWorked: when there is none: nobody had to wait for that side.
    """
    own = sum(application.startswith(tuple(applications)) for application in met)
    if applications and not own:
        raise NotWorked(f"{name}: no ALTER TABLE met what it did, so nobody had to wait for it")
    return own


def ends_cleanly_when_told() -> None:
    """SIGTERM unwinds the stack, which stops the servers and removes the directories."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
