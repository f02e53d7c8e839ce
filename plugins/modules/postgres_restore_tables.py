#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_restore_tables
version_added: 0.2.0
short_description: Restore single tables of a PostgreSQL backup beside those in use
description:
  - Puts the rows of single tables, as they were in a backup, into a schema of their own in the database that is in
    use.
    Nothing that is there is altered; what is needed can be copied from there with C(INSERT ... SELECT).
  - The rows go through a side database, where the types of the backup are, and from there into plain tables without
    indexes, defaults and constraints other than C(NOT NULL). All tables come in one transaction, each with as many
    rows as the manifest says.
  - The schemas are called C(SCHEMA_restore_TIME) and belong to the role that is logged in. Drop them when they are
    not needed any more.
options:
  tables:
    description:
      - Names of the tables, with their schema. Without one, V(public) is meant. Of a partitioned table, name the
        partitions.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._restore
  - steward.maintenance._restore.choice
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_postgres
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: none
    details:
      - Each run makes a schema of its own.
seealso:
  - module: steward.maintenance.postgres_restore
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Look at the orders as they were in the newest verified backup
  steward.maintenance.postgres_restore_tables:
    database: shop
    tables: [public.orders, public.order_lines]
    login_unix_socket: /var/run/postgresql
  become: true
  become_user: postgres
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
  sample: 1 tables with 120 rows restored from backup 20261123T051339Z into public_restore_20261126t093000z.orders
reason:
  description: Why it failed. Nothing of it is left then.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name. C(rpo_seconds) is the age of the data.
  returned: always
  type: dict
  sample: {duration_seconds: 1.8, restored_tables: 1, restored_rows: 120, rpo_seconds: 4210}
coverage:
  description: Tables that were restored, of those that should be.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
planned:
  description: The tables, each with C(database), C(subject), C(action), C(reason) and C(estimate) (C(rows)).
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: public.orders
      action: restore
      reason: into public_restore_20261126t093000z.orders
      estimate: {rows: 120}
backup:
  description: Path of the backup.
  returned: always
  type: str
  sample: /var/backups/steward/20261123T051339Z
restored:
  description: Where each table is now.
  returned: always
  type: dict
  sample: {public.orders: public_restore_20261126t093000z.orders}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    LOGIN_ARGUMENTS,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_arguments import (
    CHOICE_ARGUMENTS,
    STATE_ARGUMENTS,
    opening_from,
    wanted_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_tables import (
    Outcome,
    Settings,
    restore_tables,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **CHOICE_ARGUMENTS,
            **STATE_ARGUMENTS,
            tables={"type": "list", "elements": "str", "required": True},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        wanted = wanted_from(params)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    settings = Settings(
        wanted,
        tuple(params["tables"]),
        opening_from(params),
        params["bin_dir"] or "",
        params["state_dir"] or "",
        params["os_user"],
    )
    outcome = Outcome()
    result = restore_tables(login_from(params), settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
