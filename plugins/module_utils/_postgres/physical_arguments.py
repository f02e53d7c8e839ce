# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that the ``postgres_physical_*`` modules share: where pgBackRest and its stanza are.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.suggest import InputError
from .arguments import duration_from
from .connection import PostgresError
from .physical_backrest import Backrest
from .processes import account_for

#: Documented by the fragment ``steward.maintenance._physical``.
PHYSICAL_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "stanza": {"type": "str", "default": "main"},
    "config": {"type": "path", "default": ""},
    "repo": {"type": "int", "default": 1},
    "program": {"type": "str", "default": "pgbackrest"},
    "timeout": {"type": "str", "default": "1d"},
    "run_as": {"type": "str", "default": ""},
}

#: Documented by the fragment ``steward.maintenance._physical.restoring``.
RESTORING_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "bin_dir": {"type": "path", "default": ""},
    "preload_libraries": {"type": "list", "elements": "str", "default": []},
}


def backrest_from(params: t.Mapping[str, t.Any]) -> Backrest:
    """:raises InputError: naming the argument, the value and what would be right."""
    try:
        account = account_for(params["run_as"] or "")
    except PostgresError as exc:
        raise InputError(str(exc)) from exc
    return Backrest(
        stanza=params["stanza"],
        config=params["config"] or "",
        repo=params["repo"],
        program=params["program"],
        account=account,
        timeout=duration_from(params, "timeout"),
    )
