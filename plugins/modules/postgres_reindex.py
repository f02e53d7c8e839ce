#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_reindex
version_added: 0.1.0
short_description: Rebuild the PostgreSQL indexes that need it
description:
  - Removes what an interrupted C(REINDEX CONCURRENTLY) left behind, rebuilds invalid indexes, indexes whose collation
    is no longer the version that they were sorted by, and indexes that are mostly empty space, those of TOAST tables
    as well. Everything is done concurrently, the users keep reading and writing.
  - The bloat of B-trees is measured with C(pgstatindex) where the extension C(pgstattuple) is installed in the
    database. Measuring reads the whole index, so the size per row of a packed index is remembered, and only indexes
    that grew past the threshold by that are measured again. Without the extension the bloat is estimated from the
    number of rows and the widths of the columns, which finds most, but not bloat in indexes whose keys are mostly
    duplicates. Indexes of other kinds are rebuilt when they take twice as much per row as after their last rebuild.
    The reason of each plan says which method was used.
  - A collation drifts when the operating system or ICU is updated. The indexes that depend on it are rebuilt first, and
    its version is refreshed only when each one of them was rebuilt and proved, which may take several runs.
  - Before a rebuild the module looks for old snapshots, which would make it wait, and for room on the disk where it
    can see it. Afterwards the catalog is read again, and nothing invalid of ours stays behind.
  - Indexes of system catalogs and behind exclusion constraints cannot be rebuilt concurrently and are reported, with
    the statement for a maintenance window. PostgreSQL 14.0 to 14.3 is refused.
  - On a standby nothing is done and the verdict is V(skipped).
options:
  bloat_percent:
    description: An index is rebuilt from this share of empty space on.
    type: int
    default: 40
  minimum_bytes:
    description: Indexes smaller than this are not looked at for bloat.
    type: int
    default: 1048576
  state_dir:
    description:
      - Directory of the file that remembers how many bytes a row each index takes when it is packed, which indexes
        were rebuilt after their collation drifted, and which rebuilds the budget was too short for. Without it all
        indexes are measured in every run.
      - Empty means C(/var/lib/steward) for root, else C(steward) in the user's state directory.
    type: path
    default: ''
  every_index:
    description:
      - Rebuild every index of the users' tables and of their TOAST tables, as C(REINDEX DATABASE CONCURRENTLY) does,
        but each one watched and proved. This changes something in every run.
    type: bool
    default: false
    version_added: 0.2.0
  collations:
    description: Look for collations whose version drifted, rebuild what depends on them and refresh the version.
    type: bool
    default: true
    version_added: 0.2.0
  parallel_workers:
    description:
      - Processes that may help each connection to build an index, C(max_parallel_maintenance_workers) of its session.
      - When not set, a connection that rebuilds alone has as many as the server's settings say, and several at the
        same time have none. Then O(jobs) is the number of processors that are taken at the most.
    type: int
    version_added: 0.2.0
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._postgres.databases
  - steward.maintenance._postgres.politeness
  - steward.maintenance._attributes
  - steward.maintenance._attributes.progress
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
- name: Rebuild what needs it, in all databases
  steward.maintenance.postgres_reindex:
    login_unix_socket: /var/run/postgresql
  become: true
  become_user: postgres

- name: Rebuild large indexes of one database that are more than half empty
  steward.maintenance.postgres_reindex:
    databases: [shop]
    bloat_percent: 50
    minimum_bytes: 104857600
    budget: 2h

- name: Rebuild all indexes of one database, as after an update of the operating system's collations
  steward.maintenance.postgres_reindex:
    databases: [shop]
    every_index: true
    budget: 8h
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
  sample: 'reindex: 1 of 1 needed actions done, 87 indexes looked at'
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
  sample: {duration_seconds: 2.9, needed_indexes: 1, done: 1, not_done: 0, reclaimed_bytes: 5898240}
coverage:
  description: How many indexes were looked at, of how many.
  returned: always
  type: dict
  sample: {looked: 87, of: 87}
planned:
  description: The actions that are needed, each with C(database), C(subject), C(action), C(reason) and C(estimate).
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: public.orders_pkey
      action: REINDEX INDEX CONCURRENTLY
      reason: 72 % bloat by pgstatindex, over 40 %
      estimate: {bytes: 8192000, rows: 100000, reclaimed_bytes: 5898240, seconds: 0.4, free_bytes: 21474836480}
done:
  description: The actions whose effect was read back, with C(before), C(after), C(duration_seconds) and
    C(reclaimed_bytes).
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
    jobs_from,
    login_from,
    politeness_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.reindex import reindex, rules_from
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.work import Outcome, over_databases


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **DATABASES_ARGUMENT,
            **POLITENESS_ARGUMENTS,
            bloat_percent={"type": "int", "default": 40},
            minimum_bytes={"type": "int", "default": 1048576},
            state_dir={"type": "path", "default": ""},
            every_index={"type": "bool", "default": False},
            collations={"type": "bool", "default": True},
            parallel_workers={"type": "int"},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        rules = rules_from(params)
        budget, politeness, jobs = budget_from(params), politeness_from(params), jobs_from(params)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    login = login_from(params)
    total = Outcome("reindex", module.check_mode)
    result = over_databases(
        login,
        params["databases"],
        total,
        "indexes",
        lambda database, outcome: reindex(login, database, rules, politeness, budget, outcome, jobs),
    )
    finish(module, result, total.changed, **total.beside())


if __name__ == "__main__":
    main()
