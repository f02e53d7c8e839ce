# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt would do, by its own simulation.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .dpkg import plain
from .possible import Simulation
from .programs import Apt, tail

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
