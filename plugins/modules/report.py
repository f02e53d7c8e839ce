#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Write the maintenance report as one HTML page
version_added: 0.1.0
author:
  - The steward.maintenance authors (@steward-maintenance)
description:
  - Writes what is overdue, what was found and what was done on all hosts, and a row for every activity of the
    maintenance guide, as one HTML page that needs no network and no script.
  - The page is made from what M(steward.maintenance.records_info) registered on each host and from nothing else.
    A host whose records were not read is shown as unknown.
  - Run it once, on the host that keeps the page. It runs with an action plugin that collects the variables of the
    other hosts on the controller and sends them as a file, because those of a large fleet are too much for
    arguments.
extends_documentation_fragment:
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The difference is that of the page's text, without markup and ages.
  idempotent:
    support: full
    details:
      - The page is written again each time, so that the ages in it are true. It counts as changed only when more
        than the passing of time made it different.
options:
  path:
    description:
      - File to write. Its directory must exist.
      - It is replaced at once and is readable for everybody.
    type: path
    required: true
  title:
    description: Title of the page.
    type: str
    default: Maintenance report
  catalogue:
    description:
      - The activities, merged from catalogue and overrides.
      - Each has C(name), C(title), C(guide) (section), C(every) (duration or V(event)), C(hosts) (group),
        C(available), C(owner) and C(type).
    type: list
    elements: dict
    default: []
  groups:
    description:
      - Inventory groups with the names of their hosts.
      - Left out, those of the inventory.
    type: dict
  hosts:
    description:
      - Names of the hosts to report on.
      - Left out, all hosts of the inventory.
    type: list
    elements: str
  fact:
    description:
      - Name of the variable in which each host registered the result of M(steward.maintenance.records_info) with
        O(steward.maintenance.records_info#module:summary=true).
      - A host without it is shown as not in this run.
    type: str
    default: steward_records
  generated:
    description:
      - Time that the page says it was written at, as in V(2026-11-23T05:13:39Z).
      - Left out, now.
    type: str
    default: ''
  data:
    description:
      - File on the managed host with the collected data.
      - Set by the action plugin, not by hand.
    type: path
seealso:
  - module: steward.maintenance.metrics
  - module: steward.maintenance.records_info
"""

EXAMPLES = r"""
- name: Read the records of all hosts
  hosts: all
  gather_facts: false
  tasks:
    - name: Summarise the records
      steward.maintenance.records_info:
        summary: true
      register: steward_records

- name: Report on them
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Write the page
      steward.maintenance.report:
        path: /var/www/html/maintenance.html
        title: Maintenance of the shop
        catalogue: "{{ maintenance_catalogue }}"
"""

RETURN = r"""
verdict:
  description:
    - V(ok) when the file was written.
    - V(failed) when it could not be written; the task fails.
  returned: always
  type: str
  sample: ok
summary:
  description: The headline of the page.
  returned: always
  type: str
  sample: "3 hosts, none needs attention"
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
  description: Hosts that have a place on the page, of all that were asked for.
  returned: always
  type: dict
  sample: {"looked": 3, "of": 3}
path:
  description: The file.
  returned: always
  type: str
  sample: /var/www/html/maintenance.html
figures:
  description: What was counted.
  returned: when the page could be made
  type: dict
  contains:
    hosts_count:
      description: Hosts on the page.
      type: int
      returned: success
    hosts_unreadable_count:
      description: Hosts whose records were not read.
      type: int
      returned: success
    hosts_attention_count:
      description: Hosts that need somebody's attention.
      type: int
      returned: success
    overdue_count:
      description: Activities on hosts that are overdue.
      type: int
      returned: success
    findings_count:
      description: Findings that still stand.
      type: int
      returned: success
    page_bytes:
      description: Size of the page in bytes.
      type: int
      returned: success
  sample: {"hosts_count": 3, "hosts_unreadable_count": 0, "hosts_attention_count": 0}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._report.publish import publish_report


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "title": {"type": "str", "default": "Maintenance report"},
            "catalogue": {"type": "list", "elements": "dict", "default": []},
            "groups": {"type": "dict"},
            "hosts": {"type": "list", "elements": "str"},
            "fact": {"type": "str", "default": "steward_records"},
            "generated": {"type": "str", "default": ""},
            "data": {"type": "path"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    if not wanted["data"]:
        module.fail_json(msg="there is no data: this module runs through its action plugin, which collects it")
    done = publish_report(wanted["data"], wanted["path"], wanted["title"], wanted["generated"], module.check_mode)
    diff = {"before_header": wanted["path"], "after_header": wanted["path"], "before": done.before, "after": done.after}
    finish(module, done.result, done.changed, path=wanted["path"], diff=diff)


if __name__ == "__main__":
    main()
