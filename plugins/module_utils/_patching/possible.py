# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be installed together: the package manager's own simulation is the only judge of that.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .programs import PatchingError


@dataclasses.dataclass(frozen=True)
class Simulation:
    """`upgraded`: name -> (from, to). `problem`: why it would not be done at all; else empty.

    `replaced`: packages that others take the place of under another name -> those.
    """

    upgraded: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    new: dict[str, str] = dataclasses.field(default_factory=dict)
    removed: dict[str, str] = dataclasses.field(default_factory=dict)
    deferred: tuple[str, ...] = ()
    problem: str = ""
    replaced: dict[str, str] = dataclasses.field(default_factory=dict)


class Simulates(t.Protocol):
    """A package manager that can be asked what it would do."""

    @property
    def name(self) -> str:
        """What it is called."""

    def install(self, wanted: t.Mapping[str, str]) -> Simulation:
        """What installing these very versions would do. That it refuses is an answer, told in `problem`."""


@dataclasses.dataclass
class Possible:
    """What can be installed together, and why the rest cannot: name -> reason."""

    wanted: dict[str, str]
    simulation: Simulation
    blocked: dict[str, str]


def possible(
    manager: Simulates, wanted: t.Mapping[str, str], forbidden: t.Callable[[str], str], known: Simulation | None = None
) -> Possible:
    """The largest part of what is wanted that the package manager would do without touching anything forbidden.

    :param known: what an upgrade of everything would do. When that is just what is wanted, it need not be asked again:
        for apt a simulation of a hundred packages takes seconds.
    :param forbidden: why another package must not be upgraded on the way; empty when it may.
    :raises PatchingError: when no part of it can be found that the package manager would do.
    """
    is_alone = known is not None and wanted and not known.new and not known.removed
    if is_alone and known and {name: new for name, (_old, new) in known.upgraded.items()} == wanted:
        return Possible(dict(wanted), known, {})
    simulation = _judged(manager, wanted, forbidden)
    if not simulation.problem:
        return Possible(dict(wanted), simulation, {})
    blocked = _blocked(manager, sorted(wanted), wanted, forbidden)
    left = {name: version for name, version in wanted.items() if name not in blocked}
    # Some are possible only together: libraries and what was built with them.
    joint = _judged(manager, left, forbidden) if left else Simulation()
    for name in sorted(blocked) if not joint.problem else ():
        more = _judged(manager, {**left, name: wanted[name]}, forbidden)
        if not more.problem:
            left[name], joint = wanted[name], more
            del blocked[name]
    if joint.problem:
        names = ", ".join(sorted(left))
        raise PatchingError(f"{manager.name} finds no way to install {names} together: {joint.problem}")
    return Possible(left, joint, blocked)


def _blocked(
    manager: Simulates, names: t.Sequence[str], wanted: t.Mapping[str, str], forbidden: t.Callable[[str], str]
) -> dict[str, str]:
    """Which of those that cannot be installed together are in the way, and why.

    By halves: apt takes a second for each simulation, and of a hundred packages there are few that it keeps back.
    """
    middle = len(names) // 2
    found: dict[str, str] = {}
    for half in (names[:middle], names[middle:]):
        problem = _judged(manager, {name: wanted[name] for name in half}, forbidden).problem if half else ""
        if problem and len(half) == 1:
            found[half[0]] = problem
        elif problem:
            found.update(_blocked(manager, half, wanted, forbidden))
    return found


def _judged(manager: Simulates, wanted: t.Mapping[str, str], forbidden: t.Callable[[str], str]) -> Simulation:
    """The simulation, with a problem where apt has none but we have."""
    found = manager.install(wanted)
    if found.problem:
        return found
    if found.removed:
        return dataclasses.replace(found, problem=f"it would remove {', '.join(sorted(found.removed))}")
    reasons = {name: forbidden(name) for name in [*found.upgraded, *found.new] if name not in wanted}
    bad = [f"{name} ({reason})" for name, reason in sorted(reasons.items()) if reason]
    if bad:
        return dataclasses.replace(found, problem=f"it needs {', '.join(bad)}")
    wrong = [name for name, version in wanted.items() if found.upgraded.get(name, ("", ""))[1] != version]
    if wrong:
        names = ", ".join(sorted(wrong))
        return dataclasses.replace(found, problem=f"{manager.name} would not upgrade {names} to that version")
    return found
