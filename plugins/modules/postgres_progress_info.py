#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_progress_info
version_added: 0.2.0
short_description: Tell how far running PostgreSQL maintenance is
description:
  - Finds the runs of M(steward.maintenance.postgres_vacuum) and M(steward.maintenance.postgres_reindex) that are at
    work on a server now, whoever started them and wherever, and tells how far each is and what it does at the moment.
  - Works on PostgreSQL 13 to 18, over any login that may see those sessions. That is the role that the run logged in
    as, or a member of C(pg_monitor).
  - A run that is there but whose statements the server does not show to this role makes the verdict V(unknown).
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._attributes.info_module
  - steward.maintenance._attributes.actiongroup_postgres
seealso:
  - module: steward.maintenance.postgres_vacuum
  - module: steward.maintenance.postgres_reindex
author:
  - The steward.maintenance authors (@steward-maintenance)
"""

EXAMPLES = r"""
- name: See how far the maintenance is
  steward.maintenance.postgres_progress_info:
    login_unix_socket: /var/run/postgresql
  become: true
  become_user: postgres
  register: progress

- name: Show it
  ansible.builtin.debug:
    msg: "{{ progress.summary }}"
"""

RETURN = r"""
verdict:
  description: V(ok), or V(unknown) when it could not be seen. V(unknown) fails the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: 'vacuum: 12/40 tables, 62 %, 3 min left'
reason:
  description: Why something could not be seen, and what would help.
  returned: always
  type: str
  sample: ''
findings:
  description: Empty.
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers.
  returned: always
  type: dict
  sample: {runs: 1}
coverage:
  description: How many runs could be seen, of how many.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
runs:
  description: The runs that are at work, the oldest first.
  returned: always
  type: list
  elements: dict
  contains:
    task:
      description: V(vacuum), V(analyze) or V(reindex).
      type: str
      sample: vacuum
    database:
      description: The database that the run works in now. A run does one after the other.
      type: str
      sample: shop
    done:
      description: How many are done in this database. C(null) when the run does not tell at the moment.
      type: int
      sample: 12
    of:
      description: How many are needed in this database. C(null) when the run does not tell at the moment.
      type: int
      sample: 40
    noun:
      description: What is counted.
      type: str
      sample: tables
    percent:
      description: How much of the work is done, by size.
      type: int
      sample: 62
    seconds_left:
      description: About how many seconds are left for this database. C(null) while that cannot be said.
      type: int
      sample: 180
    pid:
      description: The server process of the session that steers the run.
      type: int
      sample: 4711
    since:
      description: When the run began in this database, by the server's clock, in UTC.
      type: str
      sample: "2026-11-23T05:13:39Z"
    here:
      description: Whether the run was started on the machine on which this module runs.
      type: bool
      sample: true
    statements:
      description: What the run does at the moment.
      type: list
      elements: dict
      contains:
        pid:
          description: The server process.
          type: int
        statement:
          description: The statement, up to 200 characters.
          type: str
          sample: VACUUM (ANALYZE) "public"."orders"
        seconds:
          description: For how many seconds it has been running.
          type: float
        phase:
          description: What PostgreSQL tells about it in its C(pg_stat_progress_*) views.
          type: str
          sample: scanning heap
        phase_percent:
          description: How much of that phase is done. C(null) when the server does not count it.
          type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    LOGIN_ARGUMENTS,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.progress import progress


def main() -> None:
    module = AnsibleModule(argument_spec=dict(LOGIN_ARGUMENTS), supports_check_mode=True)
    result, runs = progress(login_from(module.params))
    finish(module, result, False, runs=runs)


if __name__ == "__main__":
    main()
