# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where trees of files are kept: the arguments in plugins/module_utils/_files/settings.py.

Note that this doc fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  bucket:
    description: Name of the bucket, which must exist. Either this or O(directory).
    type: str
    required: false
    default: ''
  streams:
    description:
      - Files that are on their way at the same time, from 1 to 64. Files larger than 1 MiB are sent four at a time at
        most, and take up to eight times O(part_bytes) of memory.
    type: int
    default: 16
  directory:
    description:
      - Directory in which trees are kept, instead of a bucket. It may be on another disk or mounted from elsewhere.
        The trees lie below O(prefix) in it, as they would in a bucket.
      - It must be there. Name one that only the mounted disk has, so that nothing is written where it is not mounted.
    type: path
    default: ''
  state_dir:
    description:
      - Directory of the locks, by which two runs for the same tree are told from each other.
      - Empty means C(/var/lib/steward/files) for root, and C(steward/files) below E(XDG_STATE_HOME) (C(~/.local/state)
        when unset) for every other account.
    type: path
    default: ''
"""
