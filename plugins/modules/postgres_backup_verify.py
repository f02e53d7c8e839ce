#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_backup_verify
version_added: 0.1.0
short_description: Prove the newest PostgreSQL backup by restoring it into a throwaway server
description:
  - Reads every byte of the newest backup that M(steward.maintenance.postgres_backup) made and compares it with the
    manifest, restores roles and databases into a server that is made for it and thrown away afterwards, and compares
    there the rows of every table, the large objects, the properties of the databases, the extensions and the roles with
    the manifest. Where the extension amcheck is installed, the structure of every B-tree index is checked too.
  - Success is written beside the manifest as C(verified.json), failure as C(refuted.json); after a failure the next
    backup is due at once.
  - After a success, and only then, backups older than O(retention) are removed. The newest verified backup is always
    kept, and so is everything newer. What was never verified counts for nothing.
  - The throwaway server has its own directory below O(scratch_path), no network address and a Unix socket in a
    directory closed to others. Leftovers of killed runs are removed.
  - The verdict is V(failed) when there is no backup or when it is not what its manifest says, V(unknown) when it could
    not be looked at, for example because a program, an extension or space is missing on this host.
  - The server whose backup it is is not asked and may be down. The login options are those of the action group, so that
    its defaults can be set once; they are not used.
options:
  path:
    description: Directory of the backups.
    type: path
    default: /var/backups/steward
  every:
    description:
      - Verify the newest backup again when its last verification is older than this, less a tenth (12 hours at most).
    type: str
    default: 1d
  force:
    description: Verify the newest backup even if that is not due.
    type: bool
    default: false
  retention:
    description: Backups older than this are removed when a newer one is verified.
    type: str
    default: 30d
  scratch_path:
    description:
      - Directory in which the throwaway server gets its own. It needs the space of the restored databases.
      - The account of O(run_as) must be able to reach it. Its path must be short, for a Unix socket is made in it.
    type: path
    default: /var/tmp
  run_as:
    description:
      - Account of the operating system that the throwaway server runs as when this module runs as root, since
        PostgreSQL refuses root.
      - Empty means C(postgres) where it exists, else C(nobody).
    type: str
    default: ''
  jobs:
    description: Tables and indexes of one database that are restored at the same time.
    type: int
    default: 2
  nice:
    description: How much the throwaway server and the restore give way to other processes.
    type: int
    default: 10
  bin_dir:
    description:
      - Directory of PostgreSQL's programs. Empty means they are found by the version that the backup was made of.
    type: path
    default: ''
requirements:
  - the server programs of the PostgreSQL version that the backup was made of (C(initdb), C(postgres), C(pg_restore))
extends_documentation_fragment:
  - steward.maintenance._postgres
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
      - With O(force=true) each run verifies.
seealso:
  - module: steward.maintenance.postgres_backup
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Prove the newest backup, then remove those older than a month
  steward.maintenance.postgres_backup_verify:
    path: /var/backups/steward
    retention: 30d
  become: true
  become_user: postgres
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
  sample: 'backup 20261123T051339Z restored in 4 s and compared: 2 databases, 9 tables, 120 rows; 0 old backups removed'
reason:
  description: Why the backup was refuted or could not be verified, naming the file, table or program.
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
      of the data, for the RPO.
  returned: always
  type: dict
  sample: {duration_seconds: 9.8, restore_seconds: 4.1, rehash_seconds: 0.1, rpo_seconds: 61, restored_tables: 41}
coverage:
  description:
    - Proofs that were made, of those that should be; two for each database, the comparison and the check of its
      indexes.
  returned: always
  type: dict
  sample: {looked: 4, of: 4}
planned:
  description:
    - What is to be verified or removed, each with C(database), C(subject), C(action), C(reason) and C(estimate). In
      check mode.
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: 20261123T051339Z
      action: verify
      reason: it was never verified
      estimate: {bytes: 9830400}
backup:
  description: Path of the newest backup.
  returned: always
  type: str
  sample: /var/backups/steward/20261123T051339Z
pruned:
  description: Names of the old backups that were removed, or would be in check mode.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.durations import parse_duration
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import LOGIN_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.verify import Outcome, Settings, verify


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            path={"type": "path", "default": "/var/backups/steward"},
            every={"type": "str", "default": "1d"},
            force={"type": "bool", "default": False},
            retention={"type": "str", "default": "30d"},
            scratch_path={"type": "path", "default": "/var/tmp"},  # noqa: S108 (each server gets a private directory in it)
            run_as={"type": "str", "default": ""},
            jobs={"type": "int", "default": 2},
            nice={"type": "int", "default": 10},
            bin_dir={"type": "path", "default": ""},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        settings = Settings(
            path=params["path"],
            every=parse_duration(params["every"]),
            force=params["force"],
            retention=parse_duration(params["retention"]),
            scratch_path=params["scratch_path"],
            run_as=params["run_as"],
            jobs=params["jobs"],
            nice=params["nice"],
            bin_dir=params["bin_dir"] or "",
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = verify(settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
