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
  budget:
    description: The longest that this may take, over all databases. What is not done by then waits for the next run.
    type: str
    default: 1h
  lock_timeout:
    description: The longest to wait for a lock, and so the longest that others queue behind us. It is tried three
      times.
    type: str
    default: 5s
  lock_wait:
    description: How long to wait for another maintenance run in the same database.
    type: str
    default: 30s
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._postgres.databases
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

from ansible_collections.steward.maintenance.plugins.module_utils._core.durations import parse_duration
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    DATABASES_ARGUMENT,
    LOGIN_ARGUMENTS,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.session import Politeness
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.vacuum import Rules, vacuum
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.work import Budget, Outcome, over_databases


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **DATABASES_ARGUMENT,
            task={"type": "str", "choices": ["vacuum", "analyze"], "default": "vacuum"},
            max_age={"type": "str", "default": "7d"},
            freeze_percent={"type": "int", "default": 90},
            budget={"type": "str", "default": "1h"},
            lock_timeout={"type": "str", "default": "5s"},
            lock_wait={"type": "str", "default": "30s"},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        rules = Rules(params["task"], parse_duration(params["max_age"]), params["freeze_percent"])
        budget = Budget(parse_duration(params["budget"]))
        politeness = Politeness(parse_duration(params["lock_timeout"]), parse_duration(params["lock_wait"]))
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
    )
    finish(module, result, total.changed, **total.beside())


if __name__ == "__main__":
    main()
