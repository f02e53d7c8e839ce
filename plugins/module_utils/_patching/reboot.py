# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the host has to be rebooted, why, and how it can be told that it was.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from . import versions
from .packages import Installed
from .programs import Apt

_IMAGE = re.compile(r"linux-image-(?:unsigned-)?(?P<release>\d[^:]*)")
_BUILT = re.compile(r"\((?:Debian|Ubuntu) (?P<version>\d\S*)\)|(?:Debian|Ubuntu) (?P<plain>\d\S*)")
_ASKED = "run/reboot-required"
#: needrestart: 1 is "current", 0 "unknown".
_OLD_KERNEL = (2, 3)


@dataclasses.dataclass
class Reboot:
    """`reasons` is empty when none is needed. `boot_id` changes with every start of the kernel."""

    boot_id: str
    running: str
    newest: str
    reasons: list[str] = dataclasses.field(default_factory=list)

    def to_dict(self) -> dict[str, t.Any]:
        about = {"boot_id": self.boot_id, "running_kernel": self.running, "newest_kernel": self.newest}
        return {"needed": bool(self.reasons), "reasons": list(self.reasons), **about}


def look(apt: Apt, packages: t.Mapping[str, Installed], kernel_state: int = 0, expected: str = "") -> Reboot:
    """:param kernel_state: what needrestart says of the kernel, and which one it expects; 0 where it is not there."""
    running = os.uname().release
    newest = _newest(packages, running)
    found = Reboot(_read("/proc/sys/kernel/random/boot_id"), running, newest)
    asked = apt.in_root(_ASKED)
    if os.path.exists(asked):
        by = ", ".join(sorted(set(_read(f"{asked}.pkgs").split())))
        found.reasons.append(f"{asked} is there" + (f", for {by}" if by else ""))
    if newest and versions.is_newer(newest, running):
        found.reasons.append(f"the kernel {newest} is installed, {running} runs")
    elif kernel_state in _OLD_KERNEL:
        found.reasons.append(f"needrestart expects the kernel {expected or 'that is installed'}, {running} runs")
    found.reasons += _same_name(packages, running)
    return found


def _newest(packages: t.Mapping[str, Installed], running: str) -> str:
    """The newest installed kernel of the running one's flavour ("6.1.0-35-cloud-amd64": cloud-amd64)."""
    matches = [match for name in packages if (match := _IMAGE.fullmatch(name.partition(":")[0]))]
    releases = [match.group("release") for match in matches if flavour(match.group("release")) == flavour(running)]
    return max(releases, key=versions.key, default="")


def flavour(release: str) -> str:
    """What a kernel is built for: what is behind its numbers, as in 6.12.41+deb13-rt-amd64 or 6.8.0-31-generic."""
    parts = release.split("-")
    numbers = [place for place, part in enumerate(parts) if part[:1].isdigit()]
    return "-".join(parts[numbers[-1] + 1 :]) if numbers else release


def _same_name(packages: t.Mapping[str, Installed], running: str) -> list[str]:
    """A kernel may be replaced by a newer build of the same name."""
    package = next((one for name, one in packages.items() if _is_image(name, running)), None)
    match = _BUILT.search(_read("/proc/version"))
    if package is None or match is None:
        return []
    built = match.group("version") or match.group("plain")
    if versions.is_newer(package.version, built):
        return [f"the kernel {running} is installed as {package.version}, and runs as {built}"]
    return []


def _is_image(name: str, release: str) -> bool:
    match = _IMAGE.fullmatch(name.partition(":")[0])
    return bool(match and match.group("release") == release)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
