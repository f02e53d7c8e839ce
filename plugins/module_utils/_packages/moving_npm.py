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
import typing as t

from .locks_node import ASKED_BY_ROOT, Table, asked_for, read_json, read_npm_lock
from .model import Node, Source, SourceError
from .moving import Move, StepError, Tools, must_end_well, read_bytes, replace_bytes
from .moving_node import MANIFEST, came_along, edited, specs
from .running import run


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
    if not os.path.isfile(os.path.join(source.project, MANIFEST)):
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
    path = os.path.join(source.project, MANIFEST)
    original = read_bytes(path)
    manifest = json.loads(original)
    direct = {source.nodes[key].name: key for key in source.direct if key in source.nodes}
    wanted_now, wanted_then = copy.deepcopy(manifest), copy.deepcopy(manifest)
    for move in moves:
        _want(source, move, direct, wanted_now, wanted_then)
    os.makedirs(scratch, mode=0o700)
    replace_bytes(path, json.dumps(wanted_now, indent=2).encode())
    _npm(source, tools, scratch)
    replace_bytes(path, edited(original, manifest, wanted_then))
    _npm(source, tools, scratch)
    try:
        again = read_npm_lock(source.project, source.file, read_json(path))
    except SourceError as exc:
        raise StepError("resolve", f"npm wrote a lock that cannot be read: {exc}") from exc
    for move in moves:
        move.files = [source.file] + ([MANIFEST] if wanted_then != manifest else [])
    return came_along("npm", source, again, moves)


def _want(source: Source, move: Move, direct: t.Mapping[str, str], now: Table, then: Table) -> None:
    """The exact version for now, and the range that stays."""
    places = [node.key for node in source.named(move.package) if node.version == move.old]
    key = direct.get(move.package)
    if key in places:
        for section in ASKED_BY_ROOT:
            table = now.get(section)
            for name, wanted in list(table.items()) if isinstance(table, dict) else ():
                if f"node_modules/{name}" == key:
                    now[section][name], then[section][name] = specs(name, str(wanted), move)
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
