# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one rule for joining results, as a filter for roles that do several things."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result, ResultError, merge

DOCUMENTATION = r"""
name: merged_results
short_description: Joins the results of parts to the result of the whole
version_added: 0.1.0
description:
  - The worst verdict wins, findings concatenate, coverage and figures add up. It changed when a part of it changed.
author:
  - The steward.maintenance authors (@steward-maintenance)
options:
  _input:
    description: The results, as the modules of this collection return them. Other keys are left out.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Publish one result for two databases
  ansible.builtin.set_fact:
    shop_result: "{{ [orders_vacuumed, stock_vacuumed] | steward.maintenance.merged_results }}"
"""

RETURN = r"""
_value:
  description: The result shape, and C(changed).
  type: dict
"""


def merged_results(parts: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    try:
        whole = merge([Result.from_dict(part) for part in parts])
    except ResultError as exc:
        raise AnsibleFilterError(f"merged_results: {exc}") from exc
    return dict(whole.to_dict(), changed=any(part.get("changed") for part in parts))


class FilterModule:
    """Where Ansible looks for filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"merged_results": merged_results}
