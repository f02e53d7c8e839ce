# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of one certificate on all hosts that serve it, for the role certificate_rotation."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.several_hosts import result_of_hosts

DOCUMENTATION = r"""
name: result_of_hosts
short_description: What came of one certificate on all hosts that serve it
version_added: 0.2.0
description:
  - Holds what each host has, uses and serves, as M(steward.maintenance.certificate_info) saw it, against the
    certificate that was issued. A host that could not be asked makes it V(unknown), one that has or serves another
    certificate makes it V(failed); either is a finding with the name of the host.
author:
  - The steward.maintenance authors (@steward)
options:
  _input:
    description: What M(steward.maintenance.certificate_issue) returned.
    type: dict
    required: true
  name:
    description: The name of the certificate.
    type: str
    required: true
  hosts:
    description: All hosts that serve it, in the order in which it is brought to them.
    type: list
    elements: str
    required: true
  told:
    description: By host, what was said last of bringing it there and into use.
    type: dict
    required: true
  looks:
    description:
      - What M(steward.maintenance.certificate_info) returned on each host, asked for the file that lies there, the file
        in use and the listeners; the C(results) of a loop over O(hosts).
    type: list
    elements: dict
    required: true
  left:
    description: The C(results) of taking challenges away again.
    type: list
    elements: dict
    default: []
  check:
    description: Whether nothing was to be changed.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: See whether all hosts serve it
  ansible.builtin.set_fact:
    shop_result: >-
      {{ issued | steward.maintenance.result_of_hosts('www', ['web1', 'web2'], told=deployed, looks=looked.results) }}
"""

RETURN = r"""
_value:
  description: The result shape, C(changed), and C(complete), which says whether each host has, uses and serves it.
  type: dict
"""


def filtered(
    issued: t.Any,
    name: str,
    hosts: t.Sequence[str],
    told: t.Mapping[str, t.Any],
    looks: t.Sequence[t.Any],
    left: t.Sequence[t.Any] = (),
    check: bool = False,
) -> dict[str, t.Any]:
    if not isinstance(issued, t.Mapping) or not all(isinstance(each, t.Mapping) for each in (*looks, *left)):
        raise AnsibleFilterError("result_of_hosts: what is given are no results of tasks")
    failed = [each for each in left if each.get("failed") or each.get("unreachable")]
    by_host = {host: looks[number] for number, host in enumerate(hosts) if number < len(looks)}
    return result_of_hosts(str(name), issued, list(hosts), told, by_host, failed, bool(check))


class FilterModule:
    """Where Ansible looks for filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"result_of_hosts": filtered}
