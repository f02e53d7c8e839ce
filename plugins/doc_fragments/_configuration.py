# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the history of the configuration is: the arguments in plugins/module_utils/_configuration/arguments.py.

Note that this doc fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  repository:
    description:
      - The absolute path of a bare repository on this host, which is made where it is missing, or one that is reached
        by SSH, such as C(git@git.example.com:ops/configuration.git) or C(ssh://git@git.example.com/configuration).
      - Of the latter, a copy with the whole history lies below O(state_dir).
    type: str
    required: true
  branch:
    description: Branch of this host; each needs one of its own. Empty means the name of the host.
    type: str
    default: ''
  ssh_key:
    description: File with the private key for SSH. Empty leaves it to SSH.
    type: path
    default: ''
  known_hosts:
    description: File with the keys of the hosts that are trusted. Empty leaves it to SSH. Others are never trusted.
    type: path
    default: ''
  state_dir:
    description:
      - Directory of the copy of the repository, of the key of the placeholders, and of files that a restore replaced.
      - Empty means beside the records of this account.
    type: path
    default: ''
  timeout:
    description: The longest that one command of git may take.
    type: str
    default: 5m
requirements:
  - the program C(git), 2.25 or newer
  - the program C(age), for what is encrypted
"""
