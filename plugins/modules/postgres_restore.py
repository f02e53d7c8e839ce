#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_restore
version_added: 0.2.0
short_description: Restore a PostgreSQL database beside the one in use, and exchange them
description:
  - Restores a database from a backup that M(steward.maintenance.postgres_backup) made. The database in use is not
    touched before the restored copy is proved, and is kept afterwards under another name.
  - Before anything is touched, every byte of the backup is compared with its manifest, and the server is asked whether
    it has the version, the roles, the extensions, the tablespaces and the space that the backup needs.
  - Then the backup is restored into a database of its own that lets nobody else in, its rows are counted and compared
    with the manifest, invalid indexes are looked for, and the properties of the database in use are carried over to
    it, its owner, grants, settings, comment and connection limit. Of a database that is not there, those of the
    backup count.
  - Where the server runs on this host, the indexes are built with as much C(maintenance_work_mem) as an eighth of the
    free memory of the host and of the server's control group allows, divided by the jobs, up to 512 MB.
  - Only then the application is stopped, the database in use is closed and left, both names are exchanged in one
    transaction, the application is started and asked whether it is well. When any of that fails, all of it is taken
    back, and the application works on the database of before.
  - The database of before is kept as C(NAME_old_TIME), closed to everybody.
    M(steward.maintenance.postgres_restore_rollback) gives it its name back,
    M(steward.maintenance.postgres_restore_retire) drops it.
  - A run that is killed at any moment is completed by the next one with the same options, or undone by
    M(steward.maintenance.postgres_restore_rollback).
options:
  create_roles:
    description:
      - Create roles that the database needs and the server lacks, passwords included, from the backup's globals.
    type: bool
    default: false
  ignore_tablespaces:
    description: Restore into the tablespace of the database in use, or the default one, whatever the backup says.
    type: bool
    default: false
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._restore
  - steward.maintenance._restore.choice
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
    support: none
    details:
      - Each run restores the database, which is what it is asked for.
seealso:
  - module: steward.maintenance.postgres_restore_info
  - module: steward.maintenance.postgres_restore_rollback
  - module: steward.maintenance.postgres_restore_tables
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Restore the newest verified backup, with the application stopped for a moment
  steward.maintenance.postgres_restore:
    database: shop
    compose_directory: /srv/shop
    compose_services: [api, worker]
    health_url: http://127.0.0.1:8080/health
    login_unix_socket: /var/run/postgresql
    os_user: postgres
  become: true

- name: Restore what was there yesterday at noon
  steward.maintenance.postgres_restore:
    database: shop
    at: "2026-11-22T12:00:00+01:00"
    systemd_units: [shop-api.service, shop-worker.service]
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
  sample: "database 'shop' restored from backup 20261123T051339Z in 4.1 s; the application stood for 1.2 s"
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
  description:
    - Measured numbers, with the unit in the name. C(restore_seconds) is evidence for the RTO, C(rpo_seconds), the age
      of the data, for the RPO. C(stopped_seconds) is how long the application was stopped, C(swap_seconds) how long
      the transaction took that exchanged the names. What this run did not see itself is left out.
  returned: always
  type: dict
  sample:
    duration_seconds: 9.8
    rehash_seconds: 0.1
    restore_seconds: 4.1
    verify_seconds: 0.9
    swap_seconds: 0.01
    stopped_seconds: 1.2
    rpo_seconds: 4210
    restored_tables: 41
    restored_rows: 120000
coverage:
  description: Databases that were restored, of those that should be.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
planned:
  description: What is done, in its order, each with C(database), C(subject), C(action), C(reason) and C(estimate).
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: shop_restore_20261126T093000Z
      action: restore
      reason: from backup 20261123T051339Z, whose data is 1 h 10 min old
      estimate: {bytes: 11796480, rows: 120000, seconds: 4.1}
backup:
  description: Path of the backup that was restored.
  returned: always
  type: str
  sample: /var/backups/steward/20261123T051339Z
kept:
  description: What the database of before is called now; empty when there was none.
  returned: always
  type: str
  sample: shop_old_20261126T093000Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    LOGIN_ARGUMENTS,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore import (
    Outcome,
    Settings,
    restore,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_arguments import (
    CHOICE_ARGUMENTS,
    STATE_ARGUMENTS,
    SURROUNDINGS_ARGUMENTS,
    opening_from,
    surroundings_from,
    wanted_from,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **CHOICE_ARGUMENTS,
            **STATE_ARGUMENTS,
            **SURROUNDINGS_ARGUMENTS,
            create_roles={"type": "bool", "default": False},
            ignore_tablespaces={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        around = surroundings_from(params)
        settings = Settings(
            wanted=wanted_from(params),
            create_roles=params["create_roles"],
            ignore_tablespaces=params["ignore_tablespaces"],
            opening=opening_from(params),
            bin_dir=params["bin_dir"] or "",
            state_dir=params["state_dir"] or "",
            os_user=params["os_user"],
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = restore(login_from(params), settings, around, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
