#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: files_restore
version_added: 0.2.0
short_description: Bring a directory tree, or a part of it, back as it was at a moment
description:
  - Restores what M(steward.maintenance.files_backup) keeps into a directory. Which files the tree had at that moment,
    and in which state, is in the index of the newest run that began no later.
  - Each file is written under another name, compared by its SHA-256, given its owner, mode and time, and only then its
    name. A file whose bytes are nowhere as they were sent is told, and the others are restored.
  - Owners are set when this runs as root, by name where the host knows the name, else by number. Sparse files are
    sparse again.
  - A run that was killed is gone on with. What is there already and right is not fetched again.
options:
  tree:
    description: Name of the tree.
    type: str
    required: true
  destination:
    description:
      - Directory to restore into. It is made where it is missing, closed to others until the end.
      - In one that is not empty, anything that is not of the tree, or is there in another size, is a reason to touch
        nothing, unless O(overwrite=true).
    type: path
    required: true
  path:
    description:
      - File or directory within the tree, relative to its root. It is restored to the same path below O(destination).
      - Empty means all of it.
    type: str
    default: ''
  at:
    description:
      - The moment as of which the tree is wanted, in UTC, such as V(2026-11-23T05:13:39Z).
      - Empty means the newest run.
    type: str
    default: ''
  overwrite:
    description:
      - Replace files at O(destination) that are others. What is not of the tree stays there in any case.
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
      - Index and listings are read in check mode. It always tells a change, for it reads no file.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: steward.maintenance.files_backup
  - module: steward.maintenance.files_verify
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Bring the uploads back as they were on Sunday night
  steward.maintenance.files_restore:
    bucket: backups.example.com
    region: eu-central-1
    tree: web1/uploads
    at: '2026-11-22T23:59:59Z'
    destination: /srv/restored

- name: Bring one directory back to where it was
  steward.maintenance.files_restore:
    directory: /mnt/backup
    tree: web1/uploads
    path: customers/4711
    destination: /srv/app/uploads
    overwrite: true
"""

RETURN = r"""
verdict:
  description: V(ok) or V(failed). V(failed) fails the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: 4711 files (3.2 GB) of web1/uploads as of 20261122T021500Z restored into /srv/restored in 5 min 03 s
reason:
  description: What could not be restored, naming the file and where its bytes were looked for.
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
    - Measured numbers, with the unit in the name. C(duration_seconds) is evidence for the RTO, C(data_age_seconds), the
      age of the run that was restored, for the RPO.
  returned: always
  type: dict
  sample: {duration_seconds: 303, restored_files: 4711, restored_bytes: 3200000000, data_age_seconds: 7200}
coverage:
  description: Files that are there as they were, of those that should be.
  returned: always
  type: dict
  sample: {looked: 4711, of: 4711}
planned:
  description: What is to be restored, with C(database) (empty), C(subject), C(action), C(reason) and C(estimate).
  returned: always
  type: list
  elements: dict
  sample:
    - database: ''
      subject: web1/uploads
      action: restore
      reason: as of 20261122T021500Z
      estimate: {bytes: 3200000000, objects: 4711}
run:
  description: Stamp of the run that was restored.
  returned: always
  type: str
  sample: 20261122T021500Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._files.restore import Outcome, Settings, bring_back
from ansible_collections.steward.maintenance.plugins.module_utils._files.settings import (
    TARGET_ARGUMENTS,
    destination_from,
    place_from,
    tree_name_from,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            TARGET_ARGUMENTS,
            tree={"type": "str", "required": True},
            destination={"type": "path", "required": True},
            path={"type": "str", "default": ""},
            at={"type": "str", "default": ""},
            overwrite={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        place = place_from(params)
        settings = Settings(
            tree=tree_name_from(params["tree"], "tree"),
            destination=destination_from(params),
            path=params["path"] or "",
            at=params["at"] or "",
            overwrite=params["overwrite"],
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = bring_back(place, settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
