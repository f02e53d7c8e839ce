#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says which activities are due on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: activities_due
short_description: Say which activities of the Maintenance Guide are due on a host now
version_added: 0.1.0
description:
  - Reads the records of a host once and says which activities are due now, in a good order, and why the others are not.
  - The settings are checked before the host is contacted. A misspelt activity, key, duration, window or cadence is
    refused, naming the nearest right one.
  - A host that nothing in the catalogue applies to is not contacted at all.
  - An activity is due when its period since the last time it was done has passed. A tenth of the period, at most 12
    hours, early counts as due, so that a daily job does not wait a day more because it started some minutes earlier.
    Done means a verdict of V(ok) or V(findings). V(skipped) counts for one day at most. Check mode never counts.
  - After a verdict of V(failed) or V(unknown) it is tried again after one hour, then two, four and so on, up to its
    period.
  - The time that counts is the clock of the host.
extends_documentation_fragment:
  - steward.maintenance._attributes.info_module
  - steward.maintenance._records
options:
  activities:
    description: Differences to the catalogue of activities, as in the variable C(cycle_activities) of the role cycle.
    type: dict
    default: {}
  only:
    description: Names of the activities to consider; all when empty.
    type: list
    elements: str
    default: []
  cadence:
    description: Consider only activities whose period is of this cadence; all when empty.
    type: str
    choices: ['', daily, weekly, monthly, quarterly, annually]
    default: ''
  force:
    description: Do not wait for the period or for the pause after a failure. Freezes and windows hold all the same.
    type: bool
    default: false
  freezes:
    description:
      - Freeze periods, dictionaries with the keys C(reason), C(owner), C(end), and optionally C(start) and
        C(activities).
      - Without C(activities), a freeze stops all activities that change something. Those of change category V(none),
        such as backups and reviews, go on.
    type: list
    elements: dict
    default: []
  change_request:
    description: The approved change request, without which changes of category V(normal) and V(emergency) are not done.
    type: str
    default: ''
  deadline:
    description:
      - When the whole run is to be over, such as V(2026-12-24 18:00 Europe/Berlin) or V(2026-12-24T18:00:00Z); without
        a zone, UTC is meant. An activity whose window closes sooner has to stop sooner.
    type: str
    default: ''
    version_added: 0.2.0
  host:
    description: Name of the host in its records. The action plugin always gives the name in the inventory.
    type: str
    default: ''
seealso:
  - module: steward.maintenance.records_info
author:
  - The steward.maintenance authors (@steward-maintenance)
"""

EXAMPLES = r"""
- name: Ask what is due
  steward.maintenance.activities_due:
    activities:
      database.vacuum:
        every: 3d
        window: Sun 01:00-05:00 Europe/Paris
    freezes:
      - reason: Christmas sale
        owner: Head of sales
        start: 2026-12-18
        end: 2026-12-27 06:00 Europe/Paris
  register: plan

- name: Show it
  ansible.builtin.debug:
    var: plan.due
"""

RETURN = r"""
due:
  description:
    - What is due, in the order in which it is to be done. What is overdue comes first, else the order of the catalogue,
      and nothing comes before what it names as C(after).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the activity.
      type: str
    title:
      description: What a person calls it.
      type: str
    guide:
      description: Section of the Maintenance Guide.
      type: str
    type:
      description: Kind of maintenance.
      type: str
    every:
      description: Its period.
      type: str
    role:
      description: Role that does it.
      type: str
    entry:
      description: Entry of that role.
      type: str
    change:
      description: Change category.
      type: str
    owner:
      description: Who answers for it.
      type: str
    result_variable:
      description: Variable in which the role publishes its result.
      type: str
    reason:
      description: Why it is due.
      type: str
    overdue:
      description: Whether it was never done, failed last time, or is a whole period late.
      type: bool
    refused:
      description: The result to record instead when the change gate does not let it pass, else empty.
      type: dict
    deadline:
      description:
        - When it has to stop at the latest, in UTC by the clock of the host, because its window closes, a freeze begins
          or O(deadline) is reached; empty when nothing stops it.
      type: str
      sample: "2026-11-29T05:00:00Z"
    begin_by:
      description: The same moment by the clock of the controller. What has not begun by then is not begun any more.
      type: str
      sample: "2026-11-29T05:00:02Z"
deferred:
  description: What is not due now, and why.
  returned: success
  type: list
  elements: dict
  contains:
    activity:
      description: Name of the activity.
      type: str
    reason:
      description: Why not now.
      type: str
    until:
      description: When it is asked for again, in UTC; empty when no clock decides that.
      type: str
bad:
  description:
    - What did not end well last time and is not tried again now, and records whose chain is broken. A run with any of
      these must not look green.
  returned: success
  type: list
  elements: dict
  contains:
    activity:
      description: Name of the activity.
      type: str
    verdict:
      description: Its verdict.
      type: str
    is_bad:
      description: Always true here.
      type: bool
    line:
      description: Activity, verdict, reason, and when it is tried again, in one line.
      type: str
has_work:
  description: Whether there is anything in RV(due) or RV(bad).
  returned: success
  type: bool
chain:
  description: State of the chain of the records.
  returned: success
  type: dict
now:
  description: The time of the host, in UTC.
  returned: success
  type: str
clock_skew_seconds:
  description: How far the clock of the host is ahead of that of the controller.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now, write_time
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import (
    RECORDS_ARGUMENTS,
    RecordsError,
    open_store,
)
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.history import histories

ARGUMENTS = dict(
    RECORDS_ARGUMENTS,
    activities={"type": "dict", "default": {}},
    only={"type": "list", "elements": "str", "default": []},
    cadence={
        "type": "str",
        "choices": ["", "daily", "weekly", "monthly", "quarterly", "annually"],
        "default": "",
    },
    force={"type": "bool", "default": False},
    freezes={"type": "list", "elements": "dict", "default": []},
    change_request={"type": "str", "default": ""},
    deadline={"type": "str", "default": ""},
    host={"type": "str", "default": ""},
)


def main() -> None:
    """The part that runs on the host: the action plugin of the same name decides from what it answers."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        store = open_store(module.params["records"], module.params["records_password"])
        # Who cannot record must not act; check mode does neither.
        problem = "" if module.check_mode else store.check_writable()
        if problem:
            raise RecordsError(problem)
        records, chain = store.scan(module.params["host"] or None)
    except RecordsError as exc:
        module.fail_json(msg=f"nothing was done, because nothing could be recorded: {exc}")
    module.exit_json(
        changed=False,
        history=histories(records, module.params["only"]),
        chain=chain.to_dict(),
        now=write_time(utc_now()),
    )


if __name__ == "__main__":
    main()
