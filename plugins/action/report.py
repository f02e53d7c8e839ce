# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of `report`: collect what each host registered and send it as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.steward.maintenance.plugins.module_utils._report.collect import host_entry

MODULE = "steward.maintenance.report"

#: What stays on the controller: it goes into the file.
COLLECTED = {
    "catalogue": {"type": "list", "elements": "dict", "default": []},
    "groups": {"type": "dict"},
    "hosts": {"type": "list", "elements": "str"},
    "fact": {"type": "str", "default": "steward_records"},
}
PASSED_ON = {
    "path": {"type": "path", "required": True},
    "title": {"type": "str", "default": "Maintenance report"},
    "generated": {"type": "str", "default": ""},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _validation, args = self.validate_argument_spec(argument_spec={**COLLECTED, **PASSED_ON})
        try:
            remote = self._send(json.dumps(self._collect(args, task_vars)))
            arguments = {name: args[name] for name in PASSED_ON}
            answer = self._execute_module(
                module_name=MODULE, module_args={**arguments, "data": remote}, task_vars=task_vars
            )
            result.update(answer)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _collect(self, args: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        hostvars = task_vars["hostvars"]
        groups = args["groups"] if args["groups"] is not None else task_vars["groups"]
        hosts = args["hosts"] if args["hosts"] is not None else task_vars["groups"]["all"]
        unknown = [host for host in hosts if host not in hostvars]
        if unknown:
            raise AnsibleActionFail(f"hosts: not in the inventory: {', '.join(unknown)}")
        registered = {host: plain(hostvars[host].get(args["fact"])) for host in hosts}
        return {
            "catalogue": plain(args["catalogue"]),
            "groups": plain(groups),
            "hosts": {str(host): host_entry(answer) for host, answer in registered.items()},
        }

    def _send(self, text: str) -> str:
        shell = self._connection._shell
        if not shell.tmpdir:
            self._make_tmp_path()
        remote = shell.join_path(shell.tmpdir, "report.json")
        self._transfer_data(remote, text)
        self._fixup_perms2((shell.tmpdir, remote))
        return remote


def plain(value: Any) -> Any:
    """Data without the subclasses that ansible-core wraps it in, so that JSON carries it whatever the core."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value)
