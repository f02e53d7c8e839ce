# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of npm: package-lock.json, npm-shrinkwrap.json, and the one that npm keeps in node_modules.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import json
import os
import typing as t

from .changes import NPM
from .model import Node, Source, SourceError, read_text

#: What npm itself wrote into node_modules when it installed.
HIDDEN = os.path.join("node_modules", ".package-lock.json")

_MODULES = "node_modules/"
_ASKED = ("dependencies", "optionalDependencies", "peerDependencies")
ASKED_BY_ROOT = ("peerDependencies", "optionalDependencies", "devDependencies", "dependencies")
_FROM_ADDRESS = ("git+", "git:", "git@", "ssh:", "github:", "gitlab:", "bitbucket:", "gist:")

Table = t.Dict[str, t.Any]


def read_json(path: str) -> Table:
    """:raises SourceError: when it is no JSON object."""
    text = read_text(path)
    name = os.path.basename(path)
    try:
        found = json.loads(text)
    except ValueError as exc:
        raise SourceError(f"{name} is not JSON: {exc}") from exc
    except RecursionError as exc:
        raise SourceError(f"{name} is nested too deeply to be a lock") from exc
    if not isinstance(found, dict):
        raise SourceError(f"{name} is no JSON object")
    return found


def read_npm_lock(project: str, file: str, manifest: Table) -> Source:
    """:raises SourceError: when it is no lock of npm."""
    lock = read_json(os.path.join(project, file))
    source = Source(project, file, NPM, "environment" if file == HIDDEN else "lock")
    if isinstance(lock.get("packages"), dict):
        _read_packages(source, lock["packages"], manifest)
    elif lock.get("lockfileVersion") == 1 and isinstance(lock.get("dependencies", {}), dict):
        _read_nested(source, lock.get("dependencies", {}), manifest)
    else:
        raise SourceError(f"{file} has neither packages nor dependencies of lockfileVersion 1: it is no lock of npm")
    if source.kind == "lock":
        _compare(source, lock, manifest)
    return source


