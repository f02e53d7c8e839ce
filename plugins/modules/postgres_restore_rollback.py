#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_restore_rollback
version_added: 0.2.0
short_description: Give the PostgreSQL database that a restore put aside its name back
description:
  - Stops the application, exchanges the names again in one transaction, starts the application and asks whether it is
    well. When any of that fails, all of it is taken back.
  - The restored database is kept in its turn, so that nothing that was written since is lost.
  - A restore that was begun and not finished is undone instead.
options:
  database:
    description: Name of the database.
    type: str
    required: true
  kept:
    description:
      - Name of the database to go back to. Empty means the one that was put aside for the database that is in use now.
      - When that one is back already, nothing is done; name the restored one here to take it into use once more.
      - Only a database that a restore of O(database) put aside is taken.
    type: str
    default: ''
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._restore
  - steward.maintenance._application
  - steward.maintenance._application.health
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_postgres
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(kept), a run that names the database that is in use by now is refused.
seealso:
  - module: steward.maintenance.postgres_restore
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Go back to the database of before the restore
  steward.maintenance.postgres_restore_rollback:
    database: shop
    compose_directory: /srv/shop
    compose_services: [api, worker]
    health_url: http://127.0.0.1:8080/health
    login_unix_socket: /var/run/postgresql
    os_user: postgres
  become: true
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings) or V(failed). V(failed) fails the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: "database 'shop' is again what was kept as shop_old_20261126T093000Z; the application stood for 1.2 s"
reason:
  description: Why it failed, naming the step and the cause. The summary says how production stands.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name. C(stopped_seconds) is how long the application was stopped.
  returned: always
  type: dict
  sample: {duration_seconds: 1.8, swap_seconds: 0.01, stopped_seconds: 1.2}
coverage:
  description: Databases that were rolled back, of those that should be.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
planned:
  description: What would be renamed, in check mode.
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: shop_old_20261126T093000Z -> shop
      action: rename
      reason: it was put aside by a restore
      estimate: {}
backup:
  description: Always empty; for the same shape as M(steward.maintenance.postgres_restore).
  returned: always
  type: str
  sample: ''
kept:
  description: What the restored database is called now; empty when there was none.
  returned: always
  type: str
  sample: shop_old_20261126T101500Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    LOGIN_ARGUMENTS,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore import Outcome
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_arguments import (
    STATE_ARGUMENTS,
    SURROUNDINGS_ARGUMENTS,
    surroundings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_rollback import (
    Settings,
    roll_back,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **STATE_ARGUMENTS,
            **SURROUNDINGS_ARGUMENTS,
            database={"type": "str", "required": True},
            kept={"type": "str", "default": ""},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        around = surroundings_from(params)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    settings = Settings(params["database"], params["kept"], params["state_dir"] or "", params["os_user"])
    outcome = Outcome()
    result = roll_back(login_from(params), settings, around, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
