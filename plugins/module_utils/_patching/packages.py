# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages as they are installed, whichever manager knows of them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Installed:
    """One package as it is. `name` has the architecture behind it where that is not the host's own.

    `others`: older versions that are installed beside this one, as kernels are where rpm installs them.
    """

    name: str
    version: str
    wanted: str
    state: str
    flag: str
    size: int
    others: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        return self.state == "installed" and self.flag == "ok"

    @property
    def is_held(self) -> bool:
        return self.wanted == "hold"

    @property
    def versions(self) -> tuple[str, ...]:
        return (self.version, *self.others)


@dataclasses.dataclass(frozen=True)
class Interrupted:
    """Packages that are neither wholly there nor gone, and whether `program` itself was cut off."""

    packages: tuple[str, ...]
    is_cut_off: bool
    program: str = "dpkg"

    def __bool__(self) -> bool:
        return bool(self.packages) or self.is_cut_off

    def told(self) -> str:
        if self.packages:
            return f"{self.program} was interrupted: {', '.join(self.packages)}"
        return f"{self.program} was interrupted while it wrote down what it had done"


def as_it_began(
    there: t.Mapping[str, Installed], packages: t.Mapping[str, t.Mapping[str, str]], new: t.Collection[str]
) -> dict[str, Installed]:
    """What was installed before an upgrade that a killed run began, from what is there now.

    :param packages: those that it was to change, each with its version of before (`from`).
    :param new: those that it was to bring along.
    """
    found = {name: one for name, one in there.items() if name not in new}
    for name, about in packages.items():
        one, old = there.get(name), about["from"]
        if one is not None and one.version != old:
            others = tuple(version for version in one.others if version != old)
            found[name] = dataclasses.replace(one, version=old, others=others)
    return found


def versions_changed(before: t.Mapping[str, Installed], after: t.Mapping[str, Installed]) -> list[dict[str, str]]:
    """Every package whose version is another one now; empty where it was not there, or is not any more.

    Of a package with several versions each that came or went is told by itself.
    """
    found = []
    for name in sorted({*before, *after}):
        old, new = _versions(before.get(name)), _versions(after.get(name))
        gone = [version for version in old if version not in new]
        come = [version for version in new if version not in old]
        if len(gone) == len(come) == 1:
            found.append({"name": name, "before": gone[0], "after": come[0]})
            continue
        found += [{"name": name, "before": version, "after": ""} for version in gone]
        found += [{"name": name, "before": "", "after": version} for version in come]
    return found


def _versions(package: Installed | None) -> tuple[str, ...]:
    """Where an upgrade was cut off both versions are there: what counts is the one that it began with."""
    if package is None:
        return ()
    return package.versions if package.is_whole else package.versions[-1:]
