#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_vacuum
version_added: 0.1.0
short_description: Vacuum or analyze the PostgreSQL tables that need it
description:
  - Decides for each table by the server's own formula, with the table's settings first, whether it needs C(VACUUM) or
    C(ANALYZE), and acts on those only, the most urgent first. A table that changed is not left alone longer than
    O(max_age).
  - After each table the catalog is read again. A table that the server skipped, that somebody holds locked, or whose
    dead rows an old transaction keeps, is reported in RV(not_done) with the one who is in the way, never as done.
  - System catalogs are left to autovacuum unless they come near the transaction id wraparound.
  - On a standby nothing is done and the verdict is V(skipped).
options:
  task:
    description:
      - V(vacuum) removes dead rows and freezes old ones. Where a table's statistics are due as well, they are gathered
        in the same pass.
      - V(analyze) gathers statistics only.
    type: str
    choices: [vacuum, analyze]
    default: vacuum
  max_age:
    description: A table that changed is due when its last (auto)vacuum or (auto)analyze is older than this.
    type: str
    default: 7d
  freeze_percent:
    description:
      - A table is vacuumed for the wraparound from this percentage of C(autovacuum_freeze_max_age), or its multixact
        twin, on.
    type: int
    default: 90
  skip_tables:
    description:
      - Tables that are left alone, each as C(schema.table), without quotes.
      - A table that none of the databases has is refused.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  freeze:
    description: Freeze all rows of the tables that are vacuumed.
    type: bool
    default: false
    version_added: 0.2.0
  cost_delay:
    description:
      - Milliseconds to pause whenever O(cost_limit) is reached, C(vacuum_cost_delay).
      - Not given leaves it to the server, as with the other options below.
    type: float
    version_added: 0.2.0
  cost_limit:
    description: Cost after which to pause for O(cost_delay), C(vacuum_cost_limit), from 1 to 10000.
    type: int
    version_added: 0.2.0
  buffer_usage_limit:
    description:
      - Size of the ring of shared buffers that is used, with its unit, such as C(2MB). C(0) means as many as needed.
      - Needs PostgreSQL 16.
    type: str
    version_added: 0.2.0
  parallel_workers:
    description: How many workers may vacuum the indexes of one table at the same time, from 0 to 1024.
    type: int
    version_added: 0.2.0
  index_cleanup:
    description: Whether the indexes are vacuumed as well. V(auto) lets the server skip it where it is not worthwhile,
      and needs PostgreSQL 14.
    type: str
    choices: [auto, 'on', 'off']
    version_added: 0.2.0
  truncate:
    description: Whether empty pages at the end of a table are given back to the disk; it is locked for that moment.
    type: bool
    version_added: 0.2.0
  process_toast:
    description: Whether the TOAST tables are judged and vacuumed as well. Needs PostgreSQL 14.
    type: bool
    version_added: 0.2.0
  process_main:
    description: Whether the tables themselves are judged and vacuumed, and not only their TOAST tables. Needs
      PostgreSQL 16.
    type: bool
    version_added: 0.2.0
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._postgres.databases
  - steward.maintenance._postgres.politeness
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_postgres
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
author:
  - The steward.maintenance authors (@steward-maintenance)
"""

EXAMPLES = r"""
- name: Vacuum what needs it, in all databases
  steward.maintenance.postgres_vacuum:
    login_unix_socket: /var/run/postgresql
  become: true
  become_user: postgres

- name: Gather the statistics of one database over the network
  steward.maintenance.postgres_vacuum:
    task: analyze
    databases: [shop]
    login_host: db.example.com
    login_user: maintenance
    login_password: "{{ vault_maintenance_password }}"
    ssl_mode: verify-full
    budget: 20m
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(unknown), V(failed) or V(skipped). V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: 'vacuum: 3 of 3 needed actions done, 41 tables looked at'
reason:
  description: Why something was skipped or failed, naming the cause.
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
  sample: {duration_seconds: 1.2, needed_tables: 3, done: 3, not_done: 0, reclaimed_bytes: 0}
coverage:
  description: How many tables were looked at, of how many.
  returned: always
  type: dict
  sample: {looked: 41, of: 41}
planned:
  description: The actions that are needed, each with C(database), C(subject), C(action), C(reason) and C(estimate).
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: public.orders
      action: VACUUM
      reason: 12000 dead rows, over 2050
      estimate: {bytes: 8192000, rows: 10000}
done:
  description: The actions whose effect was read back, with C(before), C(after) and C(duration_seconds).
  returned: always
  type: list
  elements: dict
not_done:
  description: The needed actions that did not happen, with C(kind) and C(reason).
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    DATABASES_ARGUMENT,
    LOGIN_ARGUMENTS,
    POLITENESS_ARGUMENTS,
    budget_from,
    duration_from,
    jobs_from,
    login_from,
    politeness_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.vacuum import Rules, vacuum
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.vacuum_options import (
    OPTION_ARGUMENTS,
    options_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.work import Outcome, over_databases


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **DATABASES_ARGUMENT,
            **POLITENESS_ARGUMENTS,
            task={"type": "str", "choices": ["vacuum", "analyze"], "default": "vacuum"},
            max_age={"type": "str", "default": "7d"},
            freeze_percent={"type": "int", "default": 90},
            **OPTION_ARGUMENTS,
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        options = options_from(params)
        max_age = duration_from(params, "max_age")
        rules = Rules(params["task"], max_age, params["freeze_percent"], options, jobs_from(params))
        budget, politeness = budget_from(params), politeness_from(params)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    login = login_from(params)
    total = Outcome(rules.task, module.check_mode)
    result = over_databases(
        login,
        params["databases"],
        total,
        "tables",
        lambda database, outcome: vacuum(login, database, rules, politeness, budget, outcome),
        lambda conn, databases: options.check_on(login, conn, databases),
    )
    finish(module, result, total.changed, **total.beside())


if __name__ == "__main__":
    main()
