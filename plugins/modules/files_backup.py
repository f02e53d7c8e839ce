#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: files_backup
version_added: 0.2.0
short_description: Back up directory trees to an S3 bucket or another directory
description:
  - Sends what changed in each tree to C(<prefix>/<name of the tree>/current/) and keeps what was replaced or deleted
    below C(kept/) until O(retention) is over. An index of each run, written last of all, makes it possible to restore
    the tree as it was at that run, see M(steward.maintenance.files_restore).
  - What changed is found by one listing of the target, merged with the tree and the last index. A file whose size,
    times, mode and owner are those of the index, and whose object is listed as it was sent, is not read. An object that
    is not there any more, or is another one, is told and sent again.
  - Each request bears a checksum, and the store refuses what arrives damaged. What is replaced or deleted is first
    copied within the target and seen to be there. Before the index is written, a new listing shows all of it.
  - A file that is altered while it is read is read once more, and then told as unsteady and left there as it was. One
    that vanished meanwhile is counted. One that cannot be read makes the verdict V(failed), and the others are sent.
  - An empty or missing tree, or one that lost more than O(most_deleted) of its files, is not taken for deleted.
  - Symbolic links are kept as such and never followed. Sockets, pipes and devices are counted and left out. Hard links
    are kept as files of their own. Access control lists and extended attributes are not kept.
options:
  trees:
    description: The trees to back up. All of them are backed up, also when one fails.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Under which the tree is kept; words of letters, digits, dots, dashes and underscores, with slashes between.
          - Each tree of each host needs a name of its own. The place remembers host and path, and refuses others.
        type: str
        required: true
      path:
        description: Directory that is the root of the tree.
        type: path
        required: true
      exclude:
        description:
          - Shell patterns of what is left out. One without a slash is compared with names at any depth, one with it
            with whole paths from the root of the tree, where C(*) also stands for slashes. One that ends in a slash is
            compared with directories only.
          - What was backed up before and is excluded now is treated like what was deleted.
        type: list
        elements: str
        default: []
      cross_filesystems:
        description: Back up other file systems, too, that are mounted in the tree.
        type: bool
        default: false
  retention:
    description:
      - How long a tree can be restored as it was. What was replaced or deleted earlier than this is removed, and the
        indexes that need it.
    type: str
    default: 90d
  most_deleted:
    description:
      - When more than this share of the files that are kept are not in the tree any more, in percent, none of them is
        taken for deleted, and the verdict is V(failed). What is new or changed is sent all the same.
    type: int
    default: 50
  allow_deletions:
    description: Take for deleted what is not in the tree any more, whatever share that is, even all of it.
    type: bool
    default: false
  adopt:
    description:
      - Go on with what is kept under this name although it came from another host or path, as after a move. The files
        of that one are then compared with this tree.
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
      - The tree and the target are read in check mode. Files that have to be read to be told from what is kept are told
        as to be sent.
  diff_mode:
    support: full
    details:
      - The first 20 files of each tree are named.
  idempotent:
    support: full
seealso:
  - module: steward.maintenance.files_restore
  - module: steward.maintenance.files_verify
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Back up what users uploaded
  steward.maintenance.files_backup:
    bucket: backups.example.com
    region: eu-central-1
    trees:
      - name: web1/uploads
        path: /srv/app/uploads
        exclude: ['*.tmp', 'cache/']
    retention: 90d

- name: The same to another disk
  steward.maintenance.files_backup:
    directory: /mnt/backup
    trees:
      - name: web1/uploads
        path: /srv/app/uploads
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings) or V(failed), the worst of all trees. V(failed) fails the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence for each tree with the figures that matter.
  returned: always
  type: str
  sample: 'uploads: 12 of 4711 files (3.2 GB) sent to s3://backups/steward/uploads (1.2 MB in 2.1 s), 1 gone and kept'
reason:
  description: What could not be read, sent or proved, naming the file, the object or the right that is missing.
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
    - Measured numbers of all trees, with the unit in the name. C(sent_bytes) went over the line, C(kept_files) were
      copied within the target before they were replaced or removed.
  returned: always
  type: dict
  sample: {duration_seconds: 2.1, files: 4711, bytes: 3200000000, sent_files: 12, sent_bytes: 1200000, removed_files: 1}
coverage:
  description: Files that are kept as they are in the trees, of those and of places that could not be looked at.
  returned: always
  type: dict
  sample: {looked: 4711, of: 4711}
planned:
  description:
    - What is to be done for each tree, with C(database) (empty), C(subject) (the tree), C(action), C(reason) and
      C(estimate).
  returned: always
  type: list
  elements: dict
  sample:
    - database: ''
      subject: web1/uploads
      action: send
      reason: 2 changed, 10 new
      estimate: {bytes: 1200000, objects: 12}
runs:
  description: For each tree of which this run wrote an index, the stamp under which it can be restored.
  returned: always
  type: dict
  sample: {web1/uploads: 20261126T021500Z}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._files.backup import Outcome, Settings, back_up
from ansible_collections.steward.maintenance.plugins.module_utils._files.settings import (
    TARGET_ARGUMENTS,
    TREE_ARGUMENTS,
    duration_from,
    number_from,
    place_from,
    trees_from,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            TARGET_ARGUMENTS,
            trees={"type": "list", "elements": "dict", "required": True, "options": TREE_ARGUMENTS},
            retention={"type": "str", "default": "90d"},
            most_deleted={"type": "int", "default": 50},
            allow_deletions={"type": "bool", "default": False},
            adopt={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        place = place_from(params)
        trees = trees_from(params)
        settings = Settings(
            retention=duration_from(params, "retention"),
            most_deleted=number_from(params, "most_deleted", 0, 100),
            allow_deletions=params["allow_deletions"],
            adopt=params["adopt"],
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = back_up(place, trees, settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
