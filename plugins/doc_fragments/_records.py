# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the records are kept: the arguments of every module that reads or writes them.

Note that this doc fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  records:
    description:
      - Where the records are kept.
      - An empty string means the file C(/var/lib/steward/records.jsonl) for root, and
        C(steward/records.jsonl) below E(XDG_STATE_HOME) (C(~/.local/state) when unset) for every other account.
      - An absolute path, or one that starts with C(~), means that file of JSON Lines on the managed host.
      - A URL such as C(postgresql://steward@records.example.org:5432/steward) means the table C(steward_records)
        in that PostgreSQL database; the table is created when missing. This needs psycopg2 for the Python interpreter
        of the managed host. A password must not be part of the URL.
    type: str
    default: ''
  records_password:
    description: Password for the PostgreSQL database in O(records).
    type: str
"""
