# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of pnpm: pnpm-lock.yaml of lockfileVersion 6 and 9.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from . import plain_yaml, semver
from .changes import NPM
from .locks_node import ASKED_BY_ROOT, asked_for
from .model import Node, Source, SourceError, read_text

FILE = "pnpm-lock.yaml"

_KEY = re.compile(r"(?P<name>(?:@[^/@]+/)?[^/@]+)@(?P<version>.+)")
_GROUPS = ("dependencies", "optionalDependencies", "devDependencies")
_OWN = ("link:", "file:", "workspace:")


def read_pnpm_lock(project: str, file: str, manifest: plain_yaml.Tree) -> Source:
    """:raises SourceError: when it is no lock of pnpm, or one of a version that is not known."""
    lock = read_tree(project, file)
    version = str(lock.get("lockfileVersion") or "")
    if version.partition(".")[0] not in ("6", "9"):
        raise SourceError(f"{file} has the lockfileVersion {version or 'none'}, and only 6 and 9 are read")
    importers = table(lock, "importers") or {".": lock}
    packages = table(lock, "packages")
    if "packages" not in lock and any(asked(importer) for importer in importers.values()):
        raise SourceError(f"{file} has no packages: it was cut off")
    source = Source(project, file, NPM, "lock")
    for key in packages:
        source.add(_node(file, key))
    _link(source, table(lock, "snapshots") or packages)
    for importer in importers.values():
        for name, told in asked(importer).items():
            reference, specifier = (
                (told.get("version"), told.get("specifier")) if isinstance(told, dict) else (told, "")
            )
            key = target(name, str(reference or ""))
            if key in source.nodes:
                source.direct.setdefault(key, _range(lock, name, str(specifier or "")))
            elif not str(reference).startswith(_OWN):
                raise SourceError(f"{file} does not have {name} {reference}, which it asks for itself: it was cut off")
    locked = asked(importers.get(".", {}))
    source.stale += sorted(name for name, wanted in asked_for(manifest, ASKED_BY_ROOT[1:]).items()
                           if _specifier(locked.get(name)) != wanted)  # fmt: skip
    return source


def read_tree(project: str, file: str) -> plain_yaml.Tree:
    """:raises SourceError: when it is not of the little of YAML that pnpm writes."""
    try:
        return plain_yaml.read(read_text(os.path.join(project, file)))
    except plain_yaml.YamlError as exc:
        raise SourceError(f"{file} cannot be read: {exc}") from exc


def table(of: t.Any, name: str) -> plain_yaml.Tree:
    found = of.get(name) if isinstance(of, dict) else None
    return found if isinstance(found, dict) else {}


def asked(importer: t.Any) -> plain_yaml.Tree:
    """What an importer or a snapshot asks for, by the name under which it has it."""
    found: plain_yaml.Tree = {}
    for group in _GROUPS:
        found.update(table(importer, group))
    return found


def _range(lock: plain_yaml.Tree, name: str, specifier: str) -> str:
    """The range that is asked for; it may stand in a catalogue that the projects of a workspace share."""
    if not specifier.startswith("catalog:"):
        return specifier
    catalog = table(table(lock, "catalogs"), specifier[len("catalog:") :] or "default")
    return _specifier(catalog.get(name))


def _specifier(told: t.Any) -> str:
    return str(told.get("specifier") or "") if isinstance(told, dict) else ""


def plain(key: str) -> str:
    """The key without the peers that it was resolved with, and the slash of version 6."""
    return key.lstrip("/").partition("(")[0]


def target(name: str, reference: str) -> str:
    """The key of what a package is resolved to: a version of that name, or of another one (an alias)."""
    bare = plain(reference)
    return f"{name}@{bare}" if semver.parse(bare) else bare if _KEY.fullmatch(bare) else f"{name}@{bare}"


def _node(file: str, key: str) -> Node:
    match = _KEY.fullmatch(plain(key))
    if not match:
        raise SourceError(f"{file} has the package {key!r}, which has no version")
    name, version = match.group("name"), match.group("version")
    if version.startswith(_OWN):
        return Node(plain(key), name, "", own=True)
    if semver.parse(version) is None:
        problem = f"{name} comes from an address, so its version is not known to any registry"
        return Node(plain(key), name, "", problem=problem)
    return Node(plain(key), name, version)


def _link(source: Source, snapshots: plain_yaml.Tree) -> None:
    for key, entry in snapshots.items():
        node = source.nodes.get(plain(key))
        if node is None:
            raise SourceError(f"{source.file} has a snapshot of {key}, but not the package")
        for name, reference in asked(entry).items():
            other = target(name, str(reference))
            if other in source.nodes and other not in node.wants:
                node.wants.append(other)
