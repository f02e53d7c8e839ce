#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_backup_verify
version_added: 0.1.0
short_description: Prove PostgreSQL backups by restoring them into a throwaway server, then remove the old ones
description:
  - Reads every byte of the newest backup that M(steward.maintenance.postgres_backup) made and compares it with the
    manifest, restores roles and databases into a server that is made for it and thrown away afterwards, and compares
    there the rows of every table, the large objects, the properties of the databases, the extensions and the roles with
    the manifest. Where the extension amcheck is installed, the structure of every B-tree index is checked too. Contents
    are compared where the backup was made with O(steward.maintenance.postgres_backup#module:content_checksums).
  - Every O(older_every), an older backup chosen by chance is proved as well. When it fails, that is a finding, and it
    no longer counts as verified.
  - Success is written beside the manifest as C(verified.json), failure as C(refuted.json); after a failure the next
    backup is due at once.
  - After a success of the newest, and only then, backups that no rule keeps are removed. Kept are those younger than
    O(retention), the ones that O(keep_daily), O(keep_weekly), O(keep_monthly) and O(keep_yearly) ask for, and whatever
    the rules say, the newest verified backup and everything newer, the newest verified copy of a database that exists
    but is not in it, the newest verified one of each major version of PostgreSQL, and those that are pinned, see
    M(steward.maintenance.postgres_backup_pin). Days, weeks (ISO), months and years are those of UTC. What was never
    verified counts for none of these rules.
  - An encrypted backup needs O(identity_file). Without it only the files can be compared with the manifest, and the
    verdict is V(unknown).
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
  older_every:
    description:
      - Verify an older backup too when that was last done longer ago than this, less a tenth (12 hours at most).
        Empty means never.
    type: str
    default: 7d
  retention:
    description: Backups younger than this are kept.
    type: str
    default: 30d
  keep_daily:
    description: Days, beyond O(retention) too, of which the last verified backup is kept.
    type: int
    default: 0
  keep_weekly:
    description: Weeks of which the last verified backup is kept.
    type: int
    default: 0
  keep_monthly:
    description: Months of which the last verified backup is kept.
    type: int
    default: 0
  keep_yearly:
    description: Years of which the last verified backup is kept.
    type: int
    default: 0
  identity_file:
    description:
      - File with the private key, for encrypted backups, as C(age -i) takes it. On command lines is only its path.
      - What is decrypted lies below O(scratch_path), closed to others, while its database is restored, as does the
        restored database itself. Where that must be on no disk, let O(scratch_path) be on a tmpfs.
    type: path
    default: ''
  public_key:
    description:
      - File with the public key of the one who signs manifests, in PEM form. With it, a backup that is not signed, or
        not by that key, is refuted.
    type: path
    default: ''
  rto:
    description: Recovery time objective. A restore that took longer is a finding. Empty means none.
    type: str
    default: 1h
  rpo:
    description: Recovery point objective. Data older than this in the newest backup is a finding. Empty means none.
    type: str
    default: 24h
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
  io_class:
    description:
      - How the verification gives way to others at the disk, in the words of C(ionice), where that program is there.
        V(best-effort) is the lowest level of that class; V(idle) may wait for very long where the disk is busy.
    type: str
    choices: [idle, best-effort, none]
    default: best-effort
  bin_dir:
    description:
      - Directory of PostgreSQL's programs. Empty means they are found by the version that the backup was made of.
    type: path
    default: ''
requirements:
  - the server programs of the PostgreSQL version that the backup was made of (C(initdb), C(postgres), C(pg_restore))
  - the programs C(zstd), C(age) and C(openssl), for backups that were made with them
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
  - module: steward.maintenance.postgres_backup_pin
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Prove the newest backup, then keep a month of backups, and one of each of the last twelve months
  steward.maintenance.postgres_backup_verify:
    path: /var/backups/steward
    retention: 30d
    keep_monthly: 12
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
      of the data, for the RPO. C(older_restore_seconds) is that of the older backup.
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
kept:
  description:
    - The backups that stay, each with its name in C(backup) and in C(reason) what keeps it. In check mode, as it would
      be if the newest passed.
  returned: always
  type: list
  elements: dict
  sample:
    - backup: 20261123T051339Z
      reason: the newest verified one
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    LOGIN_ARGUMENTS,
    duration_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.retention import Policy
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.verify import Outcome, verify
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.verify_plan import Settings


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            path={"type": "path", "default": "/var/backups/steward"},
            every={"type": "str", "default": "1d"},
            force={"type": "bool", "default": False},
            older_every={"type": "str", "default": "7d"},
            retention={"type": "str", "default": "30d"},
            keep_daily={"type": "int", "default": 0},
            keep_weekly={"type": "int", "default": 0},
            keep_monthly={"type": "int", "default": 0},
            keep_yearly={"type": "int", "default": 0},
            identity_file={"type": "path", "default": ""},
            public_key={"type": "path", "default": "", "no_log": False},  # a path
            rto={"type": "str", "default": "1h"},
            rpo={"type": "str", "default": "24h"},
            scratch_path={"type": "path", "default": "/var/tmp"},  # noqa: S108 (each server gets a private directory in it)
            run_as={"type": "str", "default": ""},
            jobs={"type": "int", "default": 2},
            nice={"type": "int", "default": 10},
            io_class={"type": "str", "choices": ["idle", "best-effort", "none"], "default": "best-effort"},
            bin_dir={"type": "path", "default": ""},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        settings = Settings(
            path=params["path"],
            every=duration_from(params, "every"),
            force=params["force"],
            older_every=duration_from(params, "older_every", empty=0),
            retention=Policy(
                duration_from(params, "retention"),
                params["keep_daily"],
                params["keep_weekly"],
                params["keep_monthly"],
                params["keep_yearly"],
            ),
            scratch_path=params["scratch_path"],
            run_as=params["run_as"],
            jobs=params["jobs"],
            nice=params["nice"],
            io_class=params["io_class"],
            bin_dir=params["bin_dir"] or "",
            identity_file=params["identity_file"] or "",
            public_key=params["public_key"] or "",
            rto=duration_from(params, "rto", empty=0),
            rpo=duration_from(params, "rpo", empty=0),
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = verify(settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
