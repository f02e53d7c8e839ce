#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: metrics
short_description: Write the state of the maintenance as Prometheus metrics
version_added: 0.1.0
author:
  - The steward.maintenance authors (@steward-maintenance)
description:
  - Writes, from the records of the host, a file for the textfile collector of the Prometheus node exporter. For
    each activity it holds the time of the last success and of the last run, what that measured, the verdict, the time
    it is due, for how long it has been overdue and its findings by severity; and whether the record chain is intact.
  - An activity that was never done has V(0) for its times and C(+Inf) for its overdue seconds, so that an alert on
    it fires.
  - When the records cannot be read, the file is replaced by one that says so with C(steward_records_readable 0),
    and the task fails.
extends_documentation_fragment:
  - steward.maintenance._attributes
  - steward.maintenance._records
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - The file is written again each time, because it holds the time of writing, by which you tell that it is
        fresh. It counts as changed only when more than the passing of time made it different.
options:
  path:
    description:
      - File to write, in the directory that the node exporter reads, with the ending C(.prom).
      - Debian's exporter reads C(/var/lib/prometheus/node-exporter).
      - It is replaced at once and is readable for everybody.
    type: path
    required: true
  catalogue:
    description:
      - The activities, merged from catalogue and overrides.
      - Each has C(name), C(guide) (section), C(every) (duration or V(event)) or C(every_seconds), C(available), and
        C(applies), which says whether it is for this host. Those that are not available or do not apply get no
        metrics.
    type: list
    elements: dict
    default: []
  host:
    description:
      - Name of the host in the records.
      - Empty means all records of the store, which is right for a store that holds those of one host only.
    type: str
    default: ''
seealso:
  - module: steward.maintenance.report
"""

EXAMPLES = r"""
- name: Write the metrics for the node exporter
  steward.maintenance.metrics:
    path: /var/lib/prometheus/node-exporter/steward.prom
    catalogue:
      - name: backup.database
        guide: "5.1"
        every: 1d
        available: true
        applies: true
"""

RETURN = r"""
verdict:
  description:
    - V(ok) when the file was written.
    - V(failed) when it could not be written, V(unknown) when the records could not be read; the task fails.
  returned: always
  type: str
  sample: ok
summary:
  description: What was written.
  returned: always
  type: str
  sample: "metrics of 6 activities written"
reason:
  description: Why nothing was written or what could not be read; else empty.
  returned: always
  type: str
  sample: ""
findings:
  description: Always empty; a finding of an activity belongs to that activity.
  returned: always
  type: list
  elements: dict
  sample: []
coverage:
  description: Activities with metrics, of those that are automated and apply to this host.
  returned: always
  type: dict
  sample: {"looked": 3, "of": 3}
path:
  description: The file.
  returned: always
  type: str
  sample: /var/lib/prometheus/node-exporter/steward.prom
figures:
  description: What was counted.
  returned: when the metrics could be made
  type: dict
  contains:
    activities_count:
      description: Activities that are automated and apply to this host.
      type: int
      returned: success
    metrics_bytes:
      description: Size of the file in bytes.
      type: int
      returned: success
  sample: {"activities_count": 6, "metrics_bytes": 9120}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import (
    RECORDS_ARGUMENTS,
    RecordsError,
    open_store,
)
from ansible_collections.steward.maintenance.plugins.module_utils._report.publish import publish_metrics


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **RECORDS_ARGUMENTS,
            "path": {"type": "path", "required": True},
            "catalogue": {"type": "list", "elements": "dict", "default": []},
            "host": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        store = open_store(wanted["records"], wanted["records_password"])
    except RecordsError as exc:
        module.fail_json(msg=str(exc))
    done = publish_metrics(store, wanted["path"], wanted["catalogue"], wanted["host"], module.check_mode)
    diff = {"before_header": wanted["path"], "after_header": wanted["path"], "before": done.before, "after": done.after}
    finish(module, done.result, done.changed, path=wanted["path"], diff=diff)


if __name__ == "__main__":
    main()
