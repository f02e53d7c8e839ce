# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that the modules of the restore share.

Note that this doc fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the arguments in plugins/module_utils/_postgres/restore_arguments.py."""

    DOCUMENTATION = r"""
options:
  state_dir:
    description:
      - Directory of the journals, from which a run that was killed is taken up. Always the same one for a server.
      - Empty means C(/var/lib/steward/restore) for root, and C(steward/restore) below E(XDG_STATE_HOME)
        (C(~/.local/state) when unset) for every other account.
    type: path
    default: ''
  os_user:
    description:
      - Account of the operating system as which the module reads the backups and logs in to the server, when it is run
        by root. The application is stopped and started by root all the same.
      - Empty means the account that runs the module.
    type: str
    default: ''
"""

    CHOICE = r"""
options:
  path:
    description: Directory of the backups that M(steward.maintenance.postgres_backup) made.
    type: path
    default: /var/backups/steward
  database:
    description: Name of the database.
    type: str
    required: true
  backup:
    description:
      - Name of the backup, such as V(20261123T051339Z). Empty means the newest that may be used. One that bears a date
        in the future was made while a clock was wrong; it is taken only when it is named.
    type: str
    default: ''
  at:
    description:
      - Take the newest backup that was begun at or before this moment, in ISO 8601 with its zone, such as
        V(2026-11-23T05:13:39Z). Excludes O(backup).
    type: str
    default: ''
  allow_unverified:
    description: Take a backup, too, that was never proved by M(steward.maintenance.postgres_backup_verify).
    type: bool
    default: false
  allow_refuted:
    description:
      - Take a backup, too, that did not pass its verification. A damaged one, whose bytes are not those of its
        manifest, is never taken.
    type: bool
    default: false
  identity_file:
    description:
      - File with the private key, for encrypted backups, as C(age -i) takes it. On command lines is only its path.
    type: path
    default: ''
  public_key:
    description:
      - File with the public key of whoever signs manifests, in PEM form. With it, a backup that is not signed, or not
        by the holder of that key, is never taken.
    type: path
    default: ''
  scratch_path:
    description:
      - Where a backup that has to be decrypted or decompressed first is unpacked, in a directory closed to others that
        is removed when the database is restored. Where clear text must be on no disk, let it be on a tmpfs.
    type: path
    default: /var/tmp
  jobs:
    description: Tables and indexes that are restored at the same time.
    type: int
    default: 2
  bin_dir:
    description: Directory of PostgreSQL's programs. Empty means they are found by the server's version.
    type: path
    default: ''
"""
