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
  - Looks for slow queries; sizes and their growth; invalid, bloated, duplicate, covered, unused and missing indexes;
    bloat, dead rows, missing statistics and a switched off autovacuum of tables; the distance to the transaction id
    wraparound of databases and tables; old and prepared transactions; blocked sessions; replication slots and
    standbys that are behind; sequences near the end of their column's type; collations that sort otherwise than their
    indexes; connections near their limit; a bad cache hit ratio; settings that surprise. Each finding says what to
    do.
  - A check that this installation does not offer, such as slow queries without C(pg_stat_statements), is a finding and
    counts in RV(coverage) as not looked at. A check that fails or takes too long makes the verdict V(unknown).
  - What a role may not see is a finding with the GRANT that it lacks. C(pg_monitor) is enough for all but the numbers
    of sequences, which need C(SELECT) on them.
  - Works on standbys too. Opens one connection a database, a second one for as long as it measures tables or indexes
    that are large enough for that (O(minimum_bytes)), and one a database to each of O(standbys).
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
    description: An index is bloated from this share of empty space on, in percent.
    type: int
    default: 40
  table_bloat_percent:
    description:
      - A table is bloated from this share of free space on, in percent, beyond what its fill factor asks for.
      - It is measured with the extension C(pgstattuple), where its size cannot be explained by its rows.
    type: int
    default: 40
    version_added: 0.2.0
  minimum_bytes:
    description:
      - Tables and indexes smaller than this, in bytes, are told neither as bloated nor as unused, and a foreign key
        of a smaller table needs no index.
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
  blocked_after:
    description: A session is blocked when it waits for a lock for longer than this.
    type: str
    default: 10s
    version_added: 0.2.0
  unused_after:
    description: An index is unused when no query used it for this long, and the statistics are that old.
    type: str
    default: 30d
  standbys:
    description:
      - Logins of the standbys. An index is unused only when none of them uses it either.
      - A standby that cannot be asked makes the verdict V(unknown), and no index is then called unused.
    type: list
    elements: dict
    default: []
    version_added: 0.2.0
    suboptions:
      host:
        description: Host name or address of the standby.
        type: str
        default: ''
      port:
        description: Port of the standby.
        type: int
        default: 5432
      unix_socket:
        description: Directory of its Unix socket, instead of a host.
        type: str
        default: ''
      service:
        description: Section of a libpq service file that holds what is not given here.
        type: str
        default: ''
      user:
        description: Role to log in as. Empty means O(login_user).
        type: str
        default: ''
      password:
        description: Password of the role. Empty means O(login_password).
        type: str
        default: ''
      database:
        description:
          - Not used, because each database is asked; here so that a login of the role can be given as it is.
        type: str
        default: ''
      ssl_mode:
        description: What TLS is asked for. Empty means O(ssl_mode).
        type: str
        default: ''
        choices: ['', disable, allow, prefer, require, verify-ca, verify-full]
      ca_cert:
        description: File with the certificates of trusted authorities. Empty means O(ca_cert).
        type: path
        default: ''
  sequence_percent:
    description:
      - A sequence is near its end when this share of its numbers is used, in percent. The end is its own or that of
        the type of a column that takes its numbers, whichever comes first.
    type: int
    default: 80
    version_added: 0.2.0
  slot_bytes:
    description:
      - A replication slot in use keeps too much from this many bytes of WAL on. One that is not in use always
        does.
    type: int
    default: 1073741824
    version_added: 0.2.0
  replication_lag_bytes:
    description: A standby is behind when it has not replayed this many bytes of WAL.
    type: int
    default: 268435456
    version_added: 0.2.0
  replication_lag:
    description: A standby is behind when it replays what happened longer ago than this.
    type: str
    default: 5m
    version_added: 0.2.0
  previous:
    description:
      - The last record of a review, to tell what grew since. An empty dictionary means that there is none.
      - Its C(time) is a moment with its zone (ISO 8601), its C(figures) are the RV(figures) that were returned then.
    type: dict
    default: {}
    version_added: 0.2.0
  growth_percent:
    description:
      - A database, table or index grew much when it grew by this share since O(previous), in percent, and by
        O(growth_bytes).
    type: int
    default: 50
    version_added: 0.2.0
  growth_bytes:
    description:
      - A database, table or index grew much when it grew by this many bytes since O(previous), and by
        O(growth_percent).
    type: int
    default: 1073741824
    version_added: 0.2.0
  check_timeout:
    description:
      - The longest that one check may take in one database. One that takes longer makes the verdict V(unknown).
    type: str
    default: 30s
  yield_after:
    description:
      - What reads a whole table or index is cancelled when somebody waits for it longer than this, and tried once more.
        What could not be measured makes the verdict V(unknown).
    type: str
    default: 2s
    version_added: 0.2.0
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

