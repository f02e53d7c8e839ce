# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page "Restore by hand" in the README of the role backup: its very commands, on another server."""

from __future__ import annotations

import os
import pathlib
import subprocess

from .postgres import PrivatePostgres

README = pathlib.Path(__file__).resolve().parents[2] / "roles" / "backup" / "README.md"


def page_of_shell() -> str:
    """The first of the page's two blocks, without the three settings at its beginning."""
    text = README.read_text(encoding="utf-8")
    page = text[text.index("## Restore by hand") :]
    block = page[page.index("```sh\n") + 6 :]
    block = block[: block.index("```")]
    assert block.startswith("backup=")
    return block[block.index("# 1.") :]


def restore_by_hand(
    other: PrivatePostgres, directory: pathlib.Path, database: str, tmp_path: pathlib.Path, key: str = ""
) -> str:
    """Restore one database of a backup into a server that knows nothing of this collection; what was printed.

    :param database: the name of its directory in the backup.
    """
    place = {"PGHOST": other.socket_dir, "PGPORT": str(other.port), "PGUSER": other.superuser, "PGSSLMODE": "disable"}
    path = f"{other.bin_dir}:{os.environ['PATH']}"
    given = {"backup": str(directory), "database": database, "key": key, "TMPDIR": str(tmp_path), "PATH": path}
    done = subprocess.run(
        ["sh", "-eu", "-c", page_of_shell()],
        env={**os.environ, **place, **given},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, text
    return text
