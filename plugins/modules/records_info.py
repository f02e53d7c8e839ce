#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: records_info
short_description: Reads the records of maintenance and verifies their chain
version_added: 0.1.0
description:
  - Returns what was done, when and with which result, and whether every record is there as it was written.
  - A record that is not as it was written is no evidence. It is left out, and RV(chain) tells of it.
author:
  - The steward.maintenance authors (@steward-maintenance)
extends_documentation_fragment:
  - steward.maintenance._attributes.info_module
  - steward.maintenance._records
options:
  host:
    description:
      - The name of a host in the inventory. Only its records are returned.
      - An empty string means all hosts that have records there, which may be many in a central store.
    type: str
    default: ''
  activities:
    description: Names of activities. Only their records are returned. An empty list means all.
    type: list
    elements: str
    default: []
  limit:
    description: Return only so many records, the last ones. Not used with O(summary=true).
    type: int
  summary:
    description: Return what the records say about each activity (RV(activities)) instead of the records themselves.
    type: bool
    default: false
  trend:
    description: How many of the last runs of each activity are in its trend.
    type: int
    default: 30
seealso:
  - module: steward.maintenance.record
"""

EXAMPLES = r"""
- name: Read what was done here
  steward.maintenance.records_info:
    host: "{{ inventory_hostname }}"
    summary: true
  register: maintenance_past

- name: Refuse to go on when the evidence was tampered with
  ansible.builtin.assert:
    that: maintenance_past.chain.intact
    fail_msg: "{{ maintenance_past.chain.problem }}"

- name: Read the last ten backups in the central store
  steward.maintenance.records_info:
    records: postgresql://steward@records.example.org:5432/steward
    records_password: "{{ vault_records_password }}"
    activities: [backup.database]
    limit: 10
"""

RETURN = r"""
records:
  description: The records, oldest first. See RV(steward.maintenance.record#module:record) for what one has.
  returned: success and O(summary=false)
  type: list
  elements: dict
activities:
  description: What the records say about each activity, by its name. Records of check mode do not count.
  returned: success and O(summary=true)
  type: dict
  sample:
    database.vacuum:
      last: {"verdict": "failed", "ended": "2026-11-23T05:13:52Z"}
      last_done: {"verdict": "ok", "ended": "2026-11-22T05:13:40Z"}
      last_success_at: "2026-11-22T05:13:40Z"
      bad_count: 1
      trend: [["2026-11-22T05:13:40Z", "ok", 1.5], ["2026-11-23T05:13:52Z", "failed", 12.0]]
chain:
  description: What is known about the records as evidence.
  returned: success
  type: dict
  contains:
    length:
      description: How many records there are.
      type: int
      sample: 812
    intact:
      description: Whether every record is there as it was written, as far as the chain can tell.
      type: bool
    problem:
      description: What is wrong, naming the first record concerned; empty when nothing is.
      type: str
    torn:
      description:
        - How many lines were cut off because their writer was killed, all told. They were set aside beside the records
          and break nothing.
      type: int
now:
  description: The clock of the host, in UTC.
  returned: success
  type: str
  sample: "2026-11-23T05:20:00Z"
verdict:
  description: V(ok), V(findings) when the chain is not intact, or V(unknown) when the records could not be read.
  returned: always
  type: str
summary:
  description: One sentence for a person.
  returned: always
  type: str
reason:
  description: Why the records could not be read, naming where and the cause.
  returned: always
  type: str
findings:
  description: What is wrong with the chain.
  returned: always
  type: list
  elements: dict
figures:
  description: The number of records as C(records_count) and of torn lines as C(torn_count).
  returned: always
  type: dict
coverage:
  description: Empty.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now, write_time
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import (
    RECORDS_ARGUMENTS,
    RecordsError,
    open_store,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.records_summary import (
    TREND_LENGTH,
    judge_chain,
    select,
    summarise,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **RECORDS_ARGUMENTS,
            "host": {"type": "str", "default": ""},
            "activities": {"type": "list", "elements": "str", "default": []},
            "limit": {"type": "int"},
            "summary": {"type": "bool", "default": False},
            "trend": {"type": "int", "default": TREND_LENGTH},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        store = open_store(params["records"], params["records_password"])
        records, chain = store.scan(params["host"] or None)
        records = select(records, params["activities"], None if params["summary"] else params["limit"])
    except (RecordsError, InputError) as exc:
        finish(module, Result("unknown", "The records could not be read", str(exc)), changed=False)
    told = {"activities": summarise(records, params["trend"])} if params["summary"] else {"records": records}
    result = judge_chain(chain, store.location)
    finish(module, result, changed=False, chain=chain.to_dict(), now=write_time(utc_now()), **told)


if __name__ == "__main__":
    main()
