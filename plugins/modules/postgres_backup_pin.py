#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_backup_pin
version_added: 0.1.0
short_description: Keep a PostgreSQL backup for ever, or let retention decide again
description:
  - Puts the file C(pinned.json) into a backup that M(steward.maintenance.postgres_backup) made, or takes it away. While
    it is there, M(steward.maintenance.postgres_backup_verify) never removes the backup, whatever its age and state.
  - Without this module, C(touch pinned.json) in the directory of the backup does the same.
options:
  path:
    description: Directory of the backups.
    type: path
    default: /var/backups/steward
  backup:
    description: Name of the backup, the moment it was begun, like V(20261123T051339Z).
    type: str
    required: true
  state:
    description: Whether it is to be pinned.
    type: str
    choices: [present, absent]
    default: present
  reason:
    description: Why it is kept. It is told wherever the backup is listed among those that stay.
    type: str
    default: ''
extends_documentation_fragment:
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: steward.maintenance.postgres_backup_verify
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Keep the backup of before the migration
  steward.maintenance.postgres_backup_pin:
    backup: 20261123T051339Z
    reason: before the migration to version 3
  become: true
  become_user: postgres

- name: Let retention decide again
  steward.maintenance.postgres_backup_pin:
    backup: 20261123T051339Z
    state: absent
  become: true
  become_user: postgres
"""

RETURN = r"""
verdict:
  description: V(ok) or V(failed). V(failed) fails the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence that says what the state of the backup is.
  returned: always
  type: str
  sample: 'backup 20261123T051339Z is pinned: it stays for ever'
reason:
  description: Why it failed.
  returned: always
  type: str
  sample: ''
findings:
  description: Always empty.
  returned: always
  type: list
  elements: dict
figures:
  description: Always empty.
  returned: always
  type: dict
coverage:
  description: Not used.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import PostgresError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.pins import pin


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/var/backups/steward"},
            "backup": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "reason": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    wanted = params["state"] == "present"
    try:
        result, changed = pin(params["path"], params["backup"], wanted, params["reason"], module.check_mode)
    except (InputError, PostgresError) as exc:
        module.fail_json(msg=str(exc))
    state = {True: "pinned\n", False: "not pinned\n"}
    before = state[wanted != changed]
    finish(module, result, changed, diff={"before": before, "after": state[wanted] if changed else before})


if __name__ == "__main__":
    main()