def asked_for(table: Table, names: t.Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        wanted = table.get(name)
        found.update({key: str(value) for key, value in wanted.items()} if isinstance(wanted, dict) else {})
    return found


def _read_packages(source: Source, packages: Table, manifest: Table) -> None:
    entries: dict[str, Table] = {path: entry for path, entry in packages.items() if isinstance(entry, dict)}
    if len(entries) != len(packages):
        raise SourceError(f"{source.file} has packages that are no objects")
    for path, entry in entries.items():
        if path and not entry.get("link"):
            source.add(_node(path, entry))
    for path in source.nodes:
        _link(source, entries, path)
    root = entries.get("") or manifest
    needed = _needed(root, ("devDependencies", "dependencies"))
    for name, wanted in asked_for(root, ASKED_BY_ROOT).items():
        target = _resolve(entries, "", name)
        if target:
            source.direct[target] = wanted
        elif name in needed:
            _lacks(source, name, "the project")
    for entry in entries.values():
        if entry.get("link") and str(entry.get("resolved")) in source.nodes:
            source.direct.setdefault(str(entry["resolved"]), "")


def _link(source: Source, entries: t.Mapping[str, Table], path: str) -> None:
    """Which packages it needs. What a member of the workspace asks for, the project itself asks for."""
    is_member = _MODULES not in path
    entry = entries[path]
    # What comes in the archive of another package need not be all there.
    needed = set() if entry.get("inBundle") else _needed(entry, ("dependencies",))
    for name, wanted in asked_for(entry, ASKED_BY_ROOT if is_member else _ASKED).items():
        target = _resolve(entries, path, name)
        if target:
            source.nodes[path].wants.append(target)
            if is_member:
                source.direct.setdefault(target, wanted)
        elif name in needed:
            _lacks(source, name, path.rpartition(_MODULES)[2])


def _needed(entry: Table, names: t.Sequence[str]) -> set[str]:
    """What must be there: optional packages and peers may be left out."""
    optional = {*asked_for(entry, ("optionalDependencies",)), *asked_for(entry, ("peerDependencies",))}
    bundled = entry.get("bundleDependencies") or entry.get("bundledDependencies") or ()
    return set(asked_for(entry, names)) - optional - set(bundled if isinstance(bundled, list) else ())


def _lacks(source: Source, name: str, who: str) -> None:
    """A lock that lacks a package tells nothing of it. What npm installed may lack what was left out on purpose."""
    if source.kind == "lock":
        source.problems.append(f"it lacks {name}, which {who} needs: it was cut off, or merged by hand")


def _node(path: str, entry: Table) -> Node:
    is_member = _MODULES not in path
    name = str(entry.get("name") or path.rpartition(_MODULES)[2])
    return _checked(path, name, str(entry.get("version") or ""), str(entry.get("resolved") or ""), is_member)


def _checked(key: str, name: str, version: str, origin: str, own: bool) -> Node:
    if own or origin.startswith("file:"):
        return Node(key, name, version, own=True)
    if origin.startswith(_FROM_ADDRESS):
        return Node(
            key, name, "", problem=f"{name} comes from a repository, so its version is not known to any registry"
        )
    return Node(key, name, version, problem="" if version else f"{name} has no version in the lock")


def _resolve(entries: t.Mapping[str, Table], path: str, name: str) -> str:
    """Which package is found from there: beside, else in a directory above; empty when it is not installed."""
    place = path
    while True:
        candidate = f"{place}/{_MODULES}{name}" if place else f"{_MODULES}{name}"
        entry = entries.get(candidate)
        if entry is not None:
            return str(entry.get("resolved") or "") if entry.get("link") else candidate
        if not place:
            return ""
        place = place.rpartition(f"/{_MODULES}")[0] if f"/{_MODULES}" in place else ""


def _read_nested(source: Source, dependencies: Table, manifest: Table) -> None:
    """lockfileVersion 1: packages in packages."""
    entries: dict[str, Table] = {}

    def take(inside: str, tables: Table) -> None:
        for name, entry in tables.items():
            if not isinstance(entry, dict):
                raise SourceError(f"{source.file} has dependencies that are no objects")
            path = f"{inside}/{_MODULES}{name}" if inside else f"{_MODULES}{name}"
            entries[path] = entry
            version = str(entry.get("version") or "")
            # An alias is written "npm:name@1.2.3".
            real, at, number = version[4:].rpartition("@") if version.startswith("npm:") else (name, "", version)
            origin = version if version.startswith(("file:", *_FROM_ADDRESS)) else ""
            source.add(_checked(path, real if at else name, number, origin, own=False))
            take(path, entry.get("dependencies") or {})

    take("", dependencies)
    for path, entry in entries.items():
        wants = entry.get("requires")
        names = wants if isinstance(wants, dict) else {}
        source.nodes[path].wants += [target for name in names for target in [_resolve(entries, path, name)] if target]
    asked = asked_for(manifest, ASKED_BY_ROOT)
    source.direct = {f"{_MODULES}{name}": wanted for name, wanted in asked.items() if f"{_MODULES}{name}" in entries}
    if not asked:
        needed = {key for node in source.nodes.values() for key in node.wants}
        source.direct = {key: "" for key in source.nodes if key not in needed}


def _compare(source: Source, lock: Table, manifest: Table) -> None:
    """What package.json asks for and the lock does not know: then the lock is older."""
    packages = lock.get("packages")
    asked = asked_for(manifest, ASKED_BY_ROOT)
    if isinstance(packages, dict):
        root = packages.get("")
        locked = asked_for(root, ASKED_BY_ROOT) if isinstance(root, dict) else {}
        source.stale += sorted(name for name, wanted in asked.items() if locked.get(name) != wanted)
    else:
        source.stale += sorted(name for name in asked if f"{_MODULES}{name}" not in source.nodes)
