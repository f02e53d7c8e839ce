# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides on the controller what is due, from the records that the module of the same name reads on the host."""

from __future__ import annotations

import datetime
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.catalogue import load_catalogue
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.plan import applicable, empty_plan, make_plan
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.settings import Settings, read_settings

#: The arguments that are settings: each is the variable of the role without its prefix.
_SETTINGS = ("activities", "only", "cadence", "force", "freezes", "change_request")

# Read here, when the plugin is loaded into the main process, so that the forked workers of all hosts inherit it.
load_catalogue()


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        super().run(tmp, variables)
        settings = self._settings()
        host = variables["inventory_hostname"]
        groups = variables.get("group_names", [])
        wanted = applicable(settings, groups)
        if not wanted:
            return self._shown(host, empty_plan(settings, groups, utc_now()))
        asked_at = utc_now()
        answer = self._ask(host, wanted, variables)
        if answer.get("failed") or answer.get("unreachable"):
            return answer
        # The clock to compare with is the one at the middle of the call: connecting may take long.
        between = asked_at + (utc_now() - asked_at) / 2
        return self._shown(host, self._plan(settings, groups, answer, between))

    def _settings(self) -> Settings:
        given = {f"cycle_{name}": self._task.args[name] for name in _SETTINGS if name in self._task.args}
        given["maintenance_records"] = self._task.args.get("records", "")
        given["maintenance_deadline"] = self._task.args.get("deadline", "")
        try:
            return read_settings(given, load_catalogue())
        except InputError as exc:
            raise AnsibleActionFail(str(exc)) from exc

    def _ask(self, host: str, wanted: list[str], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = {name: self._task.args[name] for name in ("records", "records_password") if name in self._task.args}
        return t.cast(
            "dict[str, t.Any]",
            self._execute_module(
                module_name="steward.maintenance.activities_due",
                module_args=dict(arguments, host=host, only=wanted),
                task_vars=variables,
            ),
        )

    @staticmethod
    def _plan(
        settings: Settings, groups: t.Collection[str], answer: dict[str, t.Any], asked_at: datetime.datetime
    ) -> dict[str, t.Any]:
        plan = make_plan(settings, groups, answer, asked_at)
        # What the module itself had to say goes on to the user.
        kept = {key: answer[key] for key in ("deprecations", "exception") if key in answer}
        return dict(plan, **kept)

    def _shown(self, host: str, plan: dict[str, t.Any]) -> dict[str, t.Any]:
        """The plan as the task's result. One line of it is always shown: an idle run should say when it is not."""
        for warning in plan.pop("warnings"):
            self._display.warning(f"{host}: {warning}")
        self._display.display(f"{host}: {plan['msg']}")
        for entry in plan["deferred"]:
            self._display.v(f"{host}: {entry['activity']}: {entry['reason']}")
        return dict(plan, changed=False)
