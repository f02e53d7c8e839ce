# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of an upgrade of packages: all that was installed before and afterwards, and the difference.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core import cyclonedx
from .._core.evidence import keep_newest, new_place, write_evidence
from .manager import Manager
from .packages import Installed

#: As many upgrades as are kept: two years of months.
_MOST_KEPT = 24
_MOST_BYTES = 1 << 28
#: Of configuration files so many have their difference in the record, and so much of each.
_MOST_FILES, _MOST_DIFF = 20, 4000
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")


def keep(
    directory: str,
    manager: Manager,
    packages: tuple[t.Mapping[str, Installed], t.Mapping[str, Installed]],
    told: t.Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """Write it down; where it is, and the SHA-256 of each file.

    :param packages: all that were installed before, and all that are.
    :param told: what else is known, with the moment (`at`) and the name of the `host`.
    :raises OSError: when it cannot be written.
    """
    release = _release(manager)
    before, after = (_bill(manager, one, told["host"], told["at"], release) for one in packages)
    programs = {name: manager.version_of(name) for name in manager.programs}
    place = new_place(directory, told["at"])
    files = {"sbom-before.json": before, "sbom-after.json": after, "difference.json": told["changes"]}
    digests = write_evidence(place, {**files, "upgrade.json": {**told, "release": release, "programs": programs}})
    keep_newest(place, _MOST_KEPT, _MOST_BYTES)
    return {"directory": place, "sha256": digests}


def choices(files: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """What became of configuration files, short enough for a record; the evidence has all of it."""
    found = []
    for number, one in enumerate(files):
        about = {"package": one["package"], "other": one["other"]}
        shown = one["diff"][:_MOST_DIFF] if number < _MOST_FILES else "see the evidence"
        action = "keep" if one["used"] == "own" else "replace"
        found.append({"subject": one["path"], "action": action, **about, "diff": shown})
    return found


def _bill(
    manager: Manager, packages: t.Mapping[str, Installed], host: str, moment: str, release: dict[str, str]
) -> t.Any:
    components = []
    for name, one in sorted(packages.items()):
        for version in one.versions:
            url = manager.url(name, version, release)
            base = name.partition(":")[0]
            components.append({"type": "library", "bom-ref": url, "name": base, "version": version, "purl": url})
    root = {"type": "operating-system", "bom-ref": f"host:{host}", "name": host}
    tied = [{"ref": root["bom-ref"], "dependsOn": [one["bom-ref"] for one in components]}]
    return cyclonedx.document(root, components, tied, moment)


def _release(manager: Manager) -> dict[str, str]:
    for path in _OS_RELEASE:
        try:
            with open(manager.in_root(path), encoding="utf-8", errors="replace") as file:
                pairs = [line.strip().split("=", 1) for line in file if "=" in line]
        except OSError:
            continue
        return {name: value.strip("\"'") for name, value in pairs if name in ("ID", "VERSION_ID", "VERSION_CODENAME")}
    return {}
