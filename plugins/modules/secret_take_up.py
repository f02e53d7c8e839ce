#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_take_up
version_added: 0.2.0
short_description: Bring the current version of a secret to its consumers on this host
description:
  - Reads what the store gives out now, writes it into the consumers' files, has them take it up, and sees that they
    use it. The host on which the secret is rotated waits for that on all other hosts before it closes the old secret.
  - Whoever was seen to use this version before, and has it still, is not told again.
  - It makes no version and closes none, so it also follows a rotation that was taken back.
  - For V(database), the secret first has to log in from this host; else nobody is given it.
  - A consumer that fails has what it was given, and C(version) stays empty, so that the old secret stays open.
options:
  name:
    description: Name or ARN of the secret (V(aws)), path below the mount (V(vault)), or name (V(files)).
    type: str
    required: true
  kind:
    description: What it is, as in the role secret_rotation.
    type: str
    required: true
    choices: [database, jwt, api_key, command]
  users:
    description: For V(database), as in M(steward.maintenance.secret_rotate).
    type: list
    elements: str
    default: []
  owner:
    description: For V(database) with two O(users), the role as which both act.
    type: str
    default: ''
  databases:
    description: For V(database), the databases that the application logs in to, its main one first.
    type: list
    elements: str
    default: []
  app_host:
    description: For V(database), where the application logs in from this host. Empty means as O(login_host).
    type: str
    default: ''
  app_port:
    description: For V(database), the port there. V(0) means O(login_port).
    type: int
    default: 0
  app_ssl_mode:
    description: For V(database), the C(sslmode) there. Empty means O(ssl_mode).
    type: str
    default: ''
    choices: ['', disable, allow, prefer, require, verify-ca, verify-full]
  state_dir:
    description:
      - Directory with a note of what was seen in use here.
      - Empty means C(secrets) beside the records, which is C(/var/lib/steward/secrets) for root.
    type: path
    default: ''
extends_documentation_fragment:
  - steward.maintenance._secrets
  - steward.maintenance._secrets.consumers
  - steward.maintenance._postgres
  - steward.maintenance._application.health
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_postgres
attributes:
  check_mode:
    support: full
    details:
      - Reads the store and the files, and logs in nowhere.
  diff_mode:
    support: none
    details:
      - What would change is a secret.
  idempotent:
    support: full
notes:
  - O(login_user) is asked for the sessions of consumers with O(consumers[].prove_sessions), and else for nothing.
seealso:
  - module: steward.maintenance.secret_rotate
  - module: steward.maintenance.secret_rotate_jwt
  - module: steward.maintenance.secret_rotate_key
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Have the worker of another host take up the shop's current password
  steward.maintenance.secret_take_up:
    name: shop/database
    kind: database
    store:
      kind: vault
      url: https://vault.example.com:8200
      token_file: /etc/steward/vault.token
    login_host: db.example.com
    users: [shop_a, shop_b]
    owner: shop
    databases: [shop]
    consumers:
      - name: worker
        files:
          - path: /etc/shop/worker.env
            kind: env
            values:
              DB_USER: "{username}"
              DB_PASSWORD: "{password}"
        commands: [[systemctl, restart, shop-worker]]
        processes: [systemctl, show, --property, MainPID, --value, shop-worker]
  delegate_to: worker1.example.com
"""

RETURN = r"""
verdict:
  description: V(ok), V(unknown) or V(failed). V(unknown) and V(failed) fail the task. V(unknown) is that another run is
    at work.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: "version 4f6c1d8e-0d0c-4a3e-9c1e-7d6a5f4e3b2a is in use here, told: worker"
reason:
  description: Which consumer does not use it, and why.
  returned: always
  type: str
  sample: ''
findings:
  description: Always empty.
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name.
  returned: always
  type: dict
  sample: {duration_seconds: 2.1}
coverage:
  description: Whether it was seen.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
version:
  description: Identifier of the version that was seen in use here. Empty when it was not.
  returned: always
  type: str
  sample: 4f6c1d8e-0d0c-4a3e-9c1e-7d6a5f4e3b2a
written:
  description: The consumers' files that were written, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [/etc/shop/worker.env]
told:
  description: The consumers that were told to take it up.
  returned: always
  type: list
  elements: str
  sample: [worker]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import HEALTH_ARGUMENTS, health_from
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    LOGIN_ARGUMENTS,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation import DatabasePassword
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation_arguments import (
    PLACE_ARGUMENTS,
    place_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.arguments import (
    CONSUMERS_ARGUMENT,
    STORE_ARGUMENTS,
    TAKE_UP_ARGUMENTS,
    consumers_from,
    state_directory,
    store_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.listing import DATABASE, JWT
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import StoreError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.take_up import (
    ApiKey,
    TakeUpOutcome,
    TakeUpWork,
    TokenKeys,
    Use,
    take_up,
)


def _use_from(params: t.Mapping[str, t.Any]) -> Use:
    kind = params["kind"]
    if kind == DATABASE:
        return DatabasePassword(login_from(params), place_settings_from(params))
    for consumer in params["consumers"]:
        if consumer["prove_sessions"]:
            raise InputError(f"consumers: {consumer['name']!r} has prove_sessions, which is for passwords of databases")
    return TokenKeys() if kind == JWT else ApiKey()


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **STORE_ARGUMENTS,
            **TAKE_UP_ARGUMENTS,
            **CONSUMERS_ARGUMENT,
            **PLACE_ARGUMENTS,
            **HEALTH_ARGUMENTS,
        ),
        supports_check_mode=True,
    )
    params = module.params
    outcome = TakeUpOutcome()
    try:
        work = TakeUpWork(
            store=store_from(params["store"], params["name"]),
            use=_use_from(params),
            consumers=consumers_from(params["consumers"]),
            health=health_from(params),
            state_dir=state_directory(params["state_dir"]),
        )
        result = take_up(work, module.check_mode, outcome)
    except (InputError, StoreError) as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
