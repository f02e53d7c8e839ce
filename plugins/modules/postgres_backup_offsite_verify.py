#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_backup_offsite_verify
version_added: 0.2.0
short_description: Prove the newest off-site copy of a PostgreSQL backup by fetching and restoring it
description:
  - Fetches the newest copy that M(steward.maintenance.postgres_backup_offsite) made, compares every byte with the
    manifest, and then proves it as M(steward.maintenance.postgres_backup_verify) proves a backup. It is restored into a
    server that is made for it and thrown away, and compared there with the manifest.
  - What it measures is what a recovery without the backed-up host takes. It may run on another host, for example on the
    one that is to be recovered to.
  - Success is noted beside the copy as C(offsite-verified.json), failure as C(offsite-refuted.json); a refuted copy
    counts for nothing and is sent anew by the next run of M(steward.maintenance.postgres_backup_offsite) that still has
    the backup.
  - The verdict is V(failed) when there is no copy or when it is not what its manifest says, V(unknown) when it could
    not be looked at, for example because the store cannot be reached or space is missing on this host.
options:
  every:
    description:
      - Verify when the last verification of any copy is older than this, less a tenth (12 hours at most).
    type: str
    default: 30d
  force:
    description: Verify the newest copy even if that is not due.
    type: bool
    default: false
  system_identifier:
    description:
      - Whose copies; the number that C(pg_controldata) calls the system identifier.
      - Empty means the only one below O(prefix).
    type: str
    default: ''
  scratch_path:
    description:
      - Directory for the fetched copy and the throwaway server. It needs the space of both.
      - The account of O(run_as) must be able to reach it. Its path must be short, for a Unix socket is made in it.
    type: path
    default: /var/tmp
  run_as:
    description:
      - Account of the operating system that the throwaway server runs as when this module runs as root.
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
  io_class:
    description:
      - How the restore gives way to others at the disk, in the words of C(ionice), where that program is there.
    type: str
    choices: [idle, best-effort, none]
    default: best-effort
  identity_file:
    description:
      - File with the private key, for encrypted backups, as C(age -i) takes it. On command lines is only its path.
    type: path
    default: ''
  public_key:
    description:
      - File with the public key of the one who signs manifests, in PEM form. With it, a copy that is not signed, or not
        by that key, is refuted.
    type: path
    default: ''
requirements:
  - the server programs of the PostgreSQL version that the backup was made of (C(initdb), C(postgres), C(pg_restore))
extends_documentation_fragment:
  - steward.maintenance._s3
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_s3
attributes:
  check_mode:
    support: full
    details:
      - The bucket is read in check mode.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(force=true) each run verifies.
seealso:
  - module: steward.maintenance.postgres_backup_offsite
  - module: steward.maintenance.postgres_backup_verify
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Once a month, restore the newest copy from the bucket
  steward.maintenance.postgres_backup_offsite_verify:
    bucket: backups.example.com
    region: eu-central-1
    every: 30d
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
  sample: 'copy 20261123T051339Z fetched in 12 s, restored in 4 s and compared: 2 databases, 9 tables, 120 rows'
reason:
  description: Why the copy was refuted or could not be verified, naming the object, table or program.
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
    - Measured numbers, with the unit in the name. C(recovery_seconds), the time to fetch and to restore, is evidence
      for the RTO of a disaster that takes the host, C(rpo_seconds), the age of the data in the copy, for its RPO.
  returned: always
  type: dict
  sample: {download_seconds: 12.0, restore_seconds: 4.1, recovery_seconds: 16.1, rpo_seconds: 3700}
coverage:
  description:
    - Proofs that were made, of those that should be; two for each database, the comparison and the check of its
      indexes.
  returned: always
  type: dict
  sample: {looked: 4, of: 4}
planned:
  description: What is to be verified, with C(database), C(subject), C(action), C(reason) and C(estimate).
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: 20261123T051339Z
      action: verify
      reason: no copy was ever restored
      estimate: {bytes: 8192000}
backup:
  description: Place of the copy in the bucket.
  returned: always
  type: str
  sample: s3://backups/steward/7436170295543345117/20261123T051339Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import duration_from
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.offsite_verify import (
    Outcome,
    Settings,
    verify_offsite,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.verify_plan import Settings as Restoring
from ansible_collections.steward.maintenance.plugins.module_utils._s3.settings import STORE_ARGUMENTS, store_from


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            STORE_ARGUMENTS,
            every={"type": "str", "default": "30d"},
            force={"type": "bool", "default": False},
            system_identifier={"type": "str", "default": ""},
            scratch_path={"type": "path", "default": "/var/tmp"},  # noqa: S108 (what is made in it is closed to others)
            run_as={"type": "str", "default": ""},
            jobs={"type": "int", "default": 2},
            nice={"type": "int", "default": 10},
            io_class={"type": "str", "default": "best-effort", "choices": ["idle", "best-effort", "none"]},
            bin_dir={"type": "path", "default": ""},
            identity_file={"type": "path", "default": ""},
            public_key={"type": "path", "default": "", "no_log": False},  # a path
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        where = store_from(params)
        restoring = Restoring(
            path="",
            scratch_path=params["scratch_path"],
            run_as=params["run_as"] or "",
            jobs=params["jobs"],
            nice=params["nice"],
            bin_dir=params["bin_dir"] or "",
            io_class=params["io_class"],
            identity_file=params["identity_file"] or "",
            public_key=params["public_key"] or "",
        )
        settings = Settings(
            restoring=restoring,
            every=duration_from(params, "every"),
            force=params["force"],
            system_identifier=params["system_identifier"] or "",
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = verify_offsite(where, settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
