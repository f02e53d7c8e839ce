# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves in uv.lock, written by uv itself, which keeps all other versions where they are.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from .changes import PYPI
from .locks_python import read_toml, read_uv
from .model import Source, SourceError
from .moving import Move, StepError, Tools, must_end_well, read_bytes, replace_bytes
from .running import Ran, find_program, run

_BREAKING = ("major", "minor-0x")


def move_uv(source: Source, moves: t.Sequence[Move], tools: Tools, scratch: str) -> list[Move]:
    """Have uv write the moves into its lock; what it brought, moved or took away with them.

    :raises StepError: when uv is not there, cannot, or brings what is too young.
    """
    if not find_program(tools.uv):
        raise StepError(
            "resolve", f"{source.file} is written by uv, and {tools.uv} is not installed here, or not in PATH"
        )
    path = os.path.join(source.project, source.file)
    original = read_bytes(path)
    wanted = [f"{move.package}=={move.new}" for move in moves]
    must_end_well(_lock(source, wanted, tools, scratch), "resolve", "uv cannot write the lock")
    along = _along(source, _read(source), moves)
    bounds = [_bound(move) for move in along if move.old and move.new and move.change in _BREAKING]
    if bounds:
        # uv takes the newest of what has to go along. Without need, it is not to be one that may break things.
        first = read_bytes(path)
        replace_bytes(path, original)
        ran = _lock(source, [*wanted, *bounds], tools, scratch)
        if ran.problem or ran.status != 0:
            replace_bytes(path, first)
        along = _along(source, _read(source), moves)
    after = {(node.name, node.version) for node in _read(source).nodes.values()}
    for move in moves:
        if (move.package, move.new) not in after or (move.package, move.old) in after:
            raise StepError("resolve", f"uv does not lock {move.package} {move.new}: pyproject.toml may not allow it")
        move.files.append(source.file)
    for move in along:
        release = tools.listings([move.package])[move.package].releases.get(move.new) if move.new else None
        move.published = release.published if release else ""
        if move.new and not tools.may_be_taken(move.published):
            raise StepError("resolve", f"an update brings {move.package} {move.new}, which is too young to be taken")
    return along


def _lock(source: Source, upgrades: t.Sequence[str], tools: Tools, scratch: str) -> Ran:
    command = [tools.uv, "lock", "--no-progress", "--color", "never", "--python", tools.python]
    command += ["--cache-dir", os.path.join(scratch, "uv-cache")]
    for upgrade in upgrades:
        command += ["--upgrade-package", upgrade]
    return run(command, source.project, tools.timeout, {**os.environ, "UV_NO_PYTHON_DOWNLOADS": "1"})


def _bound(move: Move) -> str:
    """The series of the old version: below the next major one, or the next minor one below 1.0."""
    numbers = [int(number) for number in re.findall(r"\d+", move.old.partition("!")[2] or move.old)[:2]] + [0]
    return f"{move.package}<{numbers[0] + 1}" if numbers[0] else f"{move.package}<0.{numbers[1] + 1}"


def _read(source: Source) -> Source:
    try:
        return read_uv(source.project, source.file, read_toml(os.path.join(source.project, "pyproject.toml")))
    except SourceError as exc:
        raise StepError("resolve", f"uv wrote a lock that cannot be read: {exc}") from exc


def _along(old: Source, new: Source, moves: t.Sequence[Move]) -> list[Move]:
    after = {(node.name, node.version) for node in new.nodes.values() if not node.own}
    before = {(node.name, node.version) for node in old.nodes.values() if not node.own}
    planned = {(move.package, version) for move in moves for version in (move.old, move.new)}
    gone, come = dict(sorted(before - after - planned)), dict(sorted(after - before - planned))
    return [
        Move(PYPI, name, gone.get(name, ""), come.get(name, ""), "needed", files=[new.file])
        for name in sorted({*gone, *come})
    ]
