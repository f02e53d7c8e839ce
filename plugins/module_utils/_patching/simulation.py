# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt would do: its own simulation is the only judge of what can be installed together.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .dpkg import plain
from .programs import Apt, PatchingError, tail

#: "Inst name [old] (new Label:1/suite, Other:2/suite [amd64]) []"; without [old] it is new.
_INST = re.compile(r"Inst (\S+) (?:\[([^\]]+)\] )?\((\S+) .*")
_REMV = re.compile(r"(?:Remv|Purg) (\S+) \[([^\]]+)\].*")
_DEFERRED = "The following upgrades have been deferred due to phasing:"
#: What is installed by name stays in its version, nothing is removed for it, and nothing comes by recommendation.
INSTALL = (
    "install",
    "-y",
    "--only-upgrade",
    "--no-install-recommends",
    "--no-remove",
    "-o",
    "APT::Get::Fix-Missing=false",
)


@dataclasses.dataclass(frozen=True)
class Simulation:
    """`upgraded`: name -> (from, to). `problem`: why apt would not do it at all; else empty."""

    upgraded: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    new: dict[str, str] = dataclasses.field(default_factory=dict)
    removed: dict[str, str] = dataclasses.field(default_factory=dict)
    deferred: tuple[str, ...] = ()
    problem: str = ""


def read(text: str, architecture: str) -> Simulation:
    """Read what `apt-get --simulate` prints."""
    upgraded, new, removed = {}, {}, {}
    deferred: list[str] = []
    in_deferred = False
    for line in text.splitlines():
        inst, remv = _INST.fullmatch(line), _REMV.fullmatch(line)
        if inst:
            name, old, version = inst.groups()
            name = plain(name, architecture)
            if old:
                upgraded[name] = (old, version)
            else:
                new[name] = version
        elif remv:
            removed[plain(remv.group(1), architecture)] = remv.group(2)
        elif in_deferred and line.startswith(" "):
            deferred += [plain(word, architecture) for word in line.split()]
        in_deferred = line == _DEFERRED or (in_deferred and line.startswith(" "))
    return Simulation(upgraded, new, removed, tuple(deferred))


def upgrade(apt: Apt) -> Simulation:
    """What an upgrade of everything would do that removes nothing.

    :raises PatchingError: when apt cannot say.
    """
    return read(apt.call("apt-get", "--simulate", "-y", "upgrade", "--with-new-pkgs").out, apt.architecture)


def everything(apt: Apt) -> Simulation:
    """What apt would do of everything, whatever it has to remove for it.

    :raises PatchingError: when apt cannot say.
    """
    return read(apt.call("apt-get", "--simulate", "-y", "dist-upgrade").out, apt.architecture)


def install(apt: Apt, wanted: t.Mapping[str, str]) -> Simulation:
    """What installing these very versions would do. That apt refuses is an answer, told in `problem`."""
    words = [f"{name}={version}" for name, version in sorted(wanted.items())]
    done = apt.call("apt-get", "--simulate", *INSTALL, *words, must=False)
    found = read(done.out, apt.architecture)
    if not done.status:
        return found
    return dataclasses.replace(found, problem=_why(f"{done.out}\n{done.err}"))


def _why(text: str) -> str:
    """apt's own words for what stands in the way: the dependencies that are not met, then the error."""
    lines = text.splitlines()
    unmet = [
        line.strip()
        for line in lines
        if re.match(r" +\S+ : (Pre)?Depends|^ {2,}(Pre)?Depends|.*(Breaks|Conflicts):", line)
    ]
    errors = [line[2:].strip() for line in lines if line.startswith("E:")]
    return "; ".join([*unmet[:3], *errors[:2]]) or tail(text, 3) or "apt does not say why"


@dataclasses.dataclass
class Possible:
    """What can be installed together, and why the rest cannot: name -> reason."""

    wanted: dict[str, str]
    simulation: Simulation
    blocked: dict[str, str]


def possible(
    apt: Apt, wanted: t.Mapping[str, str], forbidden: t.Callable[[str], str], known: Simulation | None = None
) -> Possible:
    """The largest part of what is wanted that apt would do without touching anything forbidden.

    :param known: what an upgrade of everything would do. When that is just what is wanted, it need not be asked again:
        a simulation of a hundred packages takes apt seconds.
    :param forbidden: why another package must not be upgraded on the way; empty when it may.
    :raises PatchingError: when no part of it can be found that apt would do.
    """
    is_alone = known is not None and wanted and not known.new and not known.removed
    if is_alone and known and {name: new for name, (_old, new) in known.upgraded.items()} == wanted:
        return Possible(dict(wanted), known, {})
    simulation = _judged(apt, wanted, forbidden)
    if not simulation.problem:
        return Possible(dict(wanted), simulation, {})
    blocked = _blocked(apt, sorted(wanted), wanted, forbidden)
    left = {name: version for name, version in wanted.items() if name not in blocked}
    # Some are possible only together: libraries and what was built with them.
    joint = _judged(apt, left, forbidden) if left else Simulation()
    for name in sorted(blocked) if not joint.problem else ():
        more = _judged(apt, {**left, name: wanted[name]}, forbidden)
        if not more.problem:
            left[name], joint = wanted[name], more
            del blocked[name]
    if joint.problem:
        raise PatchingError(f"apt finds no way to install {', '.join(sorted(left))} together: {joint.problem}")
    return Possible(left, joint, blocked)


def _blocked(
    apt: Apt, names: t.Sequence[str], wanted: t.Mapping[str, str], forbidden: t.Callable[[str], str]
) -> dict[str, str]:
    """Which of those that cannot be installed together are in the way, and why.

    By halves: apt takes a second for each simulation, and of a hundred packages there are few that it keeps back.
    """
    middle = len(names) // 2
    found: dict[str, str] = {}
    for half in (names[:middle], names[middle:]):
        problem = _judged(apt, {name: wanted[name] for name in half}, forbidden).problem if half else ""
        if problem and len(half) == 1:
            found[half[0]] = problem
        elif problem:
            found.update(_blocked(apt, half, wanted, forbidden))
    return found


def _judged(apt: Apt, wanted: t.Mapping[str, str], forbidden: t.Callable[[str], str]) -> Simulation:
    """The simulation, with a problem where apt has none but we have."""
    found = install(apt, wanted)
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
        return dataclasses.replace(found, problem=f"apt would not upgrade {', '.join(sorted(wrong))} to that version")
    return found
