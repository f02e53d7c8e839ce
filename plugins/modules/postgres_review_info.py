#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_review_info
version_added: 0.1.0
short_description: Review a PostgreSQL server and its databases
description:
  - Looks for slow queries, invalid, bloated, duplicate and unused indexes, dead rows, the distance to the
    transaction id wraparound, old transactions and slots, connections near their limit, a bad cache hit ratio and
    settings that surprise. Each finding says what to do.
  - A check that this installation does not offer, such as slow queries without C(pg_stat_statements), is a finding and
    counts in RV(coverage) as not looked at. A check that fails or takes too long makes the verdict V(unknown).
  - Works on standbys too.
options:
  slow_mean_ms:
    description: A query is slow from this mean execution time on, in milliseconds.
    type: int
    default: 500
  slow_share_percent:
    description: A query is heavy from this share of the total execution time on.
    type: int
    default: 25
  bloat_percent:
    description: An index is bloated from this share of empty space on.
    type: int
    default: 40
  minimum_bytes:
    description: Indexes smaller than this are told neither as bloated nor as unused.
    type: int
    default: 1048576
  dead_percent:
    description: A table has too many dead rows from this share of all its rows on, if these are 10000 or more.
    type: int
    default: 20
  cache_hit_percent:
    description: The cache hit ratio is bad below this.
    type: int
    default: 90
  connections_percent:
    description: The connections are near their limit from this share on.
    type: int
    default: 80
  transaction_age:
    description: A transaction is old when it is open for longer than this.
    type: str
    default: 1h
  unused_after:
    description: An index is unused when no query used it for this long, and the statistics are that old.
    type: str
    default: 30d
  check_timeout:
    description: The longest that one statement of a check may take.
    type: str
    default: 30s
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._postgres.databases
  - steward.maintenance._attributes.info_module
  - steward.maintenance._attributes.actiongroup_postgres
author:
  - The steward.maintenance authors (@steward-maintenance)
"""

EXAMPLES = r"""
- name: Review all databases
  steward.maintenance.postgres_review_info:
    login_unix_socket: /var/run/postgresql
  become: true
  become_user: postgres
  register: review

- name: Show what to do
  ansible.builtin.debug:
    msg: "{{ review.findings | map(attribute='action') | unique }}"
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(unknown) or V(failed). V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: findings
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: 'review: 13 of 13 checks on 1 databases, 2 findings'
reason:
  description: Which checks went wrong and why.
  returned: always
  type: str
  sample: ''
findings:
  description:
    - What somebody should know about, each with C(id), C(severity), C(subject), C(message), C(value), C(threshold) and
      C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name.
  returned: always
  type: dict
  sample: {duration_seconds: 0.3, databases: 1}
coverage:
  description: How many checks could look, of how many.
  returned: always
  type: dict
  sample: {looked: 13, of: 13}
facts:
  description:
    - The figures behind the findings. C(databases) holds C(size_bytes), C(largest_tables) and C(cache_hit_percent) by
      database; C(slow_queries) the queries with the largest total time, texts normalised, in milliseconds.
  returned: always
  type: dict
  sample:
    connections: {used: 12, limit: 97}
    oldest_xid_age: 731
    databases:
      shop:
        size_bytes: 8192000
        cache_hit_percent: 99.1
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.durations import parse_duration
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    DATABASES_ARGUMENT,
    LOGIN_ARGUMENTS,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review import review
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.reviewing import Thresholds


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **DATABASES_ARGUMENT,
            slow_mean_ms={"type": "int", "default": 500},
            slow_share_percent={"type": "int", "default": 25},
            bloat_percent={"type": "int", "default": 40},
            minimum_bytes={"type": "int", "default": 1048576},
            dead_percent={"type": "int", "default": 20},
            cache_hit_percent={"type": "int", "default": 90},
            connections_percent={"type": "int", "default": 80},
            transaction_age={"type": "str", "default": "1h"},
            unused_after={"type": "str", "default": "30d"},
            check_timeout={"type": "str", "default": "30s"},
        ),
        supports_check_mode=True,
    )
    params = module.params
    numbers = ("slow_mean_ms", "slow_share_percent", "bloat_percent", "minimum_bytes", "dead_percent")
    numbers += ("cache_hit_percent", "connections_percent")
    try:
        durations = {
            name: parse_duration(params[name]) for name in ("transaction_age", "unused_after", "check_timeout")
        }
    except InputError as exc:
        module.fail_json(msg=str(exc))
    thresholds = Thresholds(**{name: params[name] for name in numbers}, **durations)
    result, facts = review(login_from(params), params["databases"], thresholds)
    finish(module, result, False, facts=facts)


if __name__ == "__main__":
    main()
