# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The activities of the Maintenance Guide, merged with what a project changes of them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import re
import typing as t

from .._core.durations import parse_duration
from .._core.suggest import InputError, did_you_mean, refuse_unknown
from .._core.windows import Window, parse_window

Data = t.Mapping[str, t.Any]

TYPES = ("corrective", "adaptive", "perfective", "preventive")
CHANGES = ("none", "standard", "normal", "emergency")

#: Changes of these categories need somebody's word first (guide 3.2).
NEEDS_REQUEST = ("normal", "emergency")

#: An activity with this period is not asked for by the clock: somebody names it in cycle_only when the event happened.
EVENT = "event"

#: Which periods a cadence takes: longer than the first, up to the second, in seconds.
CADENCES = {
    "daily": (0, 86400),
    "weekly": (86400, 7 * 86400),
    "monthly": (7 * 86400, 31 * 86400),
    "quarterly": (31 * 86400, 92 * 86400),
    "annually": (92 * 86400, float("inf")),
}

_TASKS_FROM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclasses.dataclass(frozen=True)
class Activity:
    """One entry of the merged catalogue; the keys of roles/cycle/vars/activities.yml and its name."""

    name: str
    title: str
    guide: str
    row: str
    type: str
    every: str
    hosts: str
    change: str
    owner: str
    role: str = ""
    entry: str = "main"
    after: tuple[str, ...] = ()
    available: bool = True
    window: str = ""

    @property
    def period(self) -> int | None:
        """Seconds between two times, None for an event."""
        return None if self.every == EVENT else parse_duration(self.every)

    @property
    def opening(self) -> Window | None:
        return parse_window(self.window) if self.window else None

    @property
    def result_variable(self) -> str:
        """Where the role publishes its result."""
        return f"{self.role.rsplit('.', 1)[-1]}_result"

    def in_cadence(self, cadence: str) -> bool:
        if not cadence:
            return True
        above, upto = CADENCES[cadence]
        return self.period is not None and above < self.period <= upto

    def applies_to(self, groups: t.Collection[str]) -> bool:
        """Whether it is for a host of these groups."""
        return self.hosts == "all" or self.hosts in groups

    def to_dict(self, groups: t.Collection[str]) -> dict[str, t.Any]:
        """For reports and metrics, as a host of these groups sees it."""
        applies = self.applies_to(groups)
        return dict(dataclasses.asdict(self), after=list(self.after), every_seconds=self.period, applies=applies)


#: What a project may change of an activity: everything but its name.
KEYS = tuple(field.name for field in dataclasses.fields(Activity) if field.name != "name")


@functools.lru_cache(maxsize=None)
def load_catalogue() -> dict[str, Data]:
    """The catalogue as this collection ships it. Only controllers call this: a managed host need not have PyYAML."""
    import yaml

    path = pathlib.Path(__file__).resolve().parents[3] / "roles" / "cycle" / "vars" / "activities.yml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    # CSafeLoader is as safe as SafeLoader, and ten times as fast.
    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - one of the safe loaders
    return t.cast("dict[str, Data]", loaded["__cycle_catalogue"])


def merge_catalogue(
    catalogue: t.Mapping[str, Data], overrides: t.Any, variable: str = "cycle_activities"
) -> dict[str, Activity]:
    """The activities in catalogue order, each with the project's differences.

    :raises InputError: for the first thing that is wrong, naming variable, activity, key, value and what is right.
    """
    if not isinstance(overrides, dict):
        raise InputError(f"{variable} must be a dictionary of activities, not {overrides!r}")
    refuse_unknown(f"{variable}: unknown activity %s", overrides, catalogue)
    merged = {}
    for name, entry in catalogue.items():
        changes = overrides.get(name, {})
        if not isinstance(changes, dict):
            raise InputError(f"{variable}: {name} must be a dictionary of the keys to change, not {changes!r}")
        refuse_unknown(f"{variable}: unknown key %s in {name}", changes, KEYS)
        for key, value in changes.items():
            _require_valid(f"{variable}: {name}: {key}", key, value, catalogue)
        values = dict(entry, **changes)
        merged[name] = Activity(name=name, **dict(values, after=tuple(values.get("after", ()))))
    for activity in merged.values():
        if activity.available and not activity.role:
            raise InputError(f"{variable}: {activity.name} is available: true, but no role is given that does it")
    in_order(list(merged.values()), variable)
    return merged


def in_order(activities: t.Sequence[Activity], variable: str = "cycle_activities") -> list[Activity]:
    """The same activities, each behind those of them that its `after` names; else the order stays.

    :raises InputError: when some wait for each other.
    """
    waiting = list(activities)
    ordered: list[Activity] = []
    while waiting:
        names = {activity.name for activity in waiting}
        ready = next((one for one in waiting if not names.intersection(one.after)), None)
        if ready is None:
            raise InputError(f"{variable}: after: {' and '.join(sorted(names))} wait for each other")
        ordered.append(ready)
        waiting.remove(ready)
    return ordered


def _require_valid(where: str, key: str, value: t.Any, catalogue: t.Mapping[str, Data]) -> None:
    if key == "available":
        if not isinstance(value, bool):
            raise InputError(f"{where} must be true or false, not {value!r}")
    elif key == "after":
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{where} must be a list of activities, not {value!r}")
        refuse_unknown(f"{where}: unknown activity %s", value, catalogue)
    elif key == "every" or (key == "window" and value):
        _require_readable(where, key, value)
    elif not isinstance(value, str):
        raise InputError(f"{where} must be a text, not {value!r}")
    elif not value and key != "window":
        raise InputError(f"{where} is empty")
    else:
        _require_choice(where, key, value)


def _require_readable(where: str, key: str, value: t.Any) -> None:
    try:
        if key == "window":
            parse_window(value)
        elif value != EVENT:
            parse_duration(value)
    except InputError as exc:
        hint = f", or {EVENT!r} for what no clock asks for" if key == "every" else ""
        raise InputError(f"{where}: {exc}{hint}") from exc


def _require_choice(where: str, key: str, value: str) -> None:
    choices = {"type": TYPES, "change": CHANGES}.get(key)
    if choices and value not in choices:
        raise InputError(f"{where} is {value!r}; {did_you_mean(value, choices)}")
    if key == "entry" and not _TASKS_FROM.fullmatch(value):
        # With the extension, Ansible silently skips the validation of the role's arguments.
        raise InputError(f"{where} is {value!r}; write the name of the role's tasks file without extension")
