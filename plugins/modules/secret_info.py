#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_info
version_added: 0.2.0
short_description: Tell how old secrets are and when they are due
description:
  - Asks a store when the current version of each secret was made. No value that is in use is read, but that of
    keys of tokens (O(secrets[].kind=jwt)); so for the others a token or key that may only list versions will do, and a
    store of files needs no private key. In a vault, what is pending
    lies in the data of a path of its own, which is read.
  - From 80 percent of the period on, a finding says that the secret is due soon. From 100 percent on, the verdict is
    V(failed).
  - A version that has been pending for more than 15 minutes is a finding, since a rotation stands still there.
  - A secret that cannot be looked at, or whose age is not known, makes the verdict V(unknown); the others are told all
    the same.
extends_documentation_fragment:
  - steward.maintenance._secrets.watched
  - steward.maintenance._attributes.info_module
seealso:
  - module: steward.maintenance.secret_rotate
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: See which secrets are due
  steward.maintenance.secret_info:
    store:
      kind: aws
      region: eu-central-1
    secrets:
      - name: shop/database
        period: 90d
      - name: shop/payment-api
        period: 365d
      - name: shop-jwt
        store:
          kind: files
          directory: /var/lib/steward/store
          recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudj7ccqsagh4vk]
          identity_file: /etc/steward/age.key
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(unknown) or V(failed). V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: 2 secrets, the oldest at 43 % of its period
reason:
  description: Which secret is overdue or could not be looked at, and why.
  returned: always
  type: str
  sample: ''
findings:
  description: Secrets that are due and rotations that stand still, each with C(id), C(severity), C(subject), C(message)
    and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name. Those of one secret have its name before a colon, and become
    metrics by M(steward.maintenance.metrics) when they are recorded.
  returned: always
  type: dict
  sample:
    secrets: 1
    oldest_percent: 43
    "shop/database:age_percent": 43
    "shop/database:created_timestamp_seconds": 1792289700
    "shop/database:due_timestamp_seconds": 1800065700
coverage:
  description: Secrets that could be looked at, of those that were asked for.
  returned: always
  type: dict
  sample: {looked: 2, of: 2}
secrets:
  description: What is known of each secret that could be looked at.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: shop/database
    place:
      description: Where it is, for people.
      type: str
      sample: secret shop/database in AWS Secrets Manager
    version:
      description: Identifier of the current version.
      type: str
      sample: 4f6c1d8e-0d0c-4a3e-9c1e-7d6a5f4e3b2a
    created:
      description: When the current version was made, in UTC.
      type: str
      sample: "2026-10-18T02:15:00Z"
    due:
      description: When it is to be another one, in UTC.
      type: str
      sample: "2027-01-16T02:15:00Z"
    age_seconds:
      description: Its age in seconds.
      type: int
      sample: 3369600
    period_seconds:
      description: How long it may be in use, in seconds.
      type: int
      sample: 7776000
    age_percent:
      description: How much of the period is over.
      type: int
      sample: 43
    stages:
      description: Which version bears which label; V(current), V(pending) and V(previous) are such.
      type: dict
      sample: {current: 4f6c1d8e-0d0c-4a3e-9c1e-7d6a5f4e3b2a}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.ages import look
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.arguments import (
    WATCHED_ARGUMENTS,
    watched_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import StoreError


def main() -> None:
    module = AnsibleModule(
        argument_spec=WATCHED_ARGUMENTS,
        supports_check_mode=True,
    )
    try:
        watched = watched_from(module.params)
    except (InputError, StoreError) as exc:
        module.fail_json(msg=str(exc))
    result, told = look(watched)
    finish(module, result, False, secrets=told)


if __name__ == "__main__":
    main()
