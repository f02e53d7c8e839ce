# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package manager a host has.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import shutil
import typing as t

from .apt_manager import AptManager
from .dnf_host import CONFIG, Dnf
from .dnf_manager import DnfManager
from .manager import Manager
from .programs import Apt, environment

APT, DNF = "apt", "dnf"
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_RPM_FAMILY = {"rhel", "fedora", "centos"}


def kind() -> str:
    """apt or dnf. Debian has a package dnf, and Fedora one of apt: where both are there, the release decides."""
    if os.environ.get(CONFIG):
        return DNF
    path = environment()["PATH"]
    has_dnf = bool(shutil.which("dnf", path=path))
    if not has_dnf:
        return APT
    if not shutil.which("apt-get", path=path):
        return DNF
    about = release()
    family = {about.get("ID", ""), *about.get("ID_LIKE", "").split()}
    return DNF if family & _RPM_FAMILY else APT


def manager(timeout: float, state_dir: str = "") -> Manager:
    """The one of this host.

    :raises PatchingError: naming what the host has instead.
    """
    if kind() == DNF:
        return DnfManager(Dnf(timeout), state_dir)
    return AptManager(Apt(timeout=timeout))


def release() -> t.Mapping[str, str]:
    """What the host says of its release."""
    for path in _OS_RELEASE:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                pairs = [line.strip().split("=", 1) for line in file if "=" in line]
        except OSError:
            continue
        return {name: value.strip("\"'") for name, value in pairs}
    return {}
