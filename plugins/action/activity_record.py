# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins what an activity has to show for itself and records it on the host with the module record."""

from __future__ import annotations

import datetime
import getpass
import platform
import subprocess
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import parse_time, write_time
from ansible_collections.steward.maintenance.plugins.module_utils._core.masking import mask_secrets
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.gate import result_of, too_late
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.plan import outcome

#: Field of a record and the variables in which AWX, or older Tower, tells it.
_TOLD_BY_AWX = {
    "user": ("awx_user_name", "tower_user_name"),
    "awx_job_id": ("awx_job_id", "tower_job_id"),
    "awx_template": ("awx_job_template_name", "tower_job_template_name"),
    "revision": ("awx_project_revision", "tower_project_revision"),
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        super().run(tmp, variables)
        arguments = self._task.args
        activity = arguments["activity"]
        late = too_late(activity, arguments["started"])
        if activity["refused"]:
            result, changed = Result.from_dict(activity["refused"]), False
        elif late:
            result, changed = late, False
        else:
            result, changed = result_of(activity, arguments.get("published"), arguments.get("failure"))
        result = Result.from_dict(mask_secrets(result.to_dict()))
        why = f" ({result.reason})" if result.reason else ""
        told = outcome(activity["name"], result.verdict, result.summary + why)
        if self._task.check_mode:
            told_so = f"check mode: not recorded: {told['line']}"
            return dict(result.to_dict(), changed=False, outcome=told, msg=told_so)
        answer = self._record(activity, result, changed, variables)
        if answer.get("failed"):
            answer["msg"] = f"{told['line']}; but this could not be recorded: {answer.get('msg')}"
            return answer
        return dict(result.to_dict(), changed=True, outcome=told, msg=told["line"])

    def _record(
        self, activity: dict[str, t.Any], result: Result, changed: bool, variables: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        arguments = self._task.args
        # The record has the times of the host; the start was taken from the controller's clock.
        skew = datetime.timedelta(seconds=int(arguments.get("clock_skew_seconds", 0)))
        fields = {
            "activity": activity["name"],
            "guide": activity["guide"],
            "type": activity["type"],
            "host": variables["inventory_hostname"],
            "started": write_time(parse_time(arguments["started"]) + skew),
            "result": result.to_dict(),
            "changed": changed,
            "change": arguments.get("change_request", ""),
            "ran": self._ran(variables),
        }
        store = {name: arguments[name] for name in ("records", "records_password") if arguments.get(name)}
        answer = self._execute_module(
            module_name="steward.maintenance.record", module_args=dict(fields, **store), task_vars=variables
        )
        return t.cast("dict[str, t.Any]", answer)

    def _ran(self, variables: dict[str, t.Any]) -> dict[str, str]:
        """Who and what ran the activity, as far as it is known."""
        told = {
            field: next((str(variables[name]) for name in names if variables.get(name)), "")
            for field, names in _TOLD_BY_AWX.items()
        }
        told["user"] = told["user"] or _user()
        told["revision"] = told["revision"] or _revision(self._loader.get_basedir())
        told["controller"] = platform.node()
        return {field: value for field, value in told.items() if value}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that no account has.
        return ""


def _revision(directory: str) -> str:
    """The commit of the project that the playbook was started from, where that is a Git checkout."""
    try:
        found = subprocess.run(
            ["git", "-C", directory, "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
