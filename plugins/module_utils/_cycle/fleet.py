# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of all hosts of a run, looked at before any of them is touched.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.suggest import InputError, did_you_mean, nearest
from .catalogue import Activity, Data
from .due import why_outside
from .settings import Settings, read_settings, unknown_variables

_NAMED_HOSTS = 3


class Fleet:
    """The hosts of a run with their variables and the groups of the whole inventory."""

    def __init__(self, catalogue: t.Mapping[str, Data], groups: t.Mapping[str, t.Sequence[str]]) -> None:
        self._catalogue = catalogue
        self._groups = groups
        self._settings: dict[str, Settings] = {}
        self._problems: dict[str, list[str]] = {}
        #: Hosts mostly share their settings: what was read once need not be read a hundred times.
        self._read: list[tuple[Data, Settings]] = []

    def add(self, host: str, variables: Data, names: t.Iterable[object]) -> None:
        """Look at one host: its values of our variables, and the names of all its variables."""
        problems = unknown_variables(names)
        try:
            self._settings[host] = settings = self._settings_of(variables)
            problems += self._misspelt_groups(settings)
        except InputError as exc:
            problems.append(str(exc))
        for problem in problems:
            self.refuse(host, problem)

    def refuse(self, host: str, problem: str) -> None:
        self._problems.setdefault(problem, []).append(host)

    def require_sound(self) -> None:
        """:raises InputError: telling every problem once, with the hosts that have it."""
        if self._problems:
            told = [f"{problem} ({_named(hosts)})" for problem, hosts in self._problems.items()]
            raise InputError("; ".join(told))
        self._require_work()

    def roles_of_the_project(self) -> t.Iterator[tuple[str, Activity]]:
        """Host and activity, wherever the project itself chose the role or the entry that does it."""
        for host, settings in self._settings.items():
            for name, activity in settings.activities.items():
                ours = self._catalogue[name]
                if activity.available and (activity.role, activity.entry) != (ours.get("role"), ours.get("entry")):
                    yield host, activity

    def absent_groups(self) -> list[str]:
        """One sentence for each group that available activities want and that has no host in this run."""
        return [
            f"no host of this run is in the group {group!r}{self._why_absent(group)}: {', '.join(names)} not done"
            for group, names in self._wanted().items()
            if names and not any(self._is_in(host, group) for host in self._settings)
        ]

    def _settings_of(self, variables: Data) -> Settings:
        for seen, settings in self._read:
            if seen == variables:
                return settings
        settings = read_settings(variables, self._catalogue)
        self._read.append((variables, settings))
        return settings

    def _misspelt_groups(self, settings: Settings) -> t.Iterator[str]:
        for name, activity in settings.activities.items():
            ours = self._catalogue[name]["hosts"]
            if activity.hosts not in (ours, "all", *self._groups):
                near = did_you_mean(activity.hosts, [group for group in self._groups if group != "ungrouped"])
                yield f"cycle_activities: {name}: hosts: the inventory has no group {activity.hosts!r}; {near}"

    def _require_work(self) -> None:
        for host, settings in self._settings.items():
            groups = [group for group in self._groups if self._is_in(host, group)]
            if any(not why_outside(activity, groups, settings.wish) for activity in settings.activities.values()):
                return
        if any(settings.wish.cadence and not settings.wish.only for settings in self._settings.values()) and (
            not self.absent_groups()
        ):
            # A cadence may well have nothing automated yet; that is no slip of the pen.
            return
        raise InputError(
            f"no activity of the catalogue applies to any of the {len(self._settings)} hosts of this run: "
            + "; ".join(self.absent_groups() or ["all that would apply is switched off or not asked for"])
        )

    def _wanted(self) -> dict[str, list[str]]:
        wanted: dict[str, list[str]] = {}
        for settings in self._settings.values():
            for activity in settings.activities.values():
                names = wanted.setdefault(activity.hosts, [])
                # Asked as if the host were in the group: what remains is whether anybody wants the activity at all.
                if activity.name not in names and not why_outside(activity, [activity.hosts], settings.wish):
                    names.append(activity.name)
        return wanted

    def _is_in(self, host: str, group: str) -> bool:
        return group == "all" or host in self._groups.get(group, ())

    def _why_absent(self, group: str) -> str:
        members = self._groups.get(group)
        if members:
            return f" (it has {_named(list(members))}, not part of this run)"
        if members is not None:
            return ", which is empty"
        near = nearest(group, [known for known in self._groups if known not in ("all", "ungrouped")])
        return f", which the inventory does not have{f' (is {near!r} meant?)' if near else ''}"


def _named(hosts: t.Sequence[str]) -> str:
    more = f" and {len(hosts) - _NAMED_HOSTS} more" if len(hosts) > _NAMED_HOSTS else ""
    return f"host{'s' if len(hosts) > 1 else ''} {', '.join(hosts[:_NAMED_HOSTS])}{more}"
