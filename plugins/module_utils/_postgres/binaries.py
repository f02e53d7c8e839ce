# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's client and server programs of the right major version.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from .connection import PostgresError


class MissingBinary(PostgresError):
    """A program that is not there in the version that is needed; the text says where it was looked for."""


def find_binary(name: str, major: int, bin_dir: str = "") -> str:
    """The path of `name` of PostgreSQL `major`: in `bin_dir` when given, else where the packages put it, else in PATH.

    The version counts: pg_dump refuses a newer server, and an older pg_restore cannot read a newer archive.

    :raises MissingBinary: naming every place that was searched, and what was found there instead.
    """
    if bin_dir:
        candidates = [os.path.join(bin_dir, name)]
    else:
        candidates = [f"/usr/lib/postgresql/{major}/bin/{name}", f"/usr/pgsql-{major}/bin/{name}"]
        in_path = shutil.which(name)
        candidates += [in_path] if in_path else []
    searched = []
    for path in candidates:
        if not os.access(path, os.X_OK):
            searched.append(f"{path} (not there)")
            continue
        found = major_of(path)
        if found == major:
            return path
        searched.append(f"{path} (version {found or 'unknown'})")
    if not bin_dir and not shutil.which(name):
        searched.append("PATH (not there)")
    raise MissingBinary(f"{name} of PostgreSQL {major} was not found; searched: {', '.join(searched)}")


def major_of(path: str) -> int:
    """The major version that a program says it has, 0 when it says none."""
    try:
        told = subprocess.run(
            [path, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\(PostgreSQL\)\s+(\d+)", told.stdout.decode("utf-8", "replace"))
    return int(found.group(1)) if found else 0
