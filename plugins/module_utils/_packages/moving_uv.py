# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves in uv.lock, written by uv itself, which keeps all other versions where they are.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

from .changes import PYPI
from .locks_python import read_toml, read_uv
from .model import Source, SourceError
from .moving import Move, StepError, Tools, must_end_well
from .running import find_program, run


def move_uv(source: Source, moves: t.Sequence[Move], tools: Tools, scratch: str) -> list[Move]:
    """Have uv write the moves into its lock; what it brought, moved or took away with them.

    :raises StepError: when uv is not there, cannot, or brings what is too young.
    """
    wanted = [move for move in moves if any(node.version == move.old for node in source.named(move.package))]
    if not wanted:
        return []
    if not find_program(tools.uv):
        raise StepError(
            "resolve", f"{source.file} is written by uv, and {tools.uv} is not installed here, or not in PATH"
        )
    command = [tools.uv, "lock", "--no-progress", "--color", "never", "--python", tools.python]
    command += ["--cache-dir", os.path.join(scratch, "uv-cache")]
    for move in wanted:
        command += ["--upgrade-package", f"{move.package}=={move.new}"]
    ran = run(command, source.project, tools.timeout, {**os.environ, "UV_NO_PYTHON_DOWNLOADS": "1"})
    must_end_well(ran, "resolve", "uv cannot write the lock")
    try:
        again = read_uv(source.project, source.file, read_toml(os.path.join(source.project, "pyproject.toml")))
    except SourceError as exc:
        raise StepError("resolve", f"uv wrote a lock that cannot be read: {exc}") from exc
    after = {(node.name, node.version) for node in again.nodes.values() if not node.own}
    before = {(node.name, node.version) for node in source.nodes.values() if not node.own}
    for move in wanted:
        if (move.package, move.new) not in after or (move.package, move.old) in after:
            raise StepError("resolve", f"uv does not lock {move.package} {move.new}: pyproject.toml may not allow it")
        move.files.append(source.file)
    planned = {(move.package, version) for move in wanted for version in (move.old, move.new)}
    gone = dict(sorted(before - after - planned))
    come = dict(sorted(after - before - planned))
    found = []
    for name in sorted({*gone, *come}):
        new = come.get(name, "")
        release = tools.listings([name])[name].releases.get(new) if new else None
        if new and not tools.may_be_taken(release.published if release else ""):
            raise StepError("resolve", f"an update brings {name} {new}, which is too young to be taken")
        published = release.published if release else ""
        found.append(Move(PYPI, name, gone.get(name, ""), new, "needed", files=[source.file], published=published))
    return found
