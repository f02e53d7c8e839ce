# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of parts of a project: CycloneDX 1.6 in JSON (ECMA-424), from what its locks and files tell.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

See _core.cyclonedx.
"""

from __future__ import annotations

import collections
import os
import typing as t

from .._core import cyclonedx
from .looking import askable
from .model import Project

Table = t.Dict[str, t.Any]
#: Ecosystem and name.
Part = t.Tuple[str, str]


def parts_of(project: Project) -> dict[Part, set[str]]:
    """The versions of each package that the project names, without what is its own."""
    found: dict[Part, set[str]] = collections.defaultdict(set)
    for source in project.sources:
        for node in askable(source):
            found[(source.ecosystem, node.name)].add(node.version)
    return dict(found)


def bill_of(project: Project, path: str, moment: str, hashes: t.Mapping[str, t.Sequence[str]]) -> Table:
    """:param hashes: SHA-256 of the files of packages that are known, by package URL."""
    root = f"project:{os.path.basename(path)}"
    components: dict[str, Table] = {}
    wants: dict[str, set[str]] = {root: set()}
    for source in project.sources:
        refs = {node.key: cyclonedx.package_url(source.ecosystem, node.name, node.version) for node in askable(source)}
        for node in askable(source):
            ref = refs[node.key]
            one = components.setdefault(ref, _component(ref, node.name, node.version, hashes.get(ref, ())))
            one["properties"].append({"name": f"{cyclonedx.TOOL}:file", "value": source.file})
            wants.setdefault(ref, set()).update(refs[key] for key in node.wants if key in refs)
        wants[root].update(refs[key] for key in source.direct if key in refs)
    for one in components.values():
        told = {(entry["name"], entry["value"]) for entry in one["properties"]}
        one["properties"] = [{"name": name, "value": value} for name, value in sorted(told)]
    listed = [components[ref] for ref in sorted(components)]
    tied = [{"ref": ref, "dependsOn": sorted(wants[ref] - {ref})} for ref in sorted(wants)]
    about = {"type": "application", "bom-ref": root, "name": os.path.basename(path)}
    return cyclonedx.document(about, listed, tied, moment)


def _component(ref: str, name: str, version: str, hashes: t.Sequence[str]) -> Table:
    group, slash, bare = name.rpartition("/")
    found: Table = {"type": "library", "bom-ref": ref}
    if slash:
        found["group"] = group
    found.update({"name": bare, "version": version, "purl": ref, "properties": []})
    if hashes:
        found["hashes"] = [{"alg": "SHA-256", "content": digest} for digest in sorted(set(hashes))]
    return found


def difference(before: t.Mapping[Part, set[str]], after: t.Mapping[Part, set[str]]) -> list[Table]:
    """What is other than it was, package by package."""
    found = []
    for ecosystem, name in sorted({*before, *after}):
        old, new = before.get((ecosystem, name), set()), after.get((ecosystem, name), set())
        if old != new:
            gone, come = sorted(old - new), sorted(new - old)
            found.append({"ecosystem": ecosystem, "package": name, "before": gone, "after": come})
    return found
