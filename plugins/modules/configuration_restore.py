#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: configuration_restore
version_added: 0.2.0
short_description: Bring configuration back from Git as it was at some moment
description:
  - Writes files, links and directories that M(steward.maintenance.configuration_backup) kept, with owner, group and
    mode, and reads them again afterwards. Each file is written beside and takes its place when it is on the disk.
  - Files with lines that were filtered are not brought back to where they were, for their secrets are not known. In
    O(directory) they get the ending C(.filtered). What was never kept, or cannot be decrypted, is told.
  - In place, what is there and is something else is replaced only with O(overwrite), and a copy of it is put below
    O(state_dir) first. What is there and was not kept is left alone.
options:
  paths:
    description: Absolute paths of what is wanted, with all below them. Empty means everything.
    type: list
    elements: path
    default: []
  at:
    description: The moment, in UTC, such as V(2026-11-23T05:13:39Z). Empty means now.
    type: str
    default: ''
  commit:
    description: The commit, instead of O(at).
    type: str
    default: ''
  directory:
    description: Absolute path of an empty or missing directory to write into. Empty means to where it was.
    type: path
    default: ''
  overwrite:
    description: Replace what is there and is something else.
    type: bool
    default: false
  identity_file:
    description: File with the private key, for what is encrypted, as C(age -i) takes it.
    type: path
    default: ''
extends_documentation_fragment:
  - steward.maintenance._configuration
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - A repository elsewhere is not asked in check mode; the copy on this host says what is there.
  diff_mode:
    support: none
    details:
      - Contents that come back may be secrets.
  idempotent:
    support: full
seealso:
  - module: steward.maintenance.configuration_backup
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Look at how the web server was configured on Sunday night
  steward.maintenance.configuration_restore:
    repository: git@git.example.com:ops/configuration.git
    branch: web1.example.com
    paths: [/etc/nginx]
    at: '2026-11-22T23:59:59Z'
    directory: /srv/nginx-of-sunday

- name: Bring one file back to where it was
  steward.maintenance.configuration_restore:
    repository: /var/lib/steward/configuration.git
    paths: [/etc/nginx/nginx.conf]
    at: '2026-11-22T23:59:59Z'
    overwrite: true
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(unknown) or V(failed). V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: 1 of 12 paths restored as of 2026-11-22T21:10:04Z (commit 1f0c9a2b7d)
reason:
  description: Why not all was restored.
  returned: always
  type: str
  sample: ''
findings:
  description: What was not brought back, and why, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers. C(paths) are as they were then, C(restored_paths) of them were not before.
  returned: always
  type: dict
  sample: {restored_paths: 1, paths: 12}
coverage:
  description: Paths that are as they were then, of those that were asked for.
  returned: always
  type: dict
  sample: {looked: 12, of: 12}
commit:
  description: The commit that it was taken from.
  returned: always
  type: str
  sample: 1f0c9a2b7de5c0c7c2b2a5cfd4c9c0a6f7a0f1e2
restored:
  description: The paths that were written, 50 at most.
  returned: always
  type: list
  elements: str
  sample: [/etc/nginx/nginx.conf]
replaced:
  description: Directory with copies of what was replaced. Empty when nothing was.
  returned: always
  type: str
  sample: /var/lib/steward/configuration/replaced/20261123T051339Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._configuration.arguments import (
    PLACE_ARGUMENTS,
    RESTORE_ARGUMENTS,
    restore_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._configuration.restore import Outcome, restore
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(PLACE_ARGUMENTS, **RESTORE_ARGUMENTS),
        mutually_exclusive=[("at", "commit")],
        supports_check_mode=True,
    )
    outcome = Outcome()
    try:
        result = restore(restore_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
