# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves in pnpm-lock.yaml, written by pnpm itself.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

`pnpm update` takes the newest version, and cannot be told one for what others bring. So pnpm is given the wanted ones
for a moment (exact ones for what the project asks for, overrides below it), writes its lock by them, and gets the
manifest back as it was, with other ranges only where the new version would not fit. pnpm then resolves by the ranges
alone, and keeps what it has locked: a version that somebody's range does not allow goes back, and is refused.
"""

from __future__ import annotations

import copy
import json
import os
import re
import typing as t

from . import locks_pnpm, plain_yaml, semver
from .locks_node import ASKED_BY_ROOT, Table, read_json
from .model import Node, Source, SourceError, read_text
from .moving import Move, StepError, Tools, must_be_usable, must_end_well, read_bytes, replace_bytes
from .moving_node import MANIFEST, came_along, edited, not_too_young, specs
from .running import run

_LOCK_VERSION = "9.0"
_SETTINGS = "pnpm-workspace.yaml"
_OVERRIDES = re.compile(r"^overrides\s*:", re.MULTILINE)
_CODE = (".pnpmfile.cjs", ".pnpmfile.mjs")
#: Its environment: nobody is there to be asked.
SETTINGS = {"NO_COLOR": "1", "CI": "true"}
#: What the registry may say of a version any day.
_OF_TODAY = "deprecated"


def ranges_of(
    source: Source, node: Node, asked_by: t.Callable[[str, str], t.Mapping[str, str]]
) -> list[tuple[str, str]]:
    """Which packages of the lock ask for this one, each with its range.

    :param asked_by: what a version of a package asks for: the lock does not tell it, the registry does.
    :raises StepError: when that cannot be looked up.
    """
    found = []
    for other in source.nodes.values():
        if node.key not in other.wants or other.own or not other.version:
            continue
        for name, wanted in asked_by(other.name, other.version).items():
            bare = wanted.rpartition("@")[2] if wanted.startswith("npm:") else wanted
            if (name == node.name or wanted.startswith(f"npm:{node.name}@")) and semver.is_range(bare):
                found.append((f"{other.name} {other.version}", bare))
    return found


def can_be_moved(source: Source) -> str:
    """Why this lock cannot be written; empty when it can."""
    if not os.path.isfile(os.path.join(source.project, MANIFEST)):
        return "there is no package.json beside it"
    lock = locks_pnpm.read_tree(source.project, source.file)
    version = str(lock.get("lockfileVersion") or "")
    if version != _LOCK_VERSION:
        return f"it is of lockfileVersion {version}, which pnpm 9 and newer write anew: run pnpm install with one once"
    members = [name for name in locks_pnpm.table(lock, "importers") if name != "."]
    if members:
        return f"workspaces are not updated ({members[0]})"
    above = os.path.dirname(os.path.abspath(source.project))
    while above != os.path.dirname(above):
        if os.path.exists(os.path.join(above, _SETTINGS)):
            return f"it is in a workspace, which is not updated (there is a {_SETTINGS} above it)"
        above = os.path.dirname(above)
    if _OVERRIDES.search(_text(os.path.join(source.project, _SETTINGS))):
        return f"{_SETTINGS} overrides packages, so that nothing else can"
    code = [name for name in _CODE if os.path.exists(os.path.join(source.project, name))]
    if code or "pnpmfileChecksum" in lock:
        return f"code of the project says what pnpm resolves ({code[0] if code else 'a pnpmfile'})"
    return ""


def _text(path: str) -> str:
    return read_text(path) if os.path.exists(path) else ""


def move_pnpm(source: Source, moves: t.Sequence[Move], tools: Tools, scratch: str) -> list[Move]:
    """Have pnpm write the moves into the lock; what it brought or took away with them.

    :raises StepError: when pnpm is not there, is too old, cannot, or would move what nothing of this needs.
    """
    must_be_usable(tools.pnpm, "pnpm", source.file, tools.timeout, (9,))
    try:
        why_not = can_be_moved(source)
        before = locks_pnpm.read_tree(source.project, source.file)
    except SourceError as exc:
        raise StepError("resolve", str(exc)) from exc
    if why_not:
        raise StepError("resolve", f"{source.file} cannot be updated: {why_not}")
    path = os.path.join(source.project, MANIFEST)
    original = read_bytes(path)
    manifest = json.loads(original)
    now, then = copy.deepcopy(manifest), copy.deepcopy(manifest)
    then_it_is = {f"{move.package}@{move.old}": f"{move.package}@{move.new}" for move in moves}
    for move in moves:
        _want(source, before, move, then_it_is, now, then)
    os.makedirs(scratch, mode=0o700)
    replace_bytes(path, json.dumps(now, indent=2).encode())
    _pnpm(source, tools, scratch)
    replace_bytes(path, edited(original, manifest, then))
    _pnpm(source, tools, scratch)
    try:
        again = locks_pnpm.read_pnpm_lock(source.project, source.file, read_json(path))
        after = locks_pnpm.read_tree(source.project, source.file)
    except SourceError as exc:
        raise StepError("resolve", f"pnpm wrote a lock that cannot be read: {exc}") from exc
    along = came_along("pnpm", source, again, moves)
    _nothing_else(before, after, [*moves, *along])
    not_too_young(along, source, tools, scratch)
    for move in moves:
        move.files = [source.file] + ([MANIFEST] if then != manifest else [])
    return along


def _want(
    source: Source, lock: plain_yaml.Tree, move: Move, then_it_is: t.Mapping[str, str], now: Table, then: Table
) -> None:
    """The exact version for now, and the range that stays."""
    keys = {node.key for node in source.named(move.package) if node.version == move.old}
    importer = locks_pnpm.table(locks_pnpm.table(lock, "importers"), ".")
    for name, told in locks_pnpm.asked(importer).items():
        if locks_pnpm.target(name, str(told.get("version") if isinstance(told, dict) else told)) not in keys:
            continue
        for section in ASKED_BY_ROOT:
            wanted = locks_pnpm.table(now, section).get(name)
            if wanted is not None:
                now[section][name], then[section][name] = specs(name, str(wanted), move)
    overridden = {_overridden(name) for name in locks_pnpm.table(lock, "overrides")}
    for key, entry in locks_pnpm.table(lock, "snapshots").items():
        for name, reference in locks_pnpm.asked(entry).items():
            if locks_pnpm.target(name, str(reference)) in keys:
                if name in overridden:
                    raise StepError("resolve", f"the project overrides {name} already: change that by hand")
                alias = "" if name == move.package else f"npm:{move.package}@"
                # Who asks for it may move, too. Overrides of pnpm itself stand elsewhere with each of its versions.
                for who in {locks_pnpm.plain(key), then_it_is.get(locks_pnpm.plain(key), "")} - {""}:
                    now.setdefault("resolutions", {})[f"{who}>{name}"] = f"{alias}{move.new}"


def _overridden(selector: str) -> str:
    """The package that an override is about: "a@1>@s/b@^2" is about @s/b."""
    last = selector.rpartition(">")[2]
    return last[:1] + last[1:].partition("@")[0]


def _pnpm(source: Source, tools: Tools, scratch: str) -> None:
    command = [tools.pnpm, "install", "--lockfile-only", "--no-frozen-lockfile", "--ignore-scripts"]
    # A fix does not wait, whatever the project has set; where nothing is fixed, what comes along waits.
    command += [f"--config.minimum-release-age={-(-tools.cooldown // 60) if tools.before else 0}"]
    ran = run([*command, *common(tools, scratch)], source.project, tools.timeout, {**os.environ, **SETTINGS})
    must_end_well(ran, "resolve", "pnpm cannot write the lock")


def common(tools: Tools, scratch: str) -> list[str]:
    """Its places in the scratch directory, no other pnpm than this one, and no more attempts than one."""
    patience = max(1, round(tools.answer_timeout * 1000))
    found = [f"--config.{name}-dir={os.path.join(scratch, f'pnpm-{name}')}" for name in ("store", "cache", "state")]
    found += ["--config.fetch-retries=1", f"--config.fetch-timeout={patience}", "--config.update-notifier=false"]
    return [*found, "--config.manage-package-manager-versions=false", "--reporter=append-only"]


def _nothing_else(before: plain_yaml.Tree, after: plain_yaml.Tree, moves: t.Sequence[Move]) -> None:
    """:raises StepError: when an entry of a package that did not move is another one than before."""
    moved = {f"{move.package}@{version}" for move in moves for version in (move.old, move.new)}
    for name in sorted({*before, *after} - {"importers", "packages", "snapshots", "time"}):
        if before.get(name) != after.get(name):
            raise StepError("resolve", f"pnpm would change {name} in its lock, which nothing of this update needs")
    old, new = locks_pnpm.table(before, "packages"), locks_pnpm.table(after, "packages")
    for key in sorted((set(old) & set(new)) - moved):
        if _lasting(old[key]) != _lasting(new[key]):
            raise StepError("resolve", f"pnpm would change {key} in its lock, which nothing of this update needs")
    was, then = _edges(before), _edges(after)
    for key in sorted((set(was) & set(then)) - moved):
        others = {target for _name, target in was[key] ^ then[key]} - moved
        if others:
            raise StepError("resolve", f"pnpm would have {key} use {min(others)}, which nothing of this update needs")


def _lasting(entry: t.Any) -> t.Any:
    return {name: told for name, told in entry.items() if name != _OF_TODAY} if isinstance(entry, dict) else entry


def _edges(lock: plain_yaml.Tree) -> dict[str, set[tuple[str, str]]]:
    """What each package uses, and under which name."""
    found: dict[str, set[tuple[str, str]]] = {}
    for key, entry in locks_pnpm.table(lock, "snapshots").items():
        edges = {(name, locks_pnpm.target(name, str(told))) for name, told in locks_pnpm.asked(entry).items()}
        found.setdefault(locks_pnpm.plain(key), set()).update(edges)
    return found
