#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_physical_verify
version_added: 0.2.0
short_description: Prove the newest pgBackRest backup by a restore and a recovery, then remove the old ones
description:
  - Has C(pgbackrest verify) read the repository, restores the newest backup into a directory of its own, has a
    throwaway server replay all WAL of the archive, and looks at what came back. Every database is opened and every
    table read. Where the extension amcheck is installed, the structure of every B-tree index is checked too, and from
    PostgreSQL 14 on every table with its TOAST.
  - A recovery ends without an error where a segment of WAL is missing. So it is compared with how far the archive
    goes. Where the server can be asked, it ends a segment first (C(pgbackrest check)), and all that it had committed
    until then must come back.
  - Success is noted beside the backup as its annotation C(steward-verified), failure as C(steward-refuted). After a
    failure a full backup is due at once.
  - After a success, and only then, C(pgbackrest expire) removes what is older than O(retention), by pgBackRest's
    retention by time. The proved backup always stays.
  - The throwaway server has its own directory below O(scratch_path), no network address, and a Unix socket in a
    directory closed to others. The settings of the original do not count in it. It archives nothing and follows no
    subscription, and no library is preloaded. Leftovers of killed runs are removed.
  - The verdict is V(failed) when there is no backup or when it did not come back, V(unknown) when it could not be
    looked at, for example because a program or space is missing on this host.
  - The rows of the original are not known, so they are counted and told, not compared.
options:
  every:
    description:
      - Verify the newest backup when the last verification of any is older than this, less a tenth (12 hours at most).
    type: str
    default: 1d
  force:
    description: Verify the newest backup even if that is not due.
    type: bool
    default: false
  retention:
    description:
      - Full backups go, with all that need them, when a newer full one is older than this, in whole days. Every moment
        within it can still be recovered to. Empty means that nothing is removed.
    type: str
    default: 30d
  rto:
    description: Recovery time objective. A restore with its recovery that took longer is a finding. Empty means none.
    type: str
    default: 1h
  rpo:
    description:
      - Recovery point objective. Committed data that was out of the archive for longer when the verification began is a
        finding. Where the server cannot be asked, the age of the last transaction in the copy stands for it. Empty
        means none.
    type: str
    default: 24h
  scratch_path:
    description:
      - Directory in which the throwaway server gets its own. It needs the space of the restored cluster and of the WAL
        that is replayed in it.
      - The account of O(run_as) must be able to reach it. Its path must be short, for a Unix socket is made in it.
    type: path
    default: /var/tmp
  nice:
    description: How much the restore and the throwaway server give way to other processes.
    type: int
    default: 10
  io_class:
    description:
      - How the verification gives way at the disk, in the words of C(ionice), where that program is there.
        V(best-effort) is the lowest level of that class; V(idle) may wait for very long where the disk is busy.
    type: str
    choices: [idle, best-effort, none]
    default: best-effort
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._physical
  - steward.maintenance._physical.restoring
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
  - module: steward.maintenance.postgres_physical_backup
  - module: steward.maintenance.postgres_physical_restore
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Prove the newest physical backup every day, and keep a month
  steward.maintenance.postgres_physical_verify:
    stanza: main
    retention: 30d
    rto: 2h
    rpo: 5m
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
  sample: >-
    backup 20261123-051339F restored and recovered in 9.1 s and looked at: 3 databases, 9 tables, 120 rows; 0 old
    backups removed
reason:
  description: Why the backup was refuted or could not be verified, naming the file, the segment or the program.
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
    - Measured numbers, with the unit in the name. C(restore_seconds), from the first file to the end of the recovery,
      is evidence for the RTO, C(rpo_seconds) for the RPO. C(replay_seconds) is the part of the recovery in it,
      C(repository_seconds) what C(pgbackrest verify) took.
  returned: always
  type: dict
  sample: {duration_seconds: 15.8, restore_seconds: 9.1, replay_seconds: 1.2, repository_seconds: 2.1, rpo_seconds:
  12.5}
coverage:
  description:
    - Proofs that were made, of those that should be; two for each database, the reading and the check of its
      structures.
  returned: always
  type: dict
  sample: {looked: 6, of: 6}
planned:
  description: What is to be verified, with C(subject), C(action), C(reason) and C(estimate). In check mode.
  returned: always
  type: list
  elements: dict
  sample:
    - database: ''
      subject: 20261123-051339F
      action: verify
      reason: no backup was ever verified
      estimate: {bytes: 33000000}
backup:
  description: Label of the newest backup.
  returned: always
  type: str
  sample: 20261123-051339F
pruned:
  description: Labels of the old backups that were removed.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    LOGIN_ARGUMENTS,
    duration_from,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_arguments import (
    PHYSICAL_ARGUMENTS,
    RESTORING_ARGUMENTS,
    backrest_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_verify import (
    Outcome,
    Settings,
    verify,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **PHYSICAL_ARGUMENTS,
            **RESTORING_ARGUMENTS,
            every={"type": "str", "default": "1d"},
            force={"type": "bool", "default": False},
            retention={"type": "str", "default": "30d"},
            rto={"type": "str", "default": "1h"},
            rpo={"type": "str", "default": "24h"},
            scratch_path={"type": "path", "default": "/var/tmp"},  # noqa: S108 (each server gets a private directory in it)
            nice={"type": "int", "default": 10},
            io_class={"type": "str", "choices": ["idle", "best-effort", "none"], "default": "best-effort"},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        settings = Settings(
            every=duration_from(params, "every"),
            force=params["force"],
            retention=duration_from(params, "retention", empty=0),
            rto=duration_from(params, "rto", empty=0),
            rpo=duration_from(params, "rpo", empty=0),
            scratch_path=params["scratch_path"],
            nice=params["nice"],
            io_class=params["io_class"],
            bin_dir=params["bin_dir"] or "",
            preload=tuple(params["preload_libraries"]),
        )
        backrest = backrest_from(params)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = verify(login_from(params), backrest, settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
