# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What npm, pnpm and Yarn share when packages move: ranges in package.json, and the proof that nothing else moved.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from . import semver
from .changes import NPM
from .locks_node import ASKED_BY_ROOT, Table
from .model import Source
from .moving import Move, StepError, Tools
from .running import as_json, run

MANIFEST = "package.json"
_PREFIX = re.compile(r"(?P<prefix>\^|~|>=|)\s*v?\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?")
_ASKED = ("dependencies", "optionalDependencies", "peerDependencies")


def specs(name: str, wanted: str, move: Move) -> tuple[str, str]:
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


def edited(original: bytes, before: Table, after: Table) -> bytes:
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


def came_along(tool: str, old: Source, new: Source, moves: t.Sequence[Move]) -> list[Move]:
    """What came, went or moved beside; all of it must be below what was moved.

    :raises StepError: when what was wanted did not move, or something else did.
    """
    before = {(node.name, node.version) for node in old.nodes.values()}
    after = {(node.name, node.version) for node in new.nodes.values()}
    for move in moves:
        if (move.package, move.old) in after or (move.package, move.new) not in after:
            told = sorted({version for name, version in after if name == move.package})
            raise StepError(
                "resolve", f"{tool} locks {move.package} {', '.join(told) or 'not at all'} instead of {move.new}"
            )
    planned = {(move.package, move.old) for move in moves} | {(move.package, move.new) for move in moves}
    gone, come = before - after, after - before
    below = _below(old, planned) | _below(new, planned)
    strangers = sorted((gone | come) - planned - below)
    if strangers:
        name, version = strangers[0]
        raise StepError("resolve", f"{tool} would move {name} {version} too, which nothing of this update needs")
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


def not_too_young(along: t.Sequence[Move], source: Source, tools: Tools, scratch: str) -> None:
    """What comes along with an update that fixes nothing waits like the update itself; npm knows when it came out.

    :raises StepError: when it is too young, or nobody knows.
    """
    for move in along if tools.before else ():
        if not move.new:
            continue
        told = _view(source, move.package, move.new, ("name", "time"), tools, scratch).get("time")
        move.published = str(told.get(move.new) or "") if isinstance(told, dict) else ""
        if not tools.may_be_taken(move.published):
            raise StepError("resolve", f"an update brings {move.package} {move.new}, which is too young to be taken")


def asked_by(source: Source, package: str, version: str, tools: Tools, scratch: str) -> dict[str, str]:
    """What a version of a package asks for, as the registry tells it to npm: each name with its range.

    :raises StepError: when that cannot be looked up.
    """
    told = _view(source, package, version, ("name", "version", *_ASKED), tools, scratch)
    found: dict[str, str] = {}
    for name in _ASKED:
        table = told.get(name)
        found.update({key: str(wanted) for key, wanted in table.items()} if isinstance(table, dict) else {})
    return found


def _view(
    source: Source, package: str, version: str, fields: tuple[str, ...], tools: Tools, scratch: str
) -> dict[str, t.Any]:
    """:raises StepError: when npm does not tell it."""
    patience = str(max(1, round(tools.answer_timeout * 1000)))
    command = [tools.npm, "view", f"{package}@{version}", *fields, "--json", "--loglevel=error", "--fetch-retries=1"]
    command += ["--cache", os.path.join(scratch, "npm-cache"), "--no-update-notifier", f"--fetch-timeout={patience}"]
    ran = run(command, source.project, tools.timeout, {**os.environ, "NO_COLOR": "1"})
    told = as_json(ran)
    if ran.problem or ran.status != 0 or not isinstance(told, dict) or told.get("name") != package:
        raise StepError("look", f"what {package} {version} is could not be looked up: {ran.problem or ran.told()}")
    return told
