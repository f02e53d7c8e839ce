# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What uv and poetry share when packages move in their locks: both keep all other versions where they are.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from .changes import PYPI
from .model import Source, SourceError
from .moving import Move, StepError, Tools, must_end_well, read_bytes, replace_bytes
from .running import Ran

_BREAKING = ("major", "minor-0x")

#: A package, and the versions that it may have.
Bound = t.Tuple[str, str]


def move_locked(
    tool: str,
    source: Source,
    moves: t.Sequence[Move],
    tools: Tools,
    lock: t.Callable[[t.Sequence[Bound]], Ran],
    read: t.Callable[[], Source],
) -> list[Move]:
    """Have the tool write the moves into its lock; what it brought, moved or took away with them.

    :param lock: runs the tool, which is to obey these bounds.
    :param read: reads what it wrote.
    :raises StepError: when it cannot, or brings what is too young.
    """
    path = os.path.join(source.project, source.file)
    original = read_bytes(path)
    wanted = [(move.package, f"=={move.new}") for move in moves]
    must_end_well(lock(wanted), "resolve", f"{tool} cannot write the lock")
    new = _read(tool, read)
    along = _along(source, new, moves)
    bounds = [_bound(move) for move in along if move.old and move.new and move.change in _BREAKING]
    if bounds:
        # It takes the newest of what has to go along. Without need, it is not to be one that may break things.
        first = read_bytes(path)
        replace_bytes(path, original)
        ran = lock([*wanted, *bounds])
        if ran.problem or ran.status != 0:
            replace_bytes(path, first)
        new = _read(tool, read)
        along = _along(source, new, moves)
    after = {(node.name, node.version) for node in new.nodes.values()}
    for move in moves:
        if (move.package, move.new) not in after or (move.package, move.old) in after:
            raise StepError(
                "resolve", f"{tool} does not lock {move.package} {move.new}: pyproject.toml may not allow it"
            )
        move.files.append(source.file)
    for move in along:
        release = tools.listings([move.package])[move.package].releases.get(move.new) if move.new else None
        move.published = release.published if release else ""
        if move.new and not tools.may_be_taken(move.published):
            raise StepError("resolve", f"an update brings {move.package} {move.new}, which is too young to be taken")
    return along


def _bound(move: Move) -> Bound:
    """The series of the old version: below the next major one, or the next minor one below 1.0."""
    numbers = [int(number) for number in re.findall(r"\d+", move.old.partition("!")[2] or move.old)[:2]] + [0]
    return move.package, f"<{numbers[0] + 1}" if numbers[0] else f"<0.{numbers[1] + 1}"


def _read(tool: str, read: t.Callable[[], Source]) -> Source:
    try:
        return read()
    except SourceError as exc:
        raise StepError("resolve", f"{tool} wrote a lock that cannot be read: {exc}") from exc


def _along(old: Source, new: Source, moves: t.Sequence[Move]) -> list[Move]:
    after = {(node.name, node.version) for node in new.nodes.values() if not node.own}
    before = {(node.name, node.version) for node in old.nodes.values() if not node.own}
    planned = {(move.package, version) for move in moves for version in (move.old, move.new)}
    gone, come = dict(sorted(before - after - planned)), dict(sorted(after - before - planned))
    return [
        Move(PYPI, name, gone.get(name, ""), come.get(name, ""), "needed", files=[new.file])
        for name in sorted({*gone, *come})
    ]
