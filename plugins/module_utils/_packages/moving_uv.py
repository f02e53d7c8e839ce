# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves in uv.lock, written by uv itself, which keeps all other versions where they are.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

from .locks_python import read_toml, read_uv
from .model import Source
from .moving import Move, StepError, Tools
from .moving_locked import Bound, move_locked
from .running import Ran, find_program, run


def move_uv(source: Source, moves: t.Sequence[Move], tools: Tools, scratch: str) -> list[Move]:
    """Have uv write the moves into its lock; what it brought, moved or took away with them.

    :raises StepError: when uv is not there, cannot, or brings what is too young.
    """
    if not find_program(tools.uv):
        raise StepError(
            "resolve", f"{source.file} is written by uv, and {tools.uv} is not installed here, or not in PATH"
        )

    def lock(bounds: t.Sequence[Bound]) -> Ran:
        command = [tools.uv, "lock", "--no-progress", "--color", "never", "--python", tools.python]
        command += ["--cache-dir", os.path.join(scratch, "uv-cache")]
        for package, versions in bounds:
            command += ["--upgrade-package", f"{package}{versions}"]
        return run(command, source.project, tools.timeout, {**os.environ, "UV_NO_PYTHON_DOWNLOADS": "1"})

    def read() -> Source:
        return read_uv(source.project, source.file, read_toml(os.path.join(source.project, "pyproject.toml")))

    return move_locked("uv", source, moves, tools, lock, read)
