# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves in yarn.lock of version 1, written by Yarn 1 itself.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

`yarn upgrade` takes the newest version in a range, and changes the range that it is told one for. So Yarn is asked for
the exact versions in a project of its own beside; what it locks there takes the place of the old entries, under the
ranges that ask for them; and Yarn installs the project once by that, which brings what the new versions need and drops
what nothing needs any longer. Yarn 1 writes no lock without installing: it does so in the scratch directory.
"""

from __future__ import annotations

import copy
import json
import os
import re
import typing as t

from .locks_node import ASKED_BY_ROOT, Table, asked_for, read_json
from .locks_yarn import Entry, entries_1, last_name, read_yarn_lock, real, split
from .model import Node, Source, SourceError, read_text
from .moving import Move, StepError, Tools, must_be_usable, must_end_well, read_bytes, replace_bytes
from .moving_node import MANIFEST, came_along, edited, not_too_young, specs
from .running import run

#: Its environment. A `yarn-path` of the project would start another program, which the project brings itself.
SETTINGS = {"NO_COLOR": "1", "CI": "true", "YARN_IGNORE_PATH": "1"}
_FILES = (".npmrc", ".yarnrc")
_ENTRY = re.compile(r"^(?=\S)", re.MULTILINE)
_NAME = re.compile(r"^  name .*\n", re.MULTILINE)


def ranges_of(source: Source, node: Node) -> list[tuple[str, str]]:
    """Which packages of the lock ask for this one, each with its range; the project itself not among them."""
    text = read_text(os.path.join(source.project, source.file))
    if "__metadata:" in text:
        return []
    entries = entries_1(source.file, text)
    asked = {one for entry in entries if _pair(entry) == (node.name, node.version) for one in entry["specifications"]}
    found = []
    for entry in entries:
        for name, wanted in entry["wants"]:
            if f"{name}@{wanted}" in asked:
                bare = wanted.rpartition("@")[2] if wanted.startswith("npm:") else wanted
                found.append((" ".join(_pair(entry)), bare))
    return found


def _pair(entry: Entry) -> tuple[str, str]:
    return real(*split(entry["specifications"][0])), str(entry.get("version") or "")


def can_be_moved(source: Source, moves: t.Sequence[Move]) -> str:
    """Why this lock cannot be written; empty when it can."""
    if not os.path.isfile(os.path.join(source.project, MANIFEST)):
        return "there is no package.json beside it"
    if "__metadata:" in read_text(os.path.join(source.project, source.file)):
        told = ", ".join(move.line() for move in moves[:3])
        return f"it is of Yarn 2 or newer, which this module does not run: have yarn do {told}"
    manifest = read_json(os.path.join(source.project, MANIFEST))
    if "workspaces" in manifest:
        return "workspaces are not updated"
    resolutions = manifest.get("resolutions")
    chosen = {last_name(name) for name in resolutions} if isinstance(resolutions, dict) else set()
    held = sorted(move.package for move in moves if move.package in chosen)
    return f"package.json has a resolution for {held[0]} already: change that by hand" if held else ""


def move_yarn(source: Source, moves: t.Sequence[Move], tools: Tools, scratch: str) -> list[Move]:
    """Have Yarn write the moves into the lock; what it brought or took away with them.

    :raises StepError: when Yarn is not there, is another one, cannot, or would move what nothing of this needs.
    """
    try:
        why_not = can_be_moved(source, moves)
    except SourceError as exc:
        raise StepError("resolve", str(exc)) from exc
    if why_not:
        raise StepError("resolve", f"{source.file} cannot be updated: {why_not}")
    must_be_usable(tools.yarn, "yarn", source.file, tools.timeout, (1, 22), (2,))
    path, place = os.path.join(source.project, MANIFEST), os.path.join(source.project, source.file)
    original, before = read_bytes(path), read_bytes(place).decode("utf-8")
    manifest = json.loads(original)
    then = copy.deepcopy(manifest)
    renamed = {one: other for move in moves for one, other in _ranges(source, move, then)}
    os.makedirs(scratch, mode=0o700)
    bodies = _told_by_yarn(source, moves, tools, scratch)
    replace_bytes(place, _moved(before, moves, bodies, renamed).encode("utf-8"))
    replace_bytes(path, edited(original, manifest, then))
    # By force, for Yarn else leaves a lock alone that has all it needs, and would not write what came in as it does.
    _yarn(source.project, ["--force", "--modules-folder", os.path.join(scratch, "modules")], tools, scratch)
    try:
        again = read_yarn_lock(source.project, source.file, read_json(path))
        along = came_along("yarn", source, again, moves)
        _nothing_else(source.file, before, read_text(place), [*moves, *along])
    except SourceError as exc:
        raise StepError("resolve", f"yarn wrote a lock that cannot be read: {exc}") from exc
    not_too_young(along, source, tools, scratch)
    for move in moves:
        move.files = [source.file] + ([MANIFEST] if then != manifest else [])
    return along


def _ranges(source: Source, move: Move, then: Table) -> t.Iterator[tuple[str, str]]:
    """Other ranges of the project itself, where the new version is out of the old one: as the lock had and has them."""
    keys = {node.key for node in source.named(move.package) if node.version == move.old}
    if not keys & set(source.direct):
        return
    for section in ASKED_BY_ROOT[1:]:
        for name, wanted in asked_for(then, (section,)).items():
            if real(name, wanted) == move.package and source.direct.get(f"{move.package}@{move.old}") == wanted:
                _exact, lasting = specs(name, wanted, move)
                then[section][name] = lasting
                if lasting != wanted:
                    yield f"{name}@{wanted}", f"{name}@{lasting}"


def _told_by_yarn(source: Source, moves: t.Sequence[Move], tools: Tools, scratch: str) -> dict[tuple[str, str], str]:
    """What Yarn locks for each exact version, without the line that names it."""
    rounds: list[dict[str, str]] = []
    for move in moves:
        free = next((one for one in rounds if move.package not in one), None)
        if free is None:
            free = {}
            rounds.append(free)
        free[move.package] = move.new
    found: dict[tuple[str, str], str] = {}
    for number, wanted in enumerate(rounds):
        place = os.path.join(scratch, f"asked-{number}")
        os.makedirs(place, mode=0o700)
        with open(os.path.join(place, MANIFEST), "w", encoding="utf-8") as handle:
            json.dump({"name": "steward-update", "version": "0.0.0", "private": True, "dependencies": wanted}, handle)
        for name in _FILES:
            settings = os.path.join(source.project, name)
            if os.path.exists(settings):
                # With its token: by a link, so that it is copied nowhere.
                os.symlink(os.path.realpath(settings), os.path.join(place, name))
        # What is for another system is locked here all the same.
        _yarn(place, ["--ignore-platform", "--ignore-engines"], tools, scratch)
        for entry in _pieces(read_text(os.path.join(place, source.file))):
            (one,) = entries_1(source.file, entry)
            for name, version in wanted.items():
                if f"{name}@{version}" in one["specifications"]:
                    found[(name, version)] = entry.partition("\n")[2]
    missing = [move for move in moves if (move.package, move.new) not in found]
    if missing:
        raise StepError("resolve", f"yarn does not lock {missing[0].package} {missing[0].new}")
    return found


def _pieces(text: str) -> list[str]:
    """The entries of a lock as they are written, without the remarks at its head."""
    return [piece for piece in _ENTRY.split(text) if piece.strip() and not piece.startswith("#")]


def _moved(
    text: str, moves: t.Sequence[Move], bodies: t.Mapping[tuple[str, str], str], renamed: t.Mapping[str, str]
) -> str:
    """The lock with the new entries in the place of the old ones. Yarn puts it in order."""
    wanted = {(move.package, move.old): (move.package, move.new) for move in moves}
    parts = []
    for piece in _ENTRY.split(text.replace("\r\n", "\n")):
        pair = ("", "")
        if piece.strip() and not piece.startswith("#"):
            (entry,) = entries_1("yarn.lock", piece)
            pair = _pair(entry)
        if pair not in wanted:
            parts.append(piece)
            continue
        names = [json.dumps(renamed.get(one, one)) for one in entry["specifications"]]
        # The real name of what goes by another one.
        alias = "".join(_NAME.findall(piece))
        parts.append(f"{', '.join(names)}:\n{alias}{bodies[wanted[pair]].rstrip()}\n\n")
    return "".join(parts)


def _yarn(place: str, options: t.Sequence[str], tools: Tools, scratch: str) -> None:
    command = [tools.yarn, "install", "--ignore-scripts", *options, *common(tools, scratch)]
    ran = run(command, place, tools.timeout, {**os.environ, **SETTINGS})
    must_end_well(ran, "resolve", "yarn cannot write the lock")


def common(tools: Tools, scratch: str) -> list[str]:
    patience = max(1, round(tools.answer_timeout * 1000))
    found = ["--non-interactive", "--no-progress", "--production=false"]
    return [*found, "--cache-folder", os.path.join(scratch, "yarn-cache"), f"--network-timeout={patience}"]


def _nothing_else(file: str, before: str, after: str, moves: t.Sequence[Move]) -> None:
    """:raises StepError: when an entry of a package that did not move is another one than before."""
    moved = {(move.package, version) for move in moves for version in (move.old, move.new)}
    old, new = _bodies(file, before), _bodies(file, after)
    for pair in sorted((set(old) & set(new)) - moved):
        if old[pair] != new[pair]:
            raise StepError(
                "resolve", f"yarn would change {' '.join(pair)} in its lock, which nothing of this update needs"
            )


def _bodies(file: str, text: str) -> dict[tuple[str, str], set[str]]:
    """What the lock says of each package, beside who asks for it."""
    found: dict[tuple[str, str], set[str]] = {}
    for piece in _pieces(text.replace("\r\n", "\n")):
        (entry,) = entries_1(file, piece)
        found.setdefault(_pair(entry), set()).add(piece.partition("\n")[2].strip())
    return found
