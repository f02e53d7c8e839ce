# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a window is open now, for roles that do one part of their work in a window of its own."""

from __future__ import annotations

import datetime
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import parse_time, utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._core.windows import parse_window

DOCUMENTATION = r"""
name: window_is_open
short_description: Whether a maintenance window is open
version_added: 0.2.0
description:
  - Goes by the clock of the controller. An empty window is always open.
author:
  - The steward.maintenance authors (@steward-maintenance)
positional: at
options:
  _input:
    description: The window, such as V(Sun 01:00-05:00 Europe/Paris); several with C(;) between them.
    type: str
    required: true
  at:
    description: The moment to ask of, in UTC, such as V(2026-11-29T01:30:00Z). Empty means now.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Reboot in the window only
  ansible.builtin.reboot:
  when: "'Sun 01:00-05:00 Europe/Paris' | steward.maintenance.window_is_open"
"""

RETURN = r"""
_value:
  description: Whether it is open.
  type: bool
"""


def window_is_open(window: str, at: str = "") -> bool:
    try:
        moment: datetime.datetime = parse_time(at) if at else utc_now()
        return not window or parse_window(window).is_open(moment)
    except InputError as exc:
        raise AnsibleFilterError(f"window_is_open: {exc}") from exc


class FilterModule:
    """Where Ansible looks for filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"window_is_open": window_is_open}
