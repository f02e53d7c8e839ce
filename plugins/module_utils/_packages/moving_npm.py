# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves in package.json and its lock, written by npm itself.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

`npm audit fix` moves what nobody asked it to, and `npm install NAME@VERSION` rewrites ranges that fit already. So npm
is given the wanted versions for a moment (exact ones for what the project asks for, overrides below it), writes its
lock by them, and gets the manifest back as it was, with other ranges only where the new version would not fit.
"""

from __future__ import annotations

import copy
import json
import os
import re
import typing as t

from . import semver
from .changes import NPM
from .locks_node import ASKED_BY_ROOT, Table, asked_for, read_json, read_npm_lock
from .model import Node, Source, SourceError
from .moving import Move, StepError, Tools, must_end_well, read_bytes, replace_bytes
from .running import run

_MANIFEST = "package.json"
_PREFIX = re.compile(r"(?P<prefix>\^|~|>=|)\s*v?\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?")


def ranges_of(source: Source, node: Node) -> list[tuple[str, str]]:
    """Which packages of the lock ask for this one, each with its range; the project itself not among them."""
    entries = _entries(source)
    found = []
    for path, other in source.nodes.items():
        if node.key in other.wants:
            entry = entries.get(path, {})
            names = ("dependencies", "optionalDependencies", "peerDependencies", "requires")
            wanted = asked_for(entry, names).get(node.key.rpartition("node_modules/")[2])
            if wanted:
                found.append((f"{other.name} {other.version}", wanted))
    return found


def _entries(source: Source) -> dict[str, Table]:
    packages = read_json(os.path.join(source.project, source.file)).get("packages")
    return (
        {path: entry for path, entry in packages.items() if isinstance(entry, dict)}
        if isinstance(packages, dict)
        else {}
    )


def can_be_moved(source: Source) -> str:
    """Why this lock cannot be written; empty when it can."""
    if not os.path.isfile(os.path.join(source.project, _MANIFEST)):
        return "there is no package.json beside it"
    if not _entries(source):
        return (
            "it is of lockfileVersion 1, which does not say who asks for what: run npm install with npm 7 or newer once"
        )
    members = [node.key for node in source.nodes.values() if "node_modules/" not in node.key]
    return f"workspaces are not updated ({members[0]})" if members else ""


def move_npm(source: Source, moves: t.Sequence[Move], tools: Tools, scratch: str) -> list[Move]:
    """Have npm write the moves into the lock; what it brought or took away with them.

    :raises StepError: when npm cannot, or would move what nothing of this needs.
    """
    before = {node.key: (node.name, node.version) for node in source.nodes.values()}
    old_source = source
    path = os.path.join(source.project, _MANIFEST)
    original = read_bytes(path)
    manifest = json.loads(original)
    direct = {source.nodes[key].name: key for key in source.direct if key in source.nodes}
    wanted_now, wanted_then = copy.deepcopy(manifest), copy.deepcopy(manifest)
    for move in moves:
        _want(source, move, direct, wanted_now, wanted_then)
    os.makedirs(scratch, mode=0o700)
    replace_bytes(path, json.dumps(wanted_now, indent=2).encode())
    _npm(source, tools, scratch)
    replace_bytes(path, _edited(original, manifest, wanted_then))
    _npm(source, tools, scratch)
    try:
        again = read_npm_lock(source.project, source.file, read_json(path))
    except SourceError as exc:
        raise StepError("resolve", f"npm wrote a lock that cannot be read: {exc}") from exc
    after = {node.key: (node.name, node.version) for node in again.nodes.values()}
    for move in moves:
        left = [key for key, pair in after.items() if pair == (move.package, move.old)]
        if left or (move.package, move.new) not in after.values():
            told = sorted({version for name, version in after.values() if name == move.package})
            raise StepError(
                "resolve", f"npm locks {move.package} {', '.join(told) or 'not at all'} instead of {move.new}"
            )
        move.files = [source.file] + ([_MANIFEST] if wanted_then != manifest else [])
    return _also(old_source, again, before, after, moves)


def _want(source: Source, move: Move, direct: t.Mapping[str, str], now: Table, then: Table) -> None:
    """The exact version for now, and the range that stays."""
    places = [node.key for node in source.named(move.package) if node.version == move.old]
    key = direct.get(move.package)
    if key in places:
        for section in ASKED_BY_ROOT:
            table = now.get(section)
            for name, wanted in list(table.items()) if isinstance(table, dict) else ():
                if f"node_modules/{name}" == key:
                    now[section][name], then[section][name] = _specs(name, str(wanted), move)
    for place in places:
        if place == key:
            continue
        name = place.rpartition("node_modules/")[2]
        for node in source.nodes.values():
            if place in node.wants:
                override = now.setdefault("overrides", {}).setdefault(node.name, {})
                if not isinstance(override, dict):
                    raise StepError("resolve", f"package.json overrides {node.name} already: change that by hand")
                override[name] = move.new


def _specs(name: str, wanted: str, move: Move) -> tuple[str, str]:
    """What to ask for in this moment, and afterwards; a range that fits stays as it is."""
    alias = f"npm:{move.package}@" if wanted.startswith("npm:") else ""
    bare = wanted[len(alias) :] if alias and wanted.startswith(alias) else wanted
    exact = f"{alias}{move.new}"
    if not semver.is_range(bare) or semver.satisfies(move.new, bare):
        return exact, wanted
    match = _PREFIX.fullmatch(bare.strip())
    if not match:
        raise StepError(
            "resolve", f"package.json asks for {name} {wanted!r}, which {move.new} does not fit: change it by hand"
        )
    return exact, f"{alias}{match.group('prefix')}{move.new}"


def _edited(original: bytes, before: Table, after: Table) -> bytes:
    """The manifest with other ranges, all else byte for byte."""
    text = original.decode("utf-8")
    for section in ASKED_BY_ROOT:
        for name, wanted in (after.get(section) or {}).items():
            old = before[section][name]
            if old == wanted:
                continue
            pattern = re.compile(rf"({re.escape(json.dumps(name))}\s*:\s*){re.escape(json.dumps(old))}")
            expected = json.loads(text)
            expected[section][name] = wanted
            for match in pattern.finditer(text):
                candidate = f"{text[: match.start()]}{match.group(1)}{json.dumps(wanted)}{text[match.end() :]}"
                if json.loads(candidate) == expected:
                    text = candidate
                    break
            else:
                raise StepError(
                    "resolve", f"the range of {name} was not found in package.json as it is read: change it by hand"
                )
    return text.encode("utf-8")


def _npm(source: Source, tools: Tools, scratch: str) -> None:
    patience = str(max(1, round(tools.answer_timeout * 1000)))
    version = read_json(os.path.join(source.project, source.file)).get("lockfileVersion", 3)
    command = [
        tools.npm,
        "install",
        "--package-lock-only",
        "--package-lock",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]
    command += ["--global=false", "--loglevel=error", "--no-update-notifier", f"--lockfile-version={version}"]
    command += ["--cache", os.path.join(scratch, "npm-cache"), "--fetch-retries=1", f"--fetch-timeout={patience}"]
    command += [f"--before={tools.before}"] if tools.before else []
    ran = run(command, source.project, tools.timeout, {**os.environ, "NO_COLOR": "1"})
    must_end_well(ran, "resolve", "npm cannot write the lock")


def _also(
    old: Source,
    new: Source,
    before: t.Mapping[str, tuple[str, str]],
    after: t.Mapping[str, tuple[str, str]],
    moves: t.Sequence[Move],
) -> list[Move]:
    """What came, went or moved beside; all of it must be below what was moved.

    :raises StepError: when npm moved something else.
    """
    planned = {(move.package, move.old) for move in moves} | {(move.package, move.new) for move in moves}
    gone, come = set(before.values()) - set(after.values()), set(after.values()) - set(before.values())
    below = _below(old, planned) | _below(new, planned)
    strangers = sorted((gone | come) - planned - below)
    if strangers:
        name, version = strangers[0]
        raise StepError("resolve", f"npm would move {name} {version} too, which nothing of this update needs")
    found: dict[str, Move] = {}
    for name, version in sorted(gone - planned):
        found[name] = Move(NPM, name, version, "", "needed", files=[new.file])
    for name, version in sorted(come - planned):
        before_it = found[name].old if name in found and not found[name].new else ""
        key = name if before_it or name not in found else f"{name} {version}"
        found[key] = Move(NPM, name, before_it, version, "needed", files=[new.file])
    return list(found.values())


def _below(source: Source, pairs: t.Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    waiting = [node for node in source.nodes.values() if (node.name, node.version) in pairs]
    seen = {node.key for node in waiting}
    while waiting:
        for key in waiting.pop().wants:
            if key in source.nodes and key not in seen:
                seen.add(key)
                waiting.append(source.nodes[key])
    return {(source.nodes[key].name, source.nodes[key].version) for key in seen}
