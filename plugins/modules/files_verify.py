#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: files_verify
version_added: 0.2.0
short_description: Prove that a backed up directory tree is there, by a listing and by reading files back
description:
  - Compares the index of the newest run that M(steward.maintenance.files_backup) made with a listing of the target,
    which must show every file in its size and as the object that was sent. Then reads O(sample) files back, chosen by
    chance, or all of them with O(whole), and compares their bytes with the SHA-256 that the index has of them.
  - It changes nothing, and the backed up host may be down. It may run on another host that reaches the target.
  - The verdict is V(failed) when there is no run or a file is not as it was sent, V(unknown) when that could not be
    looked at.
options:
  trees:
    description: Names of the trees.
    type: list
    elements: str
    required: true
  sample:
    description: How many files of each tree are read back, from 0 to 1000000.
    type: int
    default: 100
  whole:
    description: Read all files back.
    type: bool
    default: false
extends_documentation_fragment:
  - steward.maintenance._files
  - steward.maintenance._s3
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_s3
attributes:
  check_mode:
    support: full
    details:
      - This module only looks and never changes anything. A tree that was never backed up is no failure in check mode,
        where no task before can have backed it up.
  diff_mode:
    support: N/A
    details:
      - This module only looks and never changes anything.
  idempotent:
    support: full
seealso:
  - module: steward.maintenance.files_backup
  - module: steward.maintenance.files_restore
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Once a week, read a thousand files back
  steward.maintenance.files_verify:
    bucket: backups.example.com
    region: eu-central-1
    trees: [web1/uploads]
    sample: 1000
"""

RETURN = r"""
verdict:
  description: V(ok), V(unknown) or V(failed), the worst of all trees. V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence for each tree with the figures that matter.
  returned: always
  type: str
  sample: 'uploads: 4711 files of the run 20261126T021500Z are listed in s3://b/steward/uploads, and 100 were read back'
reason:
  description: What is not as it was sent, naming the objects, or why that could not be looked at.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about; always empty.
  returned: always
  type: list
  elements: dict
figures:
  description:
    - Measured numbers, with the unit in the name. C(last_change_seconds) is the age of the newest run that found
      something changed.
  returned: always
  type: dict
  sample: {duration_seconds: 3.1, files: 4711, read_files: 100, read_bytes: 68000000, wrong_files: 0}
coverage:
  description: Files that are listed as they were sent and not refuted by their bytes, of those of the index.
  returned: always
  type: dict
  sample: {looked: 4711, of: 4711}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._files.settings import (
    TARGET_ARGUMENTS,
    number_from,
    place_from,
    tree_names_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._files.verify import Settings, verify


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            TARGET_ARGUMENTS,
            trees={"type": "list", "elements": "str", "required": True},
            sample={"type": "int", "default": 100},
            whole={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        place = place_from(params)
        trees = tree_names_from(params)
        settings = Settings(sample=number_from(params, "sample", 0, 1_000_000), whole=params["whole"])
    except InputError as exc:
        module.fail_json(msg=str(exc))
    finish(module, verify(place, trees, settings, module.check_mode), changed=False)


if __name__ == "__main__":
    main()
