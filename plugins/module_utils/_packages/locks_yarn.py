# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of Yarn: yarn.lock of version 1, and of Yarn 2 and newer ("Berry").

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from . import npm, plain_yaml
from .changes import NPM
from .locks_node import ASKED_BY_ROOT, asked_for
from .model import Node, Source, SourceError, read_text

FILE = "yarn.lock"

_HEAD_1 = "# yarn lockfile v1"
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s,"]+')
_PROTOCOL = re.compile(r"(?P<name>(?:@[^/@]+/)?[^/@]+)@(?P<protocol>[a-z]+):(?P<rest>.*)")
_OWN = ("workspace", "link", "portal", "file")
_GROUPS = ("dependencies", "optionalDependencies")

#: What an entry tells: its specifications, version, where it comes from, and what it needs.
Entry = t.Dict[str, t.Any]


def read_yarn_lock(project: str, file: str, manifest: plain_yaml.Tree) -> Source:
    """:raises SourceError: when it is no lock of Yarn."""
    text = read_text(os.path.join(project, file))
    source = Source(project, file, NPM, "lock")
    asked = asked_for(manifest, ASKED_BY_ROOT[1:])
    resolutions = manifest.get("resolutions")
    # A resolution takes the place of what others ask for, by whatever range.
    chosen = {last_name(str(name)) for name in resolutions} if isinstance(resolutions, dict) else set()
    if "__metadata:" in text:
        specifications = _read_berry(source, text, chosen)
    elif _HEAD_1 in text:
        specifications = _read_1(source, text, chosen)
    else:
        raise SourceError(f"{file} says neither that it is of version 1, nor has it __metadata: it was cut off")
    for name, wanted in asked.items():
        key = specifications.get(f"{name}@{wanted}") or specifications.get(f"{name}@npm:{wanted}")
        if key:
            source.direct[key] = wanted
        elif not wanted.startswith(tuple(f"{protocol}:" for protocol in _OWN)):
            source.stale.append(name)
    source.stale.sort()
    return source


def last_name(path: str) -> str:
    """Of a resolution: "parent/**/@scope/name@npm:^1" is about @scope/name."""
    match = re.search(r"((?:@[^/@]+/)?[^/@]+)(?:@[^/]*(?:/[^/]*)?)?$", path)
    return match.group(1) if match else path


def _targets(
    source: Source, specifications: t.Mapping[str, str], name: str, wanted: str, chosen: t.Collection[str]
) -> list[str]:
    """The keys of what a package needs.

    :raises SourceError: when it is not in the lock.
    """
    target = specifications.get(f"{name}@{wanted}") or specifications.get(f"{name}@npm:{wanted}")
    if target:
        return [target]
    if name in chosen:
        return [node.key for node in source.named(name)]
    raise SourceError(
        f"{source.file} lacks {name} {wanted}, which others in it need: it was cut off, or merged by hand"
    )


def real(name: str, wanted: str) -> str:
    """The name of the package: an alias is written "npm:real@^1"."""
    if wanted.startswith("npm:") and "@" in wanted[5:]:
        return wanted[4:].rpartition("@")[0]
    return name


def split(specification: str) -> tuple[str, str]:
    """The name and the range that somebody asks for."""
    name, _at, wanted = specification[1:].partition("@")
    return specification[0] + name, wanted


# -- version 1 -------------------------------------------------------------------------------------------------------


def _read_1(source: Source, text: str, chosen: t.Collection[str]) -> dict[str, str]:
    entries = entries_1(source.file, text)
    specifications: dict[str, str] = {}
    for entry in entries:
        name, wanted = split(entry["specifications"][0])
        package, version = real(name, wanted), entry.get("version", "")
        if not version:
            raise SourceError(f"{source.file} has {name} without its version")
        key = f"{package}@{version}"
        is_here = wanted.startswith(("file:", "link:"))
        bare = wanted[len("npm:") :].rpartition("@")[2] if wanted.startswith("npm:") else wanted
        is_asked = npm.can_be_asked(bare) or is_here
        problem = "" if is_asked else f"{package} comes from an address, so its version is not known to any registry"
        source.add(Node(key, package, version if is_asked else "", own=is_here, problem=problem))
        specifications.update(dict.fromkeys(entry["specifications"], key))
        entry["key"] = key
    for entry in entries:
        for name, wanted in entry.get("wants", []):
            source.nodes[entry["key"]].wants += _targets(source, specifications, name, wanted, chosen)
    return specifications


def entries_1(file: str, text: str) -> list[Entry]:
    """The entries in their order, as they are written.

    :raises SourceError: when a line is none of Yarn 1.
    """
    entries: list[Entry] = []
    is_in_group = False
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip(" "))
        words = [_unquoted(word) for word in _WORD.findall(bare.rstrip(":") if bare.endswith(":") else bare)]
        if depth == 0 and bare.endswith(":") and words:
            entries.append({"specifications": words, "wants": []})
            is_in_group = False
        elif depth == 2 and entries and bare.endswith(":"):
            is_in_group = bare[:-1] in _GROUPS
        elif depth == 2 and entries and len(words) == 2:
            entries[-1].setdefault(words[0], words[1])
            is_in_group = False
        elif depth == 4 and entries and len(words) == 2:
            if is_in_group:
                entries[-1]["wants"].append((words[0], words[1]))
        else:
            raise SourceError(f"{file} cannot be read: line {number} is none of Yarn 1")
    return entries


def _unquoted(word: str) -> str:
    return word[1:-1].replace('\\"', '"') if word.startswith('"') else word


# -- Yarn 2 and newer ------------------------------------------------------------------------------------------------


def _read_berry(source: Source, text: str, chosen: t.Collection[str]) -> dict[str, str]:
    try:
        lock = plain_yaml.read(text)
    except plain_yaml.YamlError as exc:
        raise SourceError(f"{source.file} cannot be read: {exc}") from exc
    specifications: dict[str, str] = {}
    members: list[plain_yaml.Tree] = []
    entries: list[tuple[str, plain_yaml.Tree]] = []
    for head, entry in lock.items():
        if head == "__metadata":
            continue
        match = _PROTOCOL.fullmatch(str(entry.get("resolution") or "")) if isinstance(entry, dict) else None
        if match is None or not entry.get("version"):
            raise SourceError(f"{source.file} has {head[:80]} without its version or resolution")
        name, protocol, version = match.group("name"), match.group("protocol"), str(entry["version"])
        key = f"{name}@{protocol}:{match.group('rest')}"
        is_own = protocol in _OWN
        is_known = protocol in ("npm", "patch")
        problem = (
            "" if is_own or is_known else f"{name} comes from an address, so its version is not known to any registry"
        )
        source.add(Node(key, name, version if is_known else "", own=is_own, problem=problem))
        specifications.update(dict.fromkeys((part.strip() for part in head.split(",")), key))
        entries.append((key, entry))
        if protocol == "workspace":
            members.append(entry)
    for key, entry in entries:
        for name, wanted in _needs(entry).items():
            source.nodes[key].wants += _targets(source, specifications, name, wanted, chosen)
    for member in members:
        for name, wanted in _needs(member).items():
            target = specifications.get(f"{name}@{wanted}") or specifications.get(f"{name}@npm:{wanted}")
            if target:
                source.direct.setdefault(target, wanted[len("npm:") :] if wanted.startswith("npm:") else wanted)
    return specifications


def _needs(entry: plain_yaml.Tree) -> dict[str, str]:
    needs = entry.get("dependencies")
    return {name: str(wanted) for name, wanted in needs.items()} if isinstance(needs, dict) else {}
