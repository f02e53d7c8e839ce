# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a switch: the packages of the release before and of the one afterwards, and how they differ.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The lists are CycloneDX 1.6, see _core.cyclonedx. Where a package lies in a release is an occurrence of it, see
https://cyclonedx.org/docs/1.6/json/#components_items_evidence_occurrences. The digest of its contents is one of all its
files, which no algorithm of `hashes` is, so it stands beside that place.
"""

from __future__ import annotations

import os
import typing as t

from .._core import cyclonedx
from .._core.evidence import directory_of, keep_newest, write_evidence
from . import inventory
from .inventory import Package

Table = t.Dict[str, t.Any]
#: A release by its name, and its packages; the name is empty when there was none.
Side = t.Tuple[str, t.Sequence[Package]]

#: Switches of one application. A large one has megabytes of packages.
_MOST_KEPT = 24
_MOST_BYTES = 1 << 28


def bill_of(application: str, side: Side, moment: str) -> Table:
    """The list of parts of a release."""
    release, packages = side
    components: dict[str, Table] = {}
    for one in sorted(packages, key=Package.to_list):
        url = cyclonedx.package_url(one.ecosystem, one.name, one.version)
        place = {"location": one.place}
        if one.content:
            place["additionalContext"] = f"SHA-256 of its contents: {one.content}"
        known = components.setdefault(url, _component(url, one))
        known["evidence"]["occurrences"].append(place)
    root: Table = {"type": "application", "bom-ref": f"release:{application}@{release}", "name": application}
    if release:
        root["version"] = release
    tied = [{"ref": root["bom-ref"], "dependsOn": sorted(components)}]
    return cyclonedx.document(root, [components[url] for url in sorted(components)], tied, moment)


def _component(url: str, package: Package) -> Table:
    group, _slash, bare = package.name.rpartition("/")
    about = {"name": bare, "version": package.version, "purl": url, "evidence": {"occurrences": []}}
    return {"type": "library", "bom-ref": url, **({"group": group} if group else {}), **about}


def place_of(state_dir: str, directory: str, moment: str, release: str) -> str:
    """Where the evidence of a switch is. Names begin with the moment, which is how the oldest are found."""
    parent = directory_of(os.path.join(state_dir, "evidence"), directory)
    return os.path.join(parent, f"{moment.replace(':', '')}-{release}")


def keep(place: str, before: Side, after: Side, told: t.Mapping[str, t.Any]) -> Table:
    """Write it down; where it is, and the SHA-256 of each file.

    :param told: what else is known, with the moment (`at`) and the name of the `application`.
    :raises OSError: when it cannot be written.
    """
    files = {
        "sbom-before.json": bill_of(told["application"], before, told["at"]),
        "sbom-after.json": bill_of(told["application"], after, told["at"]),
        "difference.json": inventory.difference(before[1], after[1]),
        "switch.json": {**told, "before": before[0], "after": after[0]},
    }
    digests = write_evidence(place, files)
    keep_newest(place, _MOST_KEPT, _MOST_BYTES)
    return {"directory": place, "sha256": digests}
