# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lint layer: what can be said about the text of the repository without running it."""

from __future__ import annotations

import os
import sys

from . import checks
from .places import COLLECTIONS, LOGS, ROOT, tracked_files

#: Imported inside functions that only the controller calls, whose Python is newer than 3.8.
_CONTROLLER_ONLY = (
    "--exclude",
    "zoneinfo",
    "--exclude",
    "zoneinfo.ZoneInfo",
    "--exclude",
    "zoneinfo.ZoneInfoNotFoundError",
)
_HOST_CODE = ("plugins/module_utils", "plugins/modules")


def _shell_scripts(files: list[str]) -> list[str]:
    """Files that say they are for sh, by name or by first line."""
    found = []
    for name in files:
        with (ROOT / name).open("rb") as handle:
            first = handle.readline(80)
        if name.endswith(".sh") or (first.startswith(b"#!") and first.rstrip().endswith(b"sh")):
            found.append(name)
    return found


def main() -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    files = tracked_files()
    # import-linter and mypy look for ansible_collections as Python does.
    os.environ["PYTHONPATH"] = str(COLLECTIONS)
    return checks.run(
        [
            ("ruff", ["ruff", "check", "--no-cache"]),
            ("ruff format", ["ruff", "format", "--check", "--no-cache"]),
            ("mypy", ["mypy"]),
            # What the code calls, not only its syntax: str.removeprefix parses everywhere and fails on Python 3.8.
            (
                "python 3.8",
                ["vermin", "--quiet", "--no-tips", "--target=3.8-", "--violations", *_CONTROLLER_ONLY, *_HOST_CODE],
            ),
            ("import floors", ["lint-imports", "--no-logo", "--no-cache"]),
            ("yamllint", ["yamllint", "--strict", *(name for name in files if name.endswith((".yml", ".yaml")))]),
            ("ansible-lint", ["ansible-lint", "--offline", "--strict"]),
            ("shellcheck", ["shellcheck", "--external-sources", *_shell_scripts(files)]),
            ("documentation", ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."]),
            ("changelog", ["antsibull-changelog", "lint"]),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
