# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates in which a host has a part, checked as a whole, for the role certificate_rotation."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.several_hosts import chosen_certificates
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError

DOCUMENTATION = r"""
name: chosen_certificates
short_description: The certificates in which a host has a part
version_added: 0.2.0
description:
  - Checks the hosts of all entries, before anything is issued, and returns those that a host serves, each with
    C(hosts), C(alone), which says that it is on no other host, and C(leads), which says that this host has it issued.
author:
  - The steward.maintenance authors (@steward)
options:
  _input:
    description: The entries, as in the variable C(certificate_rotation_certificates) of the role certificate_rotation.
    type: list
    elements: dict
    required: true
  host:
    description: On which host that is.
    type: str
    required: true
  known:
    description: All hosts of the inventory.
    type: list
    elements: str
    required: true
positional: host, known
"""

EXAMPLES = r"""
- name: Show which certificates this host has issued
  ansible.builtin.debug:
    msg: >-
      {{
        certificate_rotation_certificates | steward.maintenance.chosen_certificates(inventory_hostname, groups.all)
        | selectattr('leads') | map(attribute='name')
      }}
"""

RETURN = r"""
_value:
  description: The entries in which the host has a part.
  type: list
  elements: dict
"""


def filtered(entries: t.Any, host: str, known: t.Sequence[str]) -> list[dict[str, t.Any]]:
    try:
        return chosen_certificates(entries, str(host), [str(one) for one in known])
    except InputError as exc:
        raise AnsibleFilterError(str(exc)) from None


class FilterModule:
    """Where Ansible looks for filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"chosen_certificates": filtered}