- name: Review over the network, with a standby, and compare the sizes with the last record
  steward.maintenance.postgres_review_info:
    login_host: db1.example.org
    login_user: monitoring
    standbys:
      - host: db2.example.org
    previous:
      time: "{{ last.ended }}"
      figures: "{{ last.figures }}"
  delegate_to: localhost

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
  sample: 'review: 25 of 25 checks, databases: 1, findings: 2'
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
  description:
    - Measured numbers, with the unit in the name. Beside the duration, the sizes of all databases and of the 20
      largest tables and indexes of the server.
  returned: always
  type: dict
  sample:
    duration_seconds: 0.3
    databases: 1
    'database_bytes[shop]': 8192000
    'table_bytes[shop.public.orders]': 4096000
    'index_bytes[shop.public.orders_pkey]': 1024000
coverage:
  description: How many checks could look, of how many.
  returned: always
  type: dict
  sample: {looked: 25, of: 25}
facts:
  description:
    - The figures behind the findings. C(databases) holds C(size_bytes), C(largest_tables), C(largest_indexes) and
      C(cache_hit_percent) by database; C(slow_queries) the queries with the largest total time, texts normalised, in
      milliseconds; C(statements) since when they are counted, and how often some were forgotten; C(growth) how sizes
      changed since O(previous); C(slots) and C(standbys) the state of the replication.
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

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    DATABASES_ARGUMENT,
    LOGIN_ARGUMENTS,
    SSL_MODES,
    duration_from,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review import Scope, review
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_options import (
    DURATIONS,
    NUMBERS,
    standby_logins,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_sizes import previous_from
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.reviewing import Thresholds

_STANDBY = {
    "host": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 5432},
    "unix_socket": {"type": "str", "default": ""},
    "service": {"type": "str", "default": ""},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "database": {"type": "str", "default": ""},
    "ssl_mode": {"type": "str", "default": "", "choices": ["", *SSL_MODES]},
    "ca_cert": {"type": "path", "default": ""},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **DATABASES_ARGUMENT,
            slow_mean_ms={"type": "int", "default": 500},
            slow_share_percent={"type": "int", "default": 25},
            bloat_percent={"type": "int", "default": 40},
            table_bloat_percent={"type": "int", "default": 40},
            minimum_bytes={"type": "int", "default": 1048576},
            dead_percent={"type": "int", "default": 20},
            cache_hit_percent={"type": "int", "default": 90},
            connections_percent={"type": "int", "default": 80},
            transaction_age={"type": "str", "default": "1h"},
            blocked_after={"type": "str", "default": "10s"},
            unused_after={"type": "str", "default": "30d"},
            standbys={"type": "list", "elements": "dict", "default": [], "options": _STANDBY},
            sequence_percent={"type": "int", "default": 80},
            slot_bytes={"type": "int", "default": 1073741824},
            replication_lag_bytes={"type": "int", "default": 268435456},
            replication_lag={"type": "str", "default": "5m"},
            previous={"type": "dict", "default": {}},
            growth_percent={"type": "int", "default": 50},
            growth_bytes={"type": "int", "default": 1073741824},
            check_timeout={"type": "str", "default": "30s"},
            yield_after={"type": "str", "default": "2s"},
        ),
        supports_check_mode=True,
    )
    params = module.params
    login = login_from(params)
    try:
        durations = {name: duration_from(params, name) for name in DURATIONS}
        previous = previous_from(params["previous"])
        standbys = standby_logins(params["standbys"], login)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    thresholds = Thresholds(**{name: params[name] for name in NUMBERS}, **durations)
    result, facts = review(login, Scope(params["databases"], standbys, previous), thresholds)
    finish(module, result, False, facts=facts)


if __name__ == "__main__":
    main()
