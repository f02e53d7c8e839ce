# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system with rpm packages of all kinds, the repository it is upgraded from, and the modules run on it."""

from __future__ import annotations

import pathlib
import typing as t

from .dnf import Advisory, Rpm, RpmRepository, RpmSystem
from .patching import Host

#: What others find where a script begins with #!/bin/sh.
SHELL = Rpm("shell", "1.0", fields=("Provides: /bin/sh",))
INSTALLED = (
    SHELL,
    Rpm("alpha", "1.0"),
    Rpm("beta", "1.0", configs={"/etc/beta.conf": "colour=red\n"}),
    Rpm("helper", "1.0"),
    Rpm("needs-helper", "1.0", requires="helper"),
    Rpm("plain", "1.0"),
    Rpm("held", "1.0"),
    Rpm("postgresql-server", "15.1"),
)
#: Scripts of a package that fail, in the section that rpm takes no notice of.
BROKEN = {"post": "echo the cause of it all; exit 3"}


def fix(name: str, **more: t.Any) -> Rpm:
    """The next release of an installed package."""
    return Rpm(name, "1.0", "2", **more)


def about(*packages: Rpm, number: int = 1, severity: str = "Important") -> Advisory:
    """The advisory that a vendor publishes with its fixes."""
    return Advisory(f"TEST-2026:{number}", packages, severity, (f"CVE-2026-000{number}",))


class DnfSite(Host):
    """One host with dnf and the repository of its release, which has advisories."""

    system: RpmSystem

    def __init__(self, directory: pathlib.Path) -> None:
        super().__init__(directory)
        self.base = RpmRepository(directory / "www/base")
        self.system = RpmSystem(directory / "root")
        self.system.repository("base", f"{self.web.url}/base")

    def populate(self, *packages: Rpm) -> None:
        """Installed packages, whose versions their repository has still."""
        chosen = (SHELL, *packages) if packages else INSTALLED
        self.system.install(*chosen)
        self.base.publish(*chosen)

    def publish_fixes(self, *packages: Rpm, **more: t.Any) -> None:
        self.base.publish(*packages, advisories=[about(*packages, **more)])
