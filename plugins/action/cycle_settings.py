# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the settings of all hosts of a run before any of them is touched."""

from __future__ import annotations

import contextlib
import typing as t

import jinja2
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.playbook.role.definition import RoleDefinition
from ansible.plugins.action import ActionBase

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.catalogue import load_catalogue
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.fleet import Fleet
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.settings import DEFAULTS

#: The variables whose values are looked at. Passwords are not: nobody needs to decrypt them here.
_LOOKED_AT = (*DEFAULTS, "maintenance_records", "maintenance_deadline")


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        super().run(tmp, variables)
        fleet = Fleet(load_catalogue(), variables["groups"])
        hosts = variables["ansible_play_hosts_all"]
        of_play = self._of_play(fleet, variables)
        for host in hosts:
            self._look_at(fleet, host, variables, of_play)
        self._look_for_roles(fleet)
        try:
            fleet.require_sound()
        except InputError as exc:
            raise AnsibleActionFail(f"no host was touched: {exc}") from exc
        absent = fleet.absent_groups()
        for sentence in absent:
            self._display.display(sentence)
        return {"changed": False, "msg": f"the settings of {len(hosts)} hosts are sound", "absent": absent}

    def _look_for_roles(self, fleet: Fleet) -> None:
        """Refuse a role or an entry that is not there or cannot be read.

        Once a host is at work it would be too late: ansible-core lets a host with an include that cannot be loaded drop
        out of the plays that follow, and ends with exit status 0 when no other host is left.
        """
        known: dict[tuple[str, str], str] = {}
        for host, activity in fleet.roles_of_the_project():
            work = (activity.role, activity.entry)
            if work not in known:
                known[work] = self._why_not(*work)
            if known[work]:
                fleet.refuse(host, f"cycle_activities: {activity.name}: {known[work]}")

    def _why_not(self, role: str, entry: str) -> str:
        try:
            finder = RoleDefinition(loader=self._loader, collection_list=["steward.maintenance"])
            finder.preprocess_data({"role": role})
        except AnsibleError as exc:
            return f"role: {exc.message}"
        path = finder.get_role_path()
        found = [f"{path}/tasks/{entry}{ending}" for ending in (".yml", ".yaml", ".json", "")]
        there = [file for file in found if self._loader.is_file(file)]
        if not there:
            return f"entry: the role {role!r} has no tasks/{entry}.yml (looked in {path})"
        try:
            self._loader.load_from_file(there[0])
        except AnsibleError as exc:
            return f"entry: {there[0]} cannot be read: {exc.message}"
        return ""

    def _of_play(self, fleet: Fleet, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """The values that the play gives to all hosts: they are in no host's variables, but outrank them."""
        host = variables["inventory_hostname"]
        own = variables["hostvars"][host]
        values = {}
        for name in _LOOKED_AT:
            if name in variables:
                with _told_of(fleet, host, name):
                    value = self._templar.template(variables[name])
                    if value != own.get(name, DEFAULTS.get(name, "")):
                        values[name] = value
        return values

    @staticmethod
    def _look_at(fleet: Fleet, host: str, variables: dict[str, t.Any], of_play: dict[str, t.Any]) -> None:
        own = variables["hostvars"][host]
        names = {*own, *variables} if host == variables["inventory_hostname"] else set(own)
        values = {}
        for name in _LOOKED_AT:
            if name in own and name not in of_play:
                with _told_of(fleet, host, name):
                    values[name] = own[name]
        fleet.add(host, dict(values, **of_play), names)


@contextlib.contextmanager
def _told_of(fleet: Fleet, host: str, name: str) -> t.Iterator[None]:
    """A value that cannot be templated is one more problem, not the end of the check."""
    try:
        yield
    except (AnsibleError, jinja2.TemplateError) as exc:
        fleet.refuse(host, f"{name} cannot be read: {exc}")
