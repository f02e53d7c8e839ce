# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves in poetry.lock, written by poetry itself, which keeps all other versions where they are.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

`poetry update` takes the newest version that pyproject.toml allows. So a group of its own is put behind that file for a
moment, which asks for the exact versions; poetry locks by it, and once more by the file as it was, byte for byte.
"""

from __future__ import annotations

import json
import os
import typing as t

from .locks_python import Table, read_poetry, read_toml
from .model import Source, SourceError
from .moving import Move, StepError, Tools, must_be_usable, read_bytes, replace_bytes
from .moving_locked import Bound, move_locked
from .pep440 import canonical
from .running import Ran, run

_MANIFEST = "pyproject.toml"
_GROUP = "steward-update"
#: What poetry says of a package besides that depends on who asks for it, or on the project.
_OF_OTHERS = ("groups", "markers", "optional", "category")


def move_poetry(source: Source, moves: t.Sequence[Move], tools: Tools, scratch: str) -> list[Move]:
    """Have poetry write the moves into its lock; what it brought, moved or took away with them.

    :raises StepError: when poetry is not there, is too old, cannot, or brings what is too young.
    """
    must_be_usable(tools.poetry, "poetry", source.file, tools.timeout, (2, 0))
    path = os.path.join(source.project, _MANIFEST)
    original, before = read_bytes(path), _lock_of(source)
    os.makedirs(scratch, mode=0o700)

    def lock(bounds: t.Sequence[Bound]) -> Ran:
        asked: dict[str, list[str]] = {}
        for package, versions in bounds:
            asked.setdefault(package, []).append(versions)
        lines = [f"{json.dumps(package)} = {json.dumps(','.join(versions))}" for package, versions in asked.items()]
        group = "\n".join([f"[tool.poetry.group.{_GROUP}.dependencies]", *lines])
        replace_bytes(path, original.rstrip(b"\n") + f"\n\n{group}\n".encode())
        ran = _lock(source, tools, scratch)
        replace_bytes(path, original)
        return ran if ran.problem or ran.status != 0 else _lock(source, tools, scratch)

    def read() -> Source:
        return read_poetry(source.project, source.file, read_toml(path))

    along = move_locked("poetry", source, moves, tools, lock, read)
    _nothing_else(before, _lock_of(source), [*moves, *along])
    return along


def _lock_of(source: Source) -> Table:
    try:
        return read_toml(os.path.join(source.project, source.file))
    except SourceError as exc:
        raise StepError("resolve", str(exc)) from exc


def _lock(source: Source, tools: Tools, scratch: str) -> Ran:
    command = [tools.poetry, "lock", "--no-interaction", "--no-ansi"]
    return run(command, source.project, tools.timeout, {**os.environ, **settings(tools, scratch)})


def settings(tools: Tools, scratch: str) -> dict[str, str]:
    """Its environment: caches in the scratch directory, and no code of packages where that is not wanted."""
    found = {"NO_COLOR": "1", "POETRY_CACHE_DIR": os.path.join(scratch, "poetry-cache")}
    found["POETRY_VIRTUALENVS_IN_PROJECT"] = "false"
    found["POETRY_REQUESTS_TIMEOUT"] = str(max(1, round(tools.answer_timeout)))
    return found if tools.run_scripts else {**found, "POETRY_INSTALLER_ONLY_BINARY": ":all:"}


def _nothing_else(before: Table, after: Table, moves: t.Sequence[Move]) -> None:
    """:raises StepError: when an entry of a package that did not move is another one than before."""
    was, now = before["metadata"].get("lock-version"), after["metadata"].get("lock-version")
    if was != now:
        told = f"poetry.lock is of lock-version {was}, and this poetry writes {now} anew: run poetry lock with it once"
        raise StepError("resolve", told)
    moved = {(move.package, version) for move in moves for version in (move.old, move.new)}
    old, new = _entries(before), _entries(after)
    for key in sorted((set(old) & set(new)) - moved):
        if old[key] != new[key]:
            raise StepError(
                "resolve", f"poetry would change {' '.join(key)} in its lock, which nothing of this update needs"
            )


def _entries(lock: Table) -> dict[tuple[str, str], list[Table]]:
    found: dict[tuple[str, str], list[Table]] = {}
    for package in lock.get("package") or []:
        entry = {name: told for name, told in package.items() if name not in _OF_OTHERS}
        found.setdefault((canonical(str(package["name"])), str(package.get("version") or "")), []).append(entry)
    return found
