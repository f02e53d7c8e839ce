# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module, or Ansible itself, says of one secret, named so that it can stand beside that of others."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.steward.maintenance.plugins.module_utils._secrets.listing import of_secret

DOCUMENTATION = r"""
name: result_of_secret
short_description: The result of one secret among those of others
version_added: 0.2.0
description:
  - Names the secret in summary, reason and figures, so that they can be joined with those of other secrets. A task that
    failed without a result is one that failed.
author:
  - The steward.maintenance authors (@steward)
options:
  _input:
    description: What a module of this collection returned, or a failed task.
    type: dict
    required: true
  name:
    description: The name of the secret.
    type: str
    required: true
positional: name
"""

EXAMPLES = r"""
- name: Publish one result for two secrets
  ansible.builtin.set_fact:
    shop_result: >-
      {{
        [password | steward.maintenance.result_of_secret('shop-database'),
        key | steward.maintenance.result_of_secret('shop-backup')] | steward.maintenance.merged_results
      }}
"""

RETURN = r"""
_value:
  description: The result shape, and C(changed).
  type: dict
"""


def filtered(told: t.Any, name: str) -> dict[str, t.Any]:
    if not isinstance(told, t.Mapping):
        raise AnsibleFilterError("result_of_secret: what is given is no result of a task")
    return of_secret(told, str(name))


class FilterModule:
    """Where Ansible looks for filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"result_of_secret": filtered}
