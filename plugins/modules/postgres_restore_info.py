#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_restore_info
version_added: 0.2.0
short_description: List the PostgreSQL backups that can be restored
description:
  - Lists the backups that M(steward.maintenance.postgres_backup) made, newest first, with their age, whether a
    restore
    proved them, and what is in them; and says which one M(steward.maintenance.postgres_restore) would take by itself.
  - It needs no server, so that it works when the server is gone. Sizes of files are compared with the manifest; every
    byte is compared only by a restore.
options:
  path:
    description: Directory of the backups.
    type: path
    default: /var/backups/steward
  database:
    description: Only backups that hold this database. Empty means all.
    type: str
    default: ''
extends_documentation_fragment:
  - steward.maintenance._attributes
  - steward.maintenance._attributes.info_module
seealso:
  - module: steward.maintenance.postgres_restore
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: See which backups of a database there are
  steward.maintenance.postgres_restore_info:
    database: shop
  become: true
  become_user: postgres
  register: found

- name: Show them
  ansible.builtin.debug:
    msg: "{{ found.backups | map(attribute='line') }}"
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings) or V(unknown). V(unknown) fails the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: '3 backups, the newest verified one is 20261123T051339Z'
reason:
  description: Why the backups could not be listed.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: How many backups there are, and the age in seconds of the data in the newest verified one.
  returned: always
  type: dict
  sample: {backups: 3, verified: 2, rpo_seconds: 4210}
coverage:
  description: Backups that could be read, of those that are there.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
backups:
  description:
    - The backups, newest first. C(state) is V(verified), V(unverified), V(refuted), V(damaged) or V(future), and
      C(line) is all of it for a person. Ages are seconds, sizes are bytes.
    - A backup whose C(state) is V(future) bears a date in the future, for a clock was wrong. It is restored only
      when it is named.
  returned: always
  type: list
  elements: dict
  sample:
    - name: 20261123T051339Z
      moment: '2026-11-23T05:13:39Z'
      age_seconds: 4210
      state: verified
      problem: ''
      bytes: 1200000
      databases:
        - {name: shop, bytes: 9830400, tables: 41, rows: 120000}
      line: 20261123T051339Z  1 h 10 min old  verified  1.2 MB  shop (41 tables, 120,000 rows, 9.8 MB)
chosen:
  description: Name of the newest verified backup, which a restore takes when nothing else is asked for; or empty.
  returned: always
  type: str
  sample: 20261123T051339Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_listing import list_backups


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/var/backups/steward"},
            "database": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    result, beside = list_backups(module.params["path"], module.params["database"])
    finish(module, result, False, **beside)


if __name__ == "__main__":
    main()
