#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_backup_offsite
version_added: 0.2.0
short_description: Copy verified PostgreSQL backups to an S3 bucket and prove that they are there
description:
  - Copies each backup that M(steward.maintenance.postgres_backup) made and
    M(steward.maintenance.postgres_backup_verify) proved to C(<prefix>/<system identifier>/<name of the backup>/) in the
    bucket, the newest first.
  - Before anything is sent, the files are compared with the manifest, so that damage does not travel. Each request
    bears a checksum (SHA-256 where the store knows it, else MD5), and the store refuses what arrives damaged.
    Afterwards everything is looked at again in one listing, by what the store says of each object, and by a piece of
    each that is read back. Only then the manifest is sent, last of all. Without it, a copy is not one.
  - A run that was killed or failed is gone on with. What is there already and right is not sent again, and neither are
    the parts of a large file that had arrived. Uploads in parts that nobody needs any more are given up.
  - Every run compares the listing with the manifests and with what the store said when the copies were proved. A copy
    that lost an object, or has another one, is told and sent again.
  - After that, and only in a run that proved a copy and in which nothing failed, copies older than O(retention) are
    removed, by the same rules as the backups themselves. The newest proved copy of a verified backup always stays.
    Copies that were never completed go after O(incomplete_after). What an object lock keeps is told and stays.
  - The server whose backups they are is not asked and may be down.
options:
  path:
    description: Directory of the backups.
    type: path
    default: /var/backups/steward
  unverified:
    description:
      - Copy backups too that were not verified yet. Their copies count for nothing in O(retention) until they were.
      - What is known to be bad is never copied.
    type: bool
    default: false
  retention:
    description: Copies older than this are removed when a newer one is proved.
    type: str
    default: 30d
  incomplete_after:
    description:
      - Copies without a manifest, and uploads in parts of other hosts, to which nothing was added for so long are
        removed.
    type: str
    default: 7d
  lock_mode:
    description:
      - Object lock that each object gets, in a bucket that was made with object lock. Empty means none but the bucket's
        own default.
      - Nobody can remove what is locked with V(COMPLIANCE) before its time, not even the owner of the account.
    type: str
    choices: ['', GOVERNANCE, COMPLIANCE]
    default: ''
  lock_days:
    description: Days for which O(lock_mode) locks, from 1 to 36500.
    type: int
    default: 30
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
  - module: steward.maintenance.postgres_backup_offsite_verify
  - module: steward.maintenance.postgres_backup_fetch
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Copy what was verified to a bucket
  steward.maintenance.postgres_backup_offsite:
    bucket: backups.example.com
    region: eu-central-1
  become: true
  become_user: postgres

- name: Copy to a store of one's own, locked for a month
  steward.maintenance.postgres_backup_offsite:
    endpoint_url: https://s3.example.com:9000
    bucket: backups
    access_key: backup-writer
    secret_key: "{{ vault_s3_secret_key }}"
    lock_mode: GOVERNANCE
    lock_days: 30
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(failed) or V(skipped). V(failed) fails the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: '1 backups copied (8.1 MB in 2.4 s), 0 removed, 12 proved copies in s3://backups/steward'
reason:
  description: Why a backup was not copied, naming the file, the object or the right that is missing.
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
    - Measured numbers, with the unit in the name. C(sent_bytes) went over the line, C(resumed_bytes) were there
      already. C(rpo_seconds), the age of the newest proved copy, is evidence for the RPO of a disaster that takes this
      host.
  returned: always
  type: dict
  sample: {duration_seconds: 2.4, copied_backups: 1, sent_bytes: 8123456, kept_copies: 12, rpo_seconds: 3700}
coverage:
  description: How many backups were copied of those that should be; when none had to be, how many copies are proved.
  returned: always
  type: dict
  sample: {looked: 12, of: 12}
planned:
  description:
    - What is to be copied and, in check mode, removed, each with C(database), C(subject), C(action), C(reason) and
      C(estimate) (C(bytes) to send or to free, C(objects)).
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: 20261123T051339Z
      action: copy
      reason: it is not there yet
      estimate: {bytes: 8192000, objects: 41}
copied:
  description: Names of the backups that were copied and proved, or would be in check mode.
  returned: always
  type: list
  elements: str
pruned:
  description: Names of the copies that were removed, or would be in check mode.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import duration_from
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.offsite import (
    Outcome,
    Settings,
    copy_offsite,
)
from ansible_collections.steward.maintenance.plugins.module_utils._s3.settings import (
    STORE_ARGUMENTS,
    lock_from,
    store_from,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            STORE_ARGUMENTS,
            path={"type": "path", "default": "/var/backups/steward"},
            unverified={"type": "bool", "default": False},
            retention={"type": "str", "default": "30d"},
            incomplete_after={"type": "str", "default": "7d"},
            lock_mode={"type": "str", "choices": ["", "GOVERNANCE", "COMPLIANCE"], "default": ""},
            lock_days={"type": "int", "default": 30},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        where = store_from(params)
        settings = Settings(
            path=params["path"],
            unverified=params["unverified"],
            retention=duration_from(params, "retention"),
            incomplete_after=duration_from(params, "incomplete_after"),
            lock=lock_from(params),
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = copy_offsite(where, settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
