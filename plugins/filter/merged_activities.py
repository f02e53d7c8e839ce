# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole catalogue as data, for reports and metrics."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.catalogue import (
    load_catalogue,
    merge_catalogue,
)

DOCUMENTATION = r"""
name: merged_activities
short_description: The whole catalogue of activities with the differences of a project
version_added: 0.1.0
description:
  - Returns every activity of the Maintenance Guide, in its order, also those that are not automated yet.
author:
  - The steward.maintenance authors (@steward-maintenance)
options:
  _input:
    description: The differences to the catalogue, as in the variable C(cycle_activities) of the role cycle.
    type: dict
    required: true
  groups:
    description: The groups of the host that sees them, which decides what C(applies).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what this project vacuums, and how often
  ansible.builtin.debug:
    msg: "{{ cycle_activities | steward.maintenance.merged_activities | selectattr('name', 'eq', 'database.vacuum') }}"
"""

RETURN = r"""
_value:
  description: The activities, each with its name, the keys of the catalogue, C(every_seconds) and C(applies).
  type: list
  elements: dict
"""


def merged_activities(differences: t.Any, groups: t.Collection[str] = ()) -> list[dict[str, t.Any]]:
    try:
        merged = merge_catalogue(load_catalogue(), differences)
        return [activity.to_dict(groups) for activity in merged.values()]
    except InputError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """Where Ansible looks for filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"merged_activities": merged_activities}
