#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_backup_fetch
version_added: 0.2.0
short_description: Bring a PostgreSQL backup back from its copy in an S3 bucket
description:
  - Fetches a copy that M(steward.maintenance.postgres_backup_offsite) made into a directory of backups, so that it can
    be verified and restored there like one that was made on this host. That is the first step of a recovery on a fresh
    host.
  - It is written under a name that ends in C(.partial), each file is compared with the manifest by its SHA-256, and it
    gets its name when everything is on the disk. What was fetched before a run broke off is not fetched again.
  - Copies that lost an object or did not pass their verification are passed over and told, unless one is asked for by
    its name; then the task fails.
  - A backup that is there already, whole, is left as it is. One that is damaged is never overwritten.
options:
  path:
    description: Directory of the backups. It is made, closed to others, where it is missing.
    type: path
    default: /var/backups/steward
  backup:
    description:
      - Name of the backup, the moment it was begun, such as V(20261123T051339Z). Empty means the newest. One that bears
        a date in the future was made while a clock was wrong; it is fetched only when it is named.
    type: str
    default: ''
  at:
    description:
      - The moment whose data is wanted, in UTC, such as V(2026-11-23T05:13:39Z). The newest backup that was begun no
        later is fetched.
    type: str
    default: ''
  system_identifier:
    description:
      - Whose copies; the number that C(pg_controldata) calls the system identifier.
      - Empty means the only one below O(prefix). When there are several, the task fails and names them.
    type: str
    default: ''
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
    support: full
seealso:
  - module: steward.maintenance.postgres_backup_offsite
  - module: steward.maintenance.postgres_backup_verify
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Bring the newest backup to a fresh host
  steward.maintenance.postgres_backup_fetch:
    bucket: backups.example.com
    region: eu-central-1
  become: true
  become_user: postgres

- name: Bring the one back that holds the data of Sunday night
  steward.maintenance.postgres_backup_fetch:
    bucket: backups.example.com
    region: eu-central-1
    at: '2026-11-22T23:59:59Z'
    system_identifier: '7436170295543345117'
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
  sample: 'backup 20261123T051339Z fetched: 8.1 MB in 2.4 s'
reason:
  description: Why nothing was fetched, naming the object, the file or what is there instead.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name. C(download_bytes) came over the line in this run.
  returned: always
  type: dict
  sample: {download_seconds: 2.4, download_bytes: 8123456, backup_bytes: 8123456}
coverage:
  description: One backup, fetched and compared with its manifest.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
planned:
  description: What is to be fetched, with C(database), C(subject), C(action), C(reason) and C(estimate).
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: 20261123T051339Z
      action: fetch
      reason: it is not in /var/backups/steward
      estimate: {bytes: 8192000, objects: 41}
backup:
  description: Path of the backup.
  returned: always
  type: str
  sample: /var/backups/steward/20261123T051339Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.offsite_fetch import (
    Outcome,
    Settings,
    fetch_backup,
)
from ansible_collections.steward.maintenance.plugins.module_utils._s3.settings import STORE_ARGUMENTS, store_from


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            STORE_ARGUMENTS,
            path={"type": "path", "default": "/var/backups/steward"},
            backup={"type": "str", "default": ""},
            at={"type": "str", "default": ""},
            system_identifier={"type": "str", "default": ""},
        ),
        mutually_exclusive=[("backup", "at")],
        supports_check_mode=True,
    )
    params = module.params
    try:
        where = store_from(params)
        settings = Settings(
            path=params["path"],
            backup=params["backup"] or "",
            at=params["at"] or "",
            system_identifier=params["system_identifier"] or "",
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = fetch_backup(where, settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
