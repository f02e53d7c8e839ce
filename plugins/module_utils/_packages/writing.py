# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tool writes moves into which file, and who in it asks for a package.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import functools
import typing as t

from . import locks_pnpm, locks_yarn, moving_npm, moving_pnpm, moving_poetry, moving_python, moving_uv, moving_yarn
from .changes import NPM
from .model import Node, Source, SourceError
from .moving import Move, StepError, Tools
from .moving_node import asked_by

_WRITERS: dict[str, t.Callable[[Source, t.Sequence[Move], Tools, str], list[Move]]] = {
    "uv.lock": moving_uv.move_uv,
    "poetry.lock": moving_poetry.move_poetry,
    locks_pnpm.FILE: moving_pnpm.move_pnpm,
    locks_yarn.FILE: moving_yarn.move_yarn,
}


def write(source: Source, moves: t.Sequence[Move], tools: Tools, scratch: str) -> list[Move]:
    """Write the moves into the file; what came, went or moved beside.

    :raises StepError: when they do not go together, or nobody here can write the file.
    """
    if source.kind == "requirements":
        return moving_python.move_requirements(source, list(moves), tools, scratch)
    writer = _WRITERS.get(source.file)
    if writer:
        return writer(source, moves, tools, scratch)
    if source.ecosystem != NPM:
        wanted = ", ".join(move.line() for move in moves[:3])
        raise StepError("resolve", f"{source.file} is of a tool that this module does not run: have it do {wanted}")
    why_not = moving_npm.can_be_moved(source)
    if why_not:
        raise StepError("resolve", f"{source.file} cannot be updated: {why_not}")
    return moving_npm.move_npm(source, moves, tools, scratch)


class Ranges:
    """Which packages of a lock of Node ask for another one, each with its range; the project itself not among them.

    :param scratch: for the caches of npm, which is asked where a lock does not tell ranges.
    """

    def __init__(self, tools: Tools, scratch: str) -> None:
        self._tools = tools
        self._scratch = scratch
        self._asked: dict[tuple[str, str], dict[str, str]] = {}

    def of(self, source: Source, node: Node) -> list[tuple[str, str]]:
        """:raises StepError: when that cannot be looked up."""
        try:
            if source.file == locks_pnpm.FILE:
                return moving_pnpm.ranges_of(source, node, functools.partial(self._asked_by, source))
            if source.file == locks_yarn.FILE:
                return moving_yarn.ranges_of(source, node)
            return moving_npm.ranges_of(source, node)
        except SourceError as exc:
            raise StepError("resolve", str(exc)) from exc

    def _asked_by(self, source: Source, package: str, version: str) -> dict[str, str]:
        key = (package, version)
        if key not in self._asked:
            self._asked[key] = asked_by(source, package, version, self._tools, self._scratch)
        return self._asked[key]
