# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of secrets of a project, checked as a whole and complete, for the role secret_rotation."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
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

_NEED = {
    *("consumers", "health_command", "health_status", "health_timeout", "health_url", "period"),
    "rotate_after_percent",
}
_OF_KEYS = {"disabled_for", "present_id", "present_secret", "provider", "quiet_for", "ready_timeout"}

#: The keys of an entry, by its kind: options of the modules, but for what the role or the run decides. A test compares
#: them with those. To ask the modules' arguments here would take a third of a second in each task that has this filter.
OPTIONS: dict[str, set[str]] = {
    DATABASE: {
        *_NEED,
        *("app_host", "app_port", "app_ssl_mode", "databases", "failed_logins_allowed", "failed_logins_log", "login"),
        *("observe_for", "observe_timeout", "old_sessions", "overlap", "owner", "password_length", "pools"),
        *("present_password", "present_user", "standby_timeout", "standbys", "test_statements", "users"),
    },
    JWT: {
        *_NEED,
        *("algorithm", "cache_life", "clock_skew", "present_secret", "signer_life", "token_life"),
    },
    API_KEY: {*_NEED, *_OF_KEYS},
    COMMAND: {*_NEED, *_OF_KEYS},
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
