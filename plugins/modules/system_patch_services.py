#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: system_patch_services
version_added: 0.2.0
short_description: Restart services that run replaced files, until none does
description:
  - After an upgrade, programs go on with the old files, and their holes, until they are restarted. This looks at what
    every process has mapped, restarts the services of systemd that those belong to, and looks again, until none is left
    that may be restarted. Where C(needrestart) is installed (with apt), or C(dnf needs-restarting) (with dnf), what it
    knows is added.
  - A service must be active again after its restart. One that still runs replaced files then gives V(failed).
  - Some are never restarted, and told with the reason. A reboot restarts D-Bus, logind, network and display managers;
    Docker, libvirt and consoles are for somebody to restart by hand; PostgreSQL has a rule of its own; and so has the
    service in which this module itself runs.
options:
  never:
    description: Shell patterns of services that are not restarted, beside those above.
    type: list
    elements: str
    default: []
  postgresql:
    description: V(leave) never restarts C(postgresql*.service), V(restart) treats them like all others.
    type: str
    choices: [leave, restart]
    default: leave
  restart_timeout:
    description: How long one restart may take.
    type: str
    default: 2m
  timeout:
    description: How long one program that looks may take.
    type: str
    default: 10m
extends_documentation_fragment:
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - Names what it would restart.
  diff_mode:
    support: none
  idempotent:
    support: full
requirements:
  - The programs of apt and dpkg, or dnf 4 and rpm; and systemd.
notes:
  - Run it as root.
  - Processes in logins, in services of users, in containers and outside of any service are told, and left alone.
seealso:
  - module: steward.maintenance.system_patch
  - module: steward.maintenance.system_patches_info
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Restart what runs replaced files, but for the application
  steward.maintenance.system_patch_services:
    never: ['shop-*.service']

- name: In the window of the database, its servers as well
  steward.maintenance.system_patch_services:
    postgresql: restart
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(unknown) or V(failed). V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: 3 services restarted, 0 left with replaced files
reason:
  description: What did not restart, or could not be looked at.
  returned: always
  type: str
  sample: ''
findings:
  description:
    - What somebody should know about, each with C(id), C(severity), C(subject), C(message), C(value), C(threshold) and
      C(action). The ids are V(service-uses-replaced-files), V(process-uses-replaced-files) and V(reboot-needed).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers.
  returned: always
  type: dict
  sample: {restarted: 3, left: 0, processes_looked_at: 87}
coverage:
  description: Processes that could be looked at, of all.
  returned: always
  type: dict
  sample: {looked: 87, of: 87}
restarted:
  description: Services that were restarted, in their order.
  returned: always
  type: list
  elements: str
  sample: [cron.service, nginx.service, ssh.service]
left:
  description: Services that still run replaced files, with C(unit), C(reason) and C(pids).
  returned: always
  type: list
  elements: dict
  sample:
    - unit: dbus.service
      reason: 'sessions or the network of the host hang on it (''dbus.service''): a reboot restarts it'
      pids: [412]
processes:
  description: Processes that run replaced files at the end, as in M(steward.maintenance.system_patches_info).
  returned: always
  type: list
  elements: dict
  sample: []
reboot:
  description: Whether a reboot is needed, as in M(steward.maintenance.system_patches_info).
  returned: always
  type: dict
  sample:
    needed: false
    reasons: []
    boot_id: 7f3f0f6e-0d39-4d0d-9a5e-0a4a1d3a2c11
    running_kernel: 6.1.0-35-amd64
    newest_kernel: 6.1.0-35-amd64
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._patching.arguments import (
    SERVICES_ARGUMENTS,
    services_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._patching.restarting import Outcome, restart


def main() -> None:
    module = AnsibleModule(argument_spec=SERVICES_ARGUMENTS, supports_check_mode=True)
    outcome = Outcome()
    try:
        result = restart(services_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
