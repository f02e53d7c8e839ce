# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a loop whose items stop each other by nothing: what failed without a result is one that failed."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result

DOCUMENTATION = r"""
name: loop_results
short_description: The results of a loop, with those of items that failed before there was one
version_added: 0.2.0
description:
  - Of a loop that goes on whatever becomes of an item, the results in the shape of this collection. What was skipped is
    left out. An item that failed without a result, such as one with an option that cannot be right, has one that says
    so and names the item.
author:
  - The steward.maintenance authors (@steward)
options:
  _input:
    description: The C(results) of a registered loop.
    type: list
    elements: dict
    required: true
  item:
    description: The loop variable, whose C(name) tells the item.
    type: str
    default: item
positional: item
"""

EXAMPLES = r"""
- name: Publish one result for all certificates
  ansible.builtin.set_fact:
    shop_result: "{{ issued.results | steward.maintenance.loop_results | steward.maintenance.merged_results }}"
"""

RETURN = r"""
_value:
  description: The result shape of each, and C(changed).
  type: list
  elements: dict
"""


def loop_results(told: t.Any, item: str = "item") -> list[dict[str, t.Any]]:
    if not isinstance(told, t.Sequence) or not all(isinstance(each, t.Mapping) for each in told):
        raise AnsibleFilterError("loop_results: what is given are not the results of a loop")
    return [_result(each, item) for each in told if not each.get("skipped")]


def _result(told: t.Mapping[str, t.Any], item: str) -> dict[str, t.Any]:
    if "verdict" in told:
        return dict(told)
    looped = told.get(item)
    name = looped.get("name") if isinstance(looped, t.Mapping) else None
    reason = f"{name or looped}: {told.get('msg') or 'it failed and said nothing'}"
    return dict(Result("failed", f"nothing was done for {name or looped}", reason, of=1).to_dict(), changed=False)


class FilterModule:
    """Where Ansible looks for filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"loop_results": loop_results}
