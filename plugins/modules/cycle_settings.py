#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin cycle_settings, which does all of it on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cycle_settings
short_description: Check the settings of the maintenance cycle of all hosts before any of them is touched
version_added: 0.1.0
description:
  - Looks at the variables of the role cycle of all hosts of the play, on the controller, and contacts no host.
  - A misspelt activity, key, duration, window, freeze or cadence is refused, and so is a misspelt variable whose name
    begins with C(cycle_) or C(maintenance_). The message names the variable, the key, the value, the hosts and the
    nearest right word, because a slip of the pen must never mean that there is nothing to do.
  - Fails when no activity of the catalogue applies to any host of the play.
  - Run it once, with C(run_once). When it fails, the play ends for all hosts.
extends_documentation_fragment:
  - steward.maintenance._attributes.info_module
options: {}
seealso:
  - module: steward.maintenance.activities_due
author:
  - The steward.maintenance authors (@steward-maintenance)
"""

EXAMPLES = r"""
- name: Check the settings of all hosts before any of them is touched
  steward.maintenance.cycle_settings:
  run_once: true
"""

RETURN = r"""
absent:
  description: One sentence for each group that the catalogue wants and that has no host in this play.
  returned: success
  type: list
  elements: str
  sample:
    - "no host of this run is in the group 'control', which is empty: support.level1 not done"
"""
