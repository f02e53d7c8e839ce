# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that the ``postgres_physical_*`` modules share.

Note that this doc fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the arguments in plugins/module_utils/_postgres/physical_arguments.py."""

    DOCUMENTATION = r"""
options:
  stanza:
    description: Name of the stanza, which is what pgBackRest calls the configuration of one server.
    type: str
    default: main
  config:
    description:
      - Configuration file of pgBackRest, in which its repositories and the place of the server are, and its secrets.
      - Empty leaves the choice to pgBackRest, which takes C(/etc/pgbackrest/pgbackrest.conf) or
        C(/etc/pgbackrest.conf).
    type: path
    default: ''
  repo:
    description: Number of the repository.
    type: int
    default: 1
  program:
    description: The program C(pgbackrest), by its name or its path.
    type: str
    default: pgbackrest
  timeout:
    description: The longest that one command of pgBackRest, or the recovery of a restored cluster, may take.
    type: str
    default: 1d
  run_as:
    description:
      - Account of the operating system that pgBackRest and restored servers run as when the module runs as root. For a
        backup it has to be the owner of the data directory.
      - Empty means C(postgres) where it exists, else C(nobody).
    type: str
    default: ''
requirements:
  - pgBackRest 2.41 or newer
"""

    RESTORING = r"""
options:
  bin_dir:
    description: Directory of PostgreSQL's programs. Empty means they are found by the version of the backup.
    type: path
    default: ''
  preload_libraries:
    description:
      - What the restored server has as C(shared_preload_libraries). None by default, so that nothing in it acts by
        itself. Needed where tables or WAL cannot be read without a library.
    type: list
    elements: str
    default: []
requirements:
  - the server programs of the PostgreSQL version that the backup was made of (C(postgres), C(pg_ctl),
    C(pg_controldata))
"""
