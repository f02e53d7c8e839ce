#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_physical_restore
version_added: 0.2.0
short_description: Restore a pgBackRest backup to a moment, into a cluster beside the live one
description:
  - Restores a whole cluster as it was at a moment into a directory of its own, where it stays for people to look at
    and to take from. The live server is neither stopped nor touched.
  - The restored server listens on a Unix socket in O(directory) only, which is closed to others but the account it
    runs as. The settings of the original do not count in it and lie beside as C(*.original). It archives nothing,
    follows no subscription, and no library is preloaded.
  - The recovery is always made, and databases are opened, whatever O(started) says. What did not come up counts as not
    restored, and nothing of it stays.
  - A second run with the same arguments finds it there. What a killed run left is removed by the next one.
  - To put a restored cluster into the place of the live one, or tables back into a database, is for people to do; see
    the page C(docs/physical_backups.md) of the collection.
options:
  directory:
    description: Absolute path of an empty or missing directory. Its path must be short, for a Unix socket is made in
      it.
    type: path
    required: true
  target_type:
    description:
      - How far to go. V(latest) is the end of the archive, V(immediate) the end of the backup.
    type: str
    choices: [latest, time, xid, name, lsn, immediate]
    default: latest
  target:
    description:
      - The moment in UTC like V(2026-11-23T05:13:39Z), a fraction of the second may follow; the number of a
        transaction; the name of a restore point; or a place in the WAL.
      - For a moment or a place in the WAL, pgBackRest chooses the newest backup that ended before. For a transaction
        or a name, it takes the newest backup, so O(backup) must name one that is old enough.
    type: str
    default: ''
  target_inclusive:
    description: Whether what is exactly at the target comes back as well.
    type: bool
    default: true
  backup:
    description: Label of the backup to begin with. Empty leaves the choice to pgBackRest.
    type: str
    default: ''
  started:
    description: Leave the restored server running.
    type: bool
    default: true
extends_documentation_fragment:
  - steward.maintenance._physical
  - steward.maintenance._physical.restoring
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: steward.maintenance.postgres_physical_backup
  - module: steward.maintenance.postgres_physical_verify
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: See the databases as they were before the accident
  steward.maintenance.postgres_physical_restore:
    stanza: main
    directory: /srv/before
    target_type: time
    target: "2026-11-23T05:13:39Z"
  become: true
  become_user: postgres
  register: before

- name: Say how to look at them
  ansible.builtin.debug:
    msg: "{{ before.connect }}"
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
  sample: backup 20261123-051339F restored to time 2026-11-23T05:13:39Z, 3 databases, 30.1 MB in 9.1 s
reason:
  description: Why nothing was restored, naming the argument, the file or what pgBackRest or the server said.
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
  sample: {restore_seconds: 9.1, databases: 3, restored_bytes: 30123456}
coverage:
  description: Databases that came back, of those that are there.
  returned: always
  type: dict
  sample: {looked: 3, of: 3}
backup:
  description: Label of the backup that it was made of.
  returned: always
  type: str
  sample: 20261123-051339F
connect:
  description: How to log in to it, as the account that it runs as.
  returned: always
  type: str
  sample: psql -h /srv/before -p 5432 -U postgres -d postgres
remove:
  description: The commands that end it and remove it.
  returned: always
  type: list
  elements: str
  sample: [/usr/lib/postgresql/15/bin/pg_ctl -D /srv/before/data -m fast stop, rm -r /srv/before]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_arguments import (
    PHYSICAL_ARGUMENTS,
    RESTORING_ARGUMENTS,
    backrest_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_restore import (
    Outcome,
    Settings,
    restore,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_target import KINDS, Target


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            PHYSICAL_ARGUMENTS,
            **RESTORING_ARGUMENTS,
            directory={"type": "path", "required": True},
            target_type={"type": "str", "choices": list(KINDS), "default": "latest"},
            target={"type": "str", "default": ""},
            target_inclusive={"type": "bool", "default": True},
            backup={"type": "str", "default": ""},
            started={"type": "bool", "default": True},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        settings = Settings(
            directory=params["directory"],
            target=Target(params["target_type"], params["target"], params["target_inclusive"]),
            backup=params["backup"],
            started=params["started"],
            bin_dir=params["bin_dir"] or "",
            preload=tuple(params["preload_libraries"]),
        )
        backrest = backrest_from(params)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = restore(backrest, settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
