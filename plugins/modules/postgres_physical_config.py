#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_physical_config
version_added: 0.2.0
short_description: Write a configuration file for pgBackRest
description:
  - Writes a file of sections and options, as pgBackRest reads it, whole or not at all, with mode 0640.
  - Secrets are given apart, get into the section C(global), and are never shown, neither in a diff nor in an error.
options:
  path:
    description: The file. Its directory is made where it is missing.
    type: path
    required: true
  settings:
    description:
      - Sections, C(global) and those of stanzas, with their options. True and false become C(y) and C(n), a list an
        option that stands there several times.
      - A secret in here is refused.
    type: dict
    required: true
  secrets:
    description:
      - Options whose values are secret, such as C(repo1-s3-key-secret) and C(repo1-cipher-pass).
    type: dict
    default: {}
  group:
    description:
      - Group of the file, which may read it. Empty means that of the account that the module runs as, and where that
        is root, the one of C(postgres).
    type: str
    default: ''
extends_documentation_fragment:
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Secrets are masked in it.
  idempotent:
    support: full
seealso:
  - module: steward.maintenance.postgres_physical_backup
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Tell pgBackRest where the server and the bucket are
  steward.maintenance.postgres_physical_config:
    path: /etc/pgbackrest/steward.conf
    group: postgres
    settings:
      global:
        repo1-type: s3
        repo1-path: /main
        repo1-s3-bucket: backups.example.com
        repo1-s3-endpoint: s3.eu-central-1.amazonaws.com
        repo1-s3-region: eu-central-1
        repo1-s3-key: AKIAIOSFODNN7EXAMPLE
      main:
        pg1-path: /var/lib/postgresql/15/main
    secrets:
      repo1-s3-key-secret: "{{ vault_s3_secret_key }}"
  become: true
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
  sample: the configuration of pgBackRest was written to /etc/pgbackrest/steward.conf
reason:
  description: Why it was not written.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Nothing is measured.
  returned: always
  type: dict
  sample: {}
coverage:
  description: Files that are as they should be, of those that should be.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_config import configure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "settings": {"type": "dict", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "group": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        result, changed, diff = configure(
            params["path"], params["settings"], params["secrets"], params["group"] or "", module.check_mode
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, changed, diff=diff)


if __name__ == "__main__":
    main()
