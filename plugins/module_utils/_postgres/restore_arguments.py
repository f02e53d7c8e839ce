# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that the modules of the restore share, and what is read from them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.application import APPLICATION_ARGUMENTS, application_from
from .._core.health import HEALTH_ARGUMENTS, health_from
from .._core.suggest import InputError
from .restore_choice import Wanted
from .restore_exchange import Surroundings
from .restore_opening import Opening

#: Documented by the fragment ``steward.maintenance._restore``.
STATE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "state_dir": {"type": "path", "default": ""},
    "os_user": {"type": "str", "default": ""},
}

#: Documented by the fragment ``steward.maintenance._restore.choice``.
CHOICE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "path": {"type": "path", "default": "/var/backups/steward"},
    "database": {"type": "str", "required": True},
    "backup": {"type": "str", "default": ""},
    "at": {"type": "str", "default": ""},
    "allow_unverified": {"type": "bool", "default": False},
    "allow_refuted": {"type": "bool", "default": False},
    "identity_file": {"type": "path", "default": ""},
    "public_key": {"type": "path", "default": "", "no_log": False},  # a path
    "scratch_path": {"type": "path", "default": "/var/tmp"},  # noqa: S108 (what is made in it is closed to others)
    "jobs": {"type": "int", "default": 2},
    "bin_dir": {"type": "path", "default": ""},
}

#: Documented by the fragments ``steward.maintenance._application`` and ``steward.maintenance._application.health``.
SURROUNDINGS_ARGUMENTS: dict[str, dict[str, t.Any]] = {**APPLICATION_ARGUMENTS, **HEALTH_ARGUMENTS}

_MOST_JOBS = 64


def wanted_from(params: t.Mapping[str, t.Any]) -> Wanted:
    """:raises InputError: when no database is named, or a number cannot be right."""
    if not params["database"]:
        raise InputError("database is empty: name the database to restore")
    if not 1 <= params["jobs"] <= _MOST_JOBS:
        raise InputError(f"jobs is {params['jobs']}: it must be between 1 and {_MOST_JOBS}")
    return Wanted(
        path=params["path"],
        database=params["database"],
        backup=params["backup"],
        at=params["at"],
        allow_unverified=params["allow_unverified"],
        allow_refuted=params["allow_refuted"],
    )


def opening_from(params: t.Mapping[str, t.Any]) -> Opening:
    """How the backup is opened. What is missing for that is told when it is known which backup it is."""
    return Opening(params["identity_file"] or "", params["scratch_path"], params["jobs"], params["public_key"] or "")


def surroundings_from(params: t.Mapping[str, t.Any]) -> Surroundings:
    """:raises InputError: naming the option, the value and what would be right."""
    return Surroundings(application_from(params), health_from(params))
