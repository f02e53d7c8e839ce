#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: record
short_description: Writes the record of an activity
version_added: 0.1.0
description:
  - Appends one record to the records of maintenance, which are the evidence of what was done and with which result.
  - Records are chained by SHA-256, so that a record that was altered, taken out or moved is found by
    M(steward.maintenance.records_info).
  - A result that does not have the result shape is not lost. It is recorded as V(failed), with what is wrong with it.
  - Texts that look like C(password=...) or a password in a URL are masked before anything is written.
author:
  - The steward.maintenance authors (@steward-maintenance)
extends_documentation_fragment:
  - steward.maintenance._attributes
  - steward.maintenance._records
attributes:
  check_mode:
    support: full
    details:
      - Returns the record that would be written, without its place in the chain, and writes nothing.
  diff_mode:
    support: full
  idempotent:
    support: none
    details:
      - Each run appends one record.
options:
  activity:
    description: The name of the activity in the catalogue, for example V(database.vacuum).
    type: str
    required: true
  host:
    description: The name of the host in the inventory.
    type: str
    required: true
  guide:
    description: The section of the maintenance guide that asks for the activity.
    type: str
    default: ''
  type:
    description: The type of maintenance. An empty string means that it is not said.
    type: str
    choices: ['', corrective, adaptive, perfective, preventive]
    default: ''
  started:
    description: When the activity was started, in UTC, for example V(2026-11-23T05:13:39Z). The default is now.
    type: str
  result:
    description:
      - What the activity published. RV(ignore:verdict), RV(ignore:summary), RV(ignore:reason), RV(ignore:findings),
        RV(ignore:figures) and RV(ignore:coverage) are recorded; other keys are left out.
      - When missing or empty, the activity is recorded as V(failed).
    type: dict
  changed:
    description: Whether the activity altered anything.
    type: bool
    default: false
  change:
    description: The identifier of the change request under which the activity ran.
    type: str
    default: ''
  ran:
    description:
      - Who and what ran the activity, for example C(user), C(awx_job_id), C(awx_template) and C(revision).
        Empty values are left out.
      - What the host itself knows is added, the C(account) and, when not given here, the C(user).
    type: dict
    default: {}
seealso:
  - module: steward.maintenance.records_info
"""

EXAMPLES = r"""
- name: Record that the access rights were reviewed
  steward.maintenance.record:
    activity: security.access_review
    host: "{{ inventory_hostname }}"
    guide: "2.4"
    type: preventive
    result:
      verdict: ok
      summary: The rights of 12 accounts were reviewed, none had to be changed
      figures:
        accounts_count: 12
      coverage:
        looked: 12
        of: 12

- name: Record it in the central store of the fleet
  steward.maintenance.record:
    records: postgresql://steward@records.example.org:5432/steward
    records_password: "{{ vault_records_password }}"
    activity: database.vacuum
    host: "{{ inventory_hostname }}"
    result: "{{ postgres_maintenance_result }}"
    changed: "{{ postgres_maintenance_result.changed }}"
    ran:
      awx_job_id: "{{ awx_job_id | default('') }}"
"""

RETURN = r"""
record:
  description:
    - The record as it was written, or would be written in check mode.
    - In check mode it has no RV(ignore:previous) and no RV(ignore:hash), because it has no place in the chain.
  returned: when the record could be made
  type: dict
  contains:
    schema:
      description: The version of this format.
      type: int
      sample: 1
    id:
      description: A unique identifier (UUID).
      type: str
    activity:
      description: The name of the activity.
      type: str
      sample: database.vacuum
    guide:
      description: The section of the guide.
      type: str
    type:
      description: The type of maintenance.
      type: str
    host:
      description: The name of the host in the inventory.
      type: str
    started:
      description: When the activity was started, in UTC.
      type: str
      sample: "2026-11-23T05:13:39Z"
    ended:
      description: When the activity was recorded, in UTC.
      type: str
      sample: "2026-11-23T05:13:52Z"
    verdict:
      description: One of V(ok), V(findings), V(unknown), V(failed), V(skipped).
      type: str
    summary:
      description: One sentence for a person.
      type: str
    reason:
      description: Why it was skipped, is unknown or failed.
      type: str
    findings:
      description: What somebody should know about.
      type: list
      elements: dict
    figures:
      description: Measured numbers, with the unit in the name, such as C(duration_seconds).
      type: dict
    coverage:
      description: How many of the things to look at were looked at, as C(looked) and C(of).
      type: dict
    done:
      description:
        - What was done one by one, for activities that tell it, for example each table that was vacuumed. Each entry
          has the keys that the module of the activity returns, C(subject), C(action), C(before), C(after) among them.
        - At most 200; how many more there were is the figure C(done_not_listed).
      returned: when there is any
      type: list
      elements: dict
    changed:
      description: Whether the activity altered anything.
      type: bool
    check_mode:
      description: Whether the activity was only rehearsed. Such a record is never written and never counts as done.
      type: bool
    change:
      description: The identifier of the change request.
      type: str
    ran:
      description: Who and what ran the activity.
      type: dict
    collection_version:
      description: The version of steward.maintenance.
      type: str
    previous:
      description: The hash of the record before this one.
      type: str
    hash:
      description: The SHA-256 of this record as canonical JSON (sorted keys, UTF-8, no spaces) without the hash.
      type: str
verdict:
  description: V(ok) when the record is on disk, V(failed) when it could not be written.
  returned: always
  type: str
summary:
  description: One sentence for a person.
  returned: always
  type: str
reason:
  description: Why the record could not be written, naming where and the cause.
  returned: always
  type: str
findings:
  description: Empty.
  returned: always
  type: list
  elements: dict
figures:
  description: Empty.
  returned: always
  type: dict
coverage:
  description: Empty.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.recording import record_of
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import (
    RECORDS_ARGUMENTS,
    RecordsError,
    open_store,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError

ABOUT_THE_ACTIVITY = ("activity", "host", "guide", "type", "started", "changed", "change")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **RECORDS_ARGUMENTS,
            "activity": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "guide": {"type": "str", "default": ""},
            "type": {
                "type": "str",
                "default": "",
                "choices": ["", "corrective", "adaptive", "perfective", "preventive"],
            },
            "started": {"type": "str"},
            "result": {"type": "dict"},
            "changed": {"type": "bool", "default": False},
            "change": {"type": "str", "default": ""},
            "ran": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    about = {name: params[name] for name in ABOUT_THE_ACTIVITY}
    about["check_mode"] = module.check_mode
    try:
        record = record_of(about, params["result"], params["ran"])
        if not module.check_mode:
            record = open_store(params["records"], params["records_password"]).append(record)
    except (RecordsError, InputError) as exc:
        failed = Result("failed", f"The record of {params['activity']} was not written", str(exc))
        finish(module, failed, changed=False)
    would_be = " would be" if module.check_mode else ""
    summary = f"{record['activity']} on {record['host']}{would_be} recorded as {record['verdict']}"
    diff = {"before": "", "after": f"{summary}: {record['summary']}\n"}
    finish(module, Result("ok", summary), changed=True, record=record, diff=diff)


if __name__ == "__main__":
    main()
