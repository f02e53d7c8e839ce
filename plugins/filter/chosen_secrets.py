# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of secrets of a project, checked as a whole and complete, for the role secret_rotation."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import HEALTH_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation_arguments import ROLE_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.api_key_arguments import API_KEY_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.arguments import (
    CONSUMERS_ARGUMENT,
    ROTATION_ARGUMENTS,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.key_arguments import KEY_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.listing import (
    API_KEY,
    COMMAND,
    DATABASE,
    JWT,
    Listed,
    chosen_secrets,
)

DOCUMENTATION = r"""
name: chosen_secrets
short_description: The secrets of a project that a run works on
version_added: 0.2.0
description:
  - Checks a list of secrets as a whole, before any of them is touched, and returns those that are asked for, each with
    its store, its period and C(emergency), which says whether others know it.
author:
  - The steward.maintenance authors (@steward)
options:
  _input:
    description: The secrets, as in the variable C(secret_rotation_secrets) of the role secret_rotation.
    type: list
    elements: dict
    required: true
  store:
    description: The store of those that name none.
    type: dict
    default: {}
  periods:
    description: The period of those that name none, by kind.
    type: dict
    required: true
  kinds:
    description: The kinds that are asked for. C(database), C(jwt), C(api_key) and C(command) are such.
    type: list
    elements: str
    required: true
  only:
    description: Names of those that are asked for. Empty means all.
    type: list
    elements: str
    default: []
  compromised:
    description: Names of those that others know. Where there are any, only they are returned.
    type: list
    elements: str
    default: []
  host:
    description: On which host that is. A secret that names C(hosts) is only returned for the first of them, which
      leads; its C(elsewhere) are the others, and C(consumers_at) has the consumers of each. Empty returns all.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show which secrets of databases there are
  ansible.builtin.debug:
    msg: >-
      {{
        secret_rotation_secrets | steward.maintenance.chosen_secrets(store=secret_rotation_store,
        periods={'database': '90d', 'jwt': '90d', 'api_key': '365d', 'command': '365d'}, kinds=['database'])
        | map(attribute='name')
      }}
"""

RETURN = r"""
_value:
  description: The entries, complete. Some hold secrets, so they are not for showing.
  type: list
  elements: dict
"""

#: What the role or the run decides, and no entry.
_NOT_OF_ENTRIES = {"name", "period", "force", "state_dir", "emergency", "rollback", "elsewhere", "taken_up"}
_NEED = {"period", "rotate_after_percent", *CONSUMERS_ARGUMENT, *HEALTH_ARGUMENTS}

#: The keys of an entry, by its kind.
OPTIONS: dict[str, set[str]] = {
    DATABASE: {"login", *_NEED, *(set(ROTATION_ARGUMENTS) - _NOT_OF_ENTRIES), *ROLE_ARGUMENTS},
    JWT: {*_NEED, *(set(KEY_ARGUMENTS) - _NOT_OF_ENTRIES)},
    API_KEY: {*_NEED, *(set(API_KEY_ARGUMENTS) - _NOT_OF_ENTRIES)},
    COMMAND: {*_NEED, *(set(API_KEY_ARGUMENTS) - _NOT_OF_ENTRIES)},
}


def filtered(
    entries: t.Any,
    store: t.Mapping[str, t.Any] | None = None,
    periods: t.Mapping[str, str] | None = None,
    kinds: t.Sequence[str] = (),
    only: t.Sequence[str] = (),
    compromised: t.Sequence[str] = (),
    host: str = "",
) -> list[dict[str, t.Any]]:
    try:
        return chosen_secrets(entries, Listed(store or {}, periods or {}, OPTIONS), kinds, only, compromised, host)
    except InputError as exc:
        raise AnsibleFilterError(str(exc)) from None


class FilterModule:
    """Where Ansible looks for filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"chosen_secrets": filtered}
