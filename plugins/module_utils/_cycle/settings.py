# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project may set for the cycle, and what a slip of the pen in it is answered with.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import typing as t

from .._core.records import RecordsError, open_store
from .._core.suggest import InputError, did_you_mean, refuse_unknown
from .catalogue import CADENCES, Activity, Data, merge_catalogue
from .due import Wish
from .freezes import parse_freezes
from .moments import parse_moment

#: The variables of the role cycle with their defaults; a test compares them with roles/cycle/defaults/main.yml.
DEFAULTS: dict[str, t.Any] = {
    "cycle_activities": {},
    "cycle_only": [],
    "cycle_cadence": "",
    "cycle_force": False,
    "cycle_freezes": [],
    "cycle_change_request": "",
    "cycle_metrics_path": "",
    "cycle_report_path": "~/.local/state/steward/report.html",
    "cycle_report_host": "",
    "cycle_report_title": "Maintenance report",
}

#: Inputs that all roles of the collection share.
SHARED = (
    "maintenance_records",
    "maintenance_records_password",
    "maintenance_deadline",
    "maintenance_postgres_login",
    "maintenance_postgres_os_user",
    "maintenance_postgres_bin_dir",
)

#: Names that begin so belong to this collection: an unknown one among them is a slip of the pen.
_OWNED = ("cycle_", "maintenance_")

_TEXTS = [name for name, default in DEFAULTS.items() if isinstance(default, str)]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of one host, read and found sound."""

    activities: dict[str, Activity]
    wish: Wish


def unknown_variables(names: t.Iterable[object]) -> list[str]:
    """One sentence for each variable that looks like ours and is not: a typo must never mean "nothing to do"."""
    known = (*DEFAULTS, *SHARED)
    return [
        f"unknown variable {name!r}; {did_you_mean(name, known)}"
        for name in names
        if isinstance(name, str) and name.startswith(_OWNED) and name not in known
    ]


def read_settings(variables: Data, catalogue: t.Mapping[str, Data]) -> Settings:
    """Read the role's variables; those not given have their defaults.

    :raises InputError: for the first thing that is wrong, naming variable, key, value and what is right.
    """
    given = {name: variables.get(name, default) for name, default in DEFAULTS.items()}
    for name in _TEXTS:
        if not isinstance(given[name], str):
            raise InputError(f"{name} must be a text, not {given[name]!r}")
    activities = merge_catalogue(catalogue, given["cycle_activities"])
    cadence = given["cycle_cadence"]
    if cadence:
        refuse_unknown("cycle_cadence: unknown cadence %s", cadence, CADENCES)
    wish = Wish(
        only=_only(given["cycle_only"], activities),
        cadence=cadence,
        force=_boolean("cycle_force", given["cycle_force"]),
        freezes=tuple(parse_freezes(given["cycle_freezes"], activities)),
        change_request=given["cycle_change_request"].strip(),
        deadline=_deadline(variables.get("maintenance_deadline", "")),
    )
    _require_store(variables.get("maintenance_records", ""))
    return Settings(activities, wish)


def _only(names: t.Any, activities: t.Mapping[str, Activity]) -> tuple[str, ...]:
    if not isinstance(names, (list, tuple)):
        right = f"; write -e '{json.dumps({'cycle_only': [names]})}'" if isinstance(names, str) else ""
        raise InputError(f"cycle_only must be a list of activities, not {names!r}{right}")
    refuse_unknown("cycle_only: unknown activity %s", names, activities)
    for name in names:
        if not activities[name].available:
            raise InputError(f"cycle_only: {name} cannot be run: it is not automated yet, or switched off")
    return tuple(names)


def _boolean(name: str, value: t.Any) -> bool:
    # `-e cycle_force=true` on the command line is a text.
    if isinstance(value, str) and value.strip().lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        return value.strip().lower() in ("true", "yes", "on", "1")
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, not {value!r}")
    return value


def _deadline(value: t.Any) -> datetime.datetime | None:
    if not value:
        return None
    try:
        return parse_moment(value, whole_day=True)
    except InputError as exc:
        raise InputError(f"maintenance_deadline: {exc}") from exc


def _require_store(location: t.Any) -> None:
    if not isinstance(location, str):
        raise InputError(f"maintenance_records must be a text, not {location!r}")
    try:
        open_store(location)
    except RecordsError as exc:
        raise InputError(f"maintenance_records: {exc}") from exc
