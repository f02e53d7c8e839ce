# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of an upgrade of packages: all that was installed before and afterwards, and the difference.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import shutil
import typing as t
import urllib.parse

from .._core import cyclonedx
from .._core.evidence import write_evidence
from .dpkg import Installed
from .programs import Apt

#: As many upgrades as are kept: two years of months.
_MOST_KEPT = 24
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")


def keep(
    directory: str,
    apt: Apt,
    packages: tuple[t.Mapping[str, Installed], t.Mapping[str, Installed]],
    told: t.Mapping[str, t.Any],
) -> str:
    """Write it down; where it is.

    :param packages: all that were installed before, and all that are.
    :param told: what else is known, with the moment (`at`) and the name of the `host`.
    :raises OSError: when it cannot be written.
    """
    release = _release(apt)
    before, after = (_bill(apt, one, told["host"], told["at"], release) for one in packages)
    programs = {name: _first_line(apt, name) for name in ("apt-get", "dpkg")}
    place = os.path.join(directory, told["at"].replace(":", ""))
    files = {"sbom-before.json": before, "sbom-after.json": after, "difference.json": told["changes"]}
    write_evidence(place, {**files, "upgrade.json": {**told, "release": release, "programs": programs}})
    for name in sorted(os.listdir(directory))[:-_MOST_KEPT]:
        shutil.rmtree(os.path.join(directory, name))
    return place


def _bill(apt: Apt, packages: t.Mapping[str, Installed], host: str, moment: str, release: dict[str, str]) -> t.Any:
    distribution = release.get("ID") or "debian"
    components = []
    for name, one in sorted(packages.items()):
        base, _colon, architecture = name.partition(":")
        version = urllib.parse.quote(one.version, safe="")
        url = f"pkg:deb/{distribution}/{urllib.parse.quote(base, safe='')}@{version}"
        url += f"?arch={architecture or apt.architecture}"
        components.append({"type": "library", "bom-ref": url, "name": base, "version": one.version, "purl": url})
    root = {"type": "operating-system", "bom-ref": f"host:{host}", "name": host}
    tied = [{"ref": root["bom-ref"], "dependsOn": [one["bom-ref"] for one in components]}]
    return cyclonedx.document(root, components, tied, moment)


def _release(apt: Apt) -> dict[str, str]:
    for path in _OS_RELEASE:
        try:
            with open(apt.in_root(path), encoding="utf-8", errors="replace") as file:
                pairs = [line.strip().split("=", 1) for line in file if "=" in line]
        except OSError:
            continue
        return {name: value.strip("\"'") for name, value in pairs if name in ("ID", "VERSION_ID", "VERSION_CODENAME")}
    return {}


def _first_line(apt: Apt, program: str) -> str:
    return apt.call(program, "--version", must=False).out.partition("\n")[0].strip()
