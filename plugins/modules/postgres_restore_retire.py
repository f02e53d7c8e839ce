#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_restore_retire
version_added: 0.2.0
short_description: Drop the PostgreSQL databases that restores put aside, when their time is over
description:
  - Drops databases that M(steward.maintenance.postgres_restore) or M(steward.maintenance.postgres_restore_rollback) put
    aside longer than O(keep) ago. They are known by the mark in their comment, which names the very database; a name
    alone is never enough.
  - One goes only when the database that has its name now lets people in and is in use, which means that the application
    is well (O(health_url), O(health_command)) or, where nothing is asked, that somebody is connected; and when a
    verified backup in O(path) holds it as it was after the exchange. Else it stays, and a finding says why.
  - A database that somebody is looking at is not dropped from under them; the task fails and says so.
options:
  keep:
    description: How long a database that was put aside is kept.
    type: str
    default: 7d
  path:
    description: Directory of the backups. Empty means that no backup is asked for.
    type: path
    default: /var/backups/steward
  database:
    description: Only what was put aside for this database. Empty means all.
    type: str
    default: ''
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._restore
  - steward.maintenance._application.health
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_postgres
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - What was dropped is gone, and what is kept is kept.
seealso:
  - module: steward.maintenance.postgres_restore
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Drop what was put aside more than a week ago
  steward.maintenance.postgres_restore_retire:
    keep: 7d
    login_unix_socket: /var/run/postgresql
  become: true
  become_user: postgres
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
  sample: '1 retired databases dropped (9.8 MB), 0 kept'
reason:
  description: Why it failed or could not look, naming the database and the cause.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name.
  returned: always
  type: dict
  sample: {dropped_databases: 1, dropped_bytes: 9830400, kept_databases: 0, kept_bytes: 0}
coverage:
  description: Databases that were dealt with, of those that were put aside.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
planned:
  description:
    - The databases whose time is over, each with C(database), C(subject), C(action), C(reason) and C(estimate)
      (C(bytes)).
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: shop_old_20261126T093000Z
      action: drop
      reason: put aside at 2026-11-26T09:30:12Z; the one in use is well and backed up
      estimate: {bytes: 9830400}
dropped:
  description: Names of the databases that were dropped, or would be in check mode.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.durations import parse_duration
from ansible_collections.steward.maintenance.plugins.module_utils._core.health import (
    HEALTH_ARGUMENTS,
    health_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    LOGIN_ARGUMENTS,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_arguments import STATE_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_retire import (
    Outcome,
    Settings,
    retire,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **STATE_ARGUMENTS,
            **HEALTH_ARGUMENTS,
            keep={"type": "str", "default": "7d"},
            path={"type": "path", "default": "/var/backups/steward"},
            database={"type": "str", "default": ""},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        health = health_from(params)
        settings = Settings(
            keep=parse_duration(params["keep"]),
            path=params["path"] or "",
            database=params["database"],
            state_dir=params["state_dir"] or "",
            os_user=params["os_user"],
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = retire(login_from(params), settings, health, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
