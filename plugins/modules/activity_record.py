#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin activity_record, which calls the module record on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: activity_record
short_description: Record what an activity of the maintenance cycle has to show for itself
version_added: 0.1.0
description:
  - Joins what the role of an activity published, or how it failed, into one result, and records it on the host with
    M(steward.maintenance.record).
  - A role that fails is recorded as V(failed) with the reason that its task gave. A role that publishes nothing has
    proved nothing and is recorded as V(failed) too.
  - The role cycle is the only one that needs it.
extends_documentation_fragment:
  - steward.maintenance._attributes
  - steward.maintenance._records
attributes:
  check_mode:
    support: full
    details:
      - Returns the outcome and records nothing.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run appends one record.
options:
  activity:
    description: The activity, as it is in RV(steward.maintenance.activities_due#module:due).
    type: dict
    required: true
  started:
    description: When it was started, in UTC, by the clock of the controller.
    type: str
    required: true
  clock_skew_seconds:
    description: How far the clock of the host is ahead of that of the controller.
    type: int
    default: 0
  published:
    description: The result that the role published.
    type: dict
    default: {}
  failure:
    description: The result of the task that failed, with its name as C(task).
    type: dict
    default: {}
  change_request:
    description: The change request under which it was done.
    type: str
    default: ''
seealso:
  - module: steward.maintenance.activities_due
  - module: steward.maintenance.record
author:
  - The steward.maintenance authors (@steward-maintenance)
"""

EXAMPLES = r"""
- name: Record it
  steward.maintenance.activity_record:
    activity: "{{ plan.due[0] }}"
    started: "2026-11-23T05:13:39Z"
    published: "{{ postgres_maintenance_result }}"
"""

RETURN = r"""
verdict:
  description: Verdict of the activity. The task itself fails only when it could not be recorded.
  returned: when it was recorded, and in check mode
  type: str
summary:
  description: One sentence for a person.
  returned: when it was recorded, and in check mode
  type: str
reason:
  description: Why it was skipped, is unknown or failed; else empty.
  returned: when it was recorded, and in check mode
  type: str
findings:
  description: What somebody should know about.
  returned: when it was recorded, and in check mode
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name.
  returned: when it was recorded, and in check mode
  type: dict
coverage:
  description: How many of the things to look at were looked at, as C(looked) and C(of).
  returned: when it was recorded, and in check mode
  type: dict
done:
  description: What was done one by one, where the activity tells it.
  returned: when the activity published any
  type: list
  elements: dict
outcome:
  description: How the activity ended, as it is told at the end of the run.
  returned: when it was recorded, and in check mode
  type: dict
  contains:
    activity:
      description: Name of the activity.
      type: str
    verdict:
      description: Its verdict.
      type: str
    is_bad:
      description: Whether the run must not look green.
      type: bool
    line:
      description: Activity, verdict, summary and reason in one line.
      type: str
"""
