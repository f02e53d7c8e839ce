#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_physical_backup
version_added: 0.2.0
short_description: Back up a PostgreSQL server with pgBackRest when that is due, and watch its WAL archive
description:
  - Drives pgBackRest. Creates the stanza where it is missing, has C(pgbackrest check) prove that a segment of WAL gets
    into the archive now, and makes the backup that is due, a full, a differential or an incremental one.
  - Nothing is touched where the server does not archive to this stanza, for a backup without its WAL cannot be
    restored. The one error names the lines to set. Settings of the server are never changed, and it is never restarted.
  - After a verification that failed, and after pages with a wrong checksum, a full backup is due at once.
  - Nothing that is old is removed here. M(steward.maintenance.postgres_physical_verify) does it after it has proved the
    newest backup by a restore. So backups and WAL stay while nothing is verified.
  - A standby is skipped.
options:
  full_every:
    description:
      - A full backup is due when the newest is older than this, less a tenth (12 hours at most).
    type: str
    default: 7d
  diff_every:
    description:
      - A differential backup is due when the newest full or differential one is older than this, less a tenth. Empty
        means never.
    type: str
    default: 1d
  incr_every:
    description:
      - An incremental backup is due when the newest backup is older than this, less a tenth. Empty means never.
    type: str
    default: 1h
  force:
    description: Make a backup, an incremental one at least, even if none is due.
    type: bool
    default: false
  rpo:
    description:
      - Recovery point objective. WAL that has been out of the archive for longer is a finding, and so is a server that
        may keep WAL out of it for longer (C(archive_timeout)). Empty means none.
    type: str
    default: 24h
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._physical
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_postgres
attributes:
  check_mode:
    support: full
    details:
      - C(pgbackrest check) is not run in check mode, for it ends a segment of WAL.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(force=true) each run makes a backup.
seealso:
  - module: steward.maintenance.postgres_physical_verify
  - module: steward.maintenance.postgres_physical_restore
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Have a physical backup, and know that no more than five minutes can be lost
  steward.maintenance.postgres_physical_backup:
    stanza: main
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
  sample: 'full backup 20261123-051339F made in 4 s: 30.1 MB, 3.9 MB new in the repository (pgBackRest 2.45)'
reason:
  description: Why no backup was made, naming the setting, the file or what pgBackRest said.
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
    - Measured numbers, with the unit in the name. C(rpo_seconds) is for how long at most committed data has been out
      of the archive, C(archive_check_seconds) what it took to get a segment there.
  returned: always
  type: dict
  sample: {duration_seconds: 4.1, backup_bytes: 30123456, repository_bytes: 3912345, rpo_seconds: 12.5, backups: 1}
coverage:
  description: Servers that were backed up or have a young backup, of those that should be.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
planned:
  description: The backup that is due, with C(subject), C(action), C(reason) and C(estimate).
  returned: always
  type: list
  elements: dict
  sample:
    - database: ''
      subject: main
      action: full backup
      reason: there is no backup yet
      estimate: {}
backup:
  description: Label of the backup that was made, or of the newest one where none is needed.
  returned: always
  type: str
  sample: 20261123-051339F
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
    backrest_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_backup import (
    Outcome,
    Settings,
    back_up,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_plan import Schedule


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **PHYSICAL_ARGUMENTS,
            full_every={"type": "str", "default": "7d"},
            diff_every={"type": "str", "default": "1d"},
            incr_every={"type": "str", "default": "1h"},
            force={"type": "bool", "default": False},
            rpo={"type": "str", "default": "24h"},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        schedule = Schedule(
            duration_from(params, "full_every"),
            duration_from(params, "diff_every", empty=0),
            duration_from(params, "incr_every", empty=0),
        )
        settings = Settings(schedule, params["force"], duration_from(params, "rpo", empty=0))
        backrest = backrest_from(params)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = back_up(login_from(params), backrest, settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
