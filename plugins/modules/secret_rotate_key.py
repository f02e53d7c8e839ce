#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_rotate_key
version_added: 0.2.0
short_description: Rotate an API key of which two can be live at the same time
description:
  - Makes a second key when the one in use is due, and in eight steps has it take the place of the first. C(create)
    makes it and stores it as pending; C(test) uses it; C(finish) makes it the current one in the store; C(reload) gives
    it to the consumers and sees that they use it; C(observe) waits until somebody was seen to use it, and nobody the
    old one; C(disable) closes that; C(rest) waits whether anybody misses it; C(delete) deletes it.
  - A run makes the steps whose time has come, and ends. It says what is waited for. Run it often, say daily; a run that
    comes late makes the waits longer, and nothing else.
  - Until the old key is deleted, a step that fails has all taken back. The old key is then open, current and with all
    consumers, and the new one is deleted. A run that was killed is taken up by the next one.
  - There is never a third key. A second one that the store knows nothing of stops it, but for one that a killed run
    of this host has made and that nobody has used, since its secret is lost.
  - The old key is not deleted before the new one was seen in use since the consumers got it.
  - V(aws_iam) has access keys of an IAM user, and needs boto3. V(command) has keys of any service, by your commands.
options:
  name:
    description: Name or ARN of the secret (V(aws)), path below the mount (V(vault)), or name (V(files)). Its value is a
      JSON object with C(access_key_id) and C(secret_access_key) (V(aws_iam)), or C(id) and C(secret) (V(command)); what
      else is in it is kept.
    type: str
    required: true
  provider:
    description: The service whose key it is. Options of another kind than O(provider.kind) are refused.
    type: dict
    required: true
    suboptions:
      kind:
        description: V(aws_iam), or V(command).
        type: str
        required: true
        choices: [aws_iam, command]
      user:
        description:
          - For V(aws_iam), the user whose key it is. The credentials need C(iam:ListAccessKeys),
            C(iam:CreateAccessKey), C(iam:UpdateAccessKey), C(iam:DeleteAccessKey) and C(iam:GetAccessKeyLastUsed), and
            must be others than the key itself.
        type: str
        default: ''
      region:
        description: For V(aws_iam), the region. Empty leaves it to the SDK.
        type: str
        default: ''
      endpoint_url:
        description: For V(aws_iam), another endpoint than those of IAM and STS.
        type: str
        default: ''
      access_key:
        description: For V(aws_iam), the access key that asks. Empty leaves the credentials to the SDK.
        type: str
        default: ''
      secret_key:
        description: For V(aws_iam), the secret key that belongs to it.
        type: str
        default: ''
      session_token:
        description: For V(aws_iam), the session token of temporary credentials.
        type: str
        default: ''
      profile:
        description: For V(aws_iam), a profile of the SDK's files.
        type: str
        default: ''
      ca_cert:
        description: For V(aws_iam), a file with the certificates of the authorities that are trusted.
        type: path
        default: ''
      list:
        description:
          - For V(command), a command that prints all keys as a JSON list, each with C(id) and C(active), and C(created)
            and C(last_used) as times in UTC (like V(2026-01-31T10:00:00Z)) or null.
          - Commands are lists of words. No shell reads them.
          - Without C(last_used) it cannot be seen who uses which key, so the old one is never closed.
        type: list
        elements: str
        default: []
      create:
        description: For V(command), a command that makes a key and prints it as a JSON object with C(id) and C(secret).
        type: list
        elements: str
        default: []
      check:
        description: For V(command), a command that reads a JSON object with C(id) and C(secret), uses the key, and ends
          with status 0 when it is let in, with 1 when it is not. Any other status means that it could not look.
        type: list
        elements: str
        default: []
      enable:
        description: For V(command), a command that opens the key C({id}) again.
        type: list
        elements: str
        default: []
      disable:
        description: For V(command), a command that closes the key C({id}).
        type: list
        elements: str
        default: []
      delete:
        description: For V(command), a command that deletes the key C({id}).
        type: list
        elements: str
        default: []
      timeout:
        description: How many seconds an answer or a command may take, from 1 to 3600.
        type: int
        default: 20
  present_id:
    description: The identifier of the key that is in use now, for a store that has none yet.
    type: str
    default: ''
  present_secret:
    description: Its secret. It is stored when the key was let in. With a store that has one, it is not looked at.
    type: str
    default: ''
  ready_timeout:
    description: How long a new key may take until it is let in.
    type: str
    default: 1m
  quiet_for:
    description:
      - How long nobody may have used the old key before it is closed, counted from the moment at which the consumers
        had the new one. As long as the longest pause between two uses of those who are no O(consumers).
      - AWS tells uses late and to the minute, so an hour at least.
    type: str
    default: 1d
  disabled_for:
    description: How long the old key is closed before it is deleted.
    type: str
    default: 7d
  period:
    description: How long a key may be in use. Its age is what the service tells, else that of the store's version.
    type: str
    default: 365d
  rotate_after_percent:
    description: It is rotated from so much of the O(period) on, from 1 to 100.
    type: int
    default: 80
  force:
    description: Rotate it now, however young it is. The waits stay as they are.
    type: bool
    default: false
  emergency:
    description: Rotate it now, for a key that others know. The old one is closed and deleted as soon as the consumers
      have the new one, without any wait, and is not opened again when something fails after that.
    type: bool
    default: false
  rollback:
    description: Take back the rotation that this host has left open, instead of going on with it.
    type: bool
    default: false
  state_dir:
    description:
      - Directory of the journals, from which a run that was killed is taken up. Always the same one for a secret.
      - Empty means C(secrets) beside the records, which is C(/var/lib/steward/secrets) for root.
    type: path
    default: ''
extends_documentation_fragment:
  - steward.maintenance._secrets
  - steward.maintenance._secrets.consumers
  - steward.maintenance._secrets.elsewhere
  - steward.maintenance._application.health
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - Tells all steps, also those whose time has not come.
  diff_mode:
    support: full
    details:
      - The diff shows identifiers of keys, never a secret.
  idempotent:
    support: full
    details:
      - Not with O(force=true) or O(emergency=true).
notes:
  - O(consumers[].prove_sessions) and the kind V(userlist) are for passwords, and refused here. Fields of files are what
    the store's value has, such as C({access_key_id}) and C({secret_access_key}).
  - When the new key is tried, the service counts that as use; only uses after C(reload) are taken for those of the
    application.
seealso:
  - module: steward.maintenance.secret_rotate
  - module: steward.maintenance.secret_info
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Rotate the key with which the shop writes its backups, daily
  steward.maintenance.secret_rotate_key:
    name: shop/backup-key
    store:
      kind: aws
      region: eu-central-1
    provider:
      kind: aws_iam
      user: shop-backup
    consumers:
      - name: backup
        files:
          - path: /etc/shop/backup.env
            kind: env
            values:
              AWS_ACCESS_KEY_ID: "{access_key_id}"
              AWS_SECRET_ACCESS_KEY: "{secret_access_key}"

- name: Replace a key of the payment service that somebody has seen, at once
  steward.maintenance.secret_rotate_key:
    name: shop-payment
    store:
      kind: files
      directory: /var/lib/steward/store
      recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudj7ccqsagh4vk]
      identity_file: /etc/steward/age.key
    provider:
      kind: command
      list: [/usr/local/bin/payment-keys, list]
      create: [/usr/local/bin/payment-keys, create]
      check: [/usr/local/bin/payment-keys, check]
      enable: [/usr/local/bin/payment-keys, enable, "{id}"]
      disable: [/usr/local/bin/payment-keys, disable, "{id}"]
      delete: [/usr/local/bin/payment-keys, delete, "{id}"]
    emergency: true
"""

RETURN = r"""
missing_hosts:
  description: Those of O(elsewhere) that have not been seen to use what is current.
  returned: always
  type: list
  elements: str
  sample: []
stays_open:
  description: Whether a later run goes on with this rotation.
  returned: always
  type: bool
verdict:
  description: V(ok), V(findings), V(unknown) or V(failed). V(unknown) and V(failed) fail the task. V(unknown) is that
    another run is at work, or that the service does not tell who uses which key.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: AKIAEXAMPLETWO took the place of AKIAEXAMPLEONE, which is deleted
reason:
  description: Which step failed and why.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action). Who
    has not moved to the new key after twice O(quiet_for) is one.
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name.
  returned: always
  type: dict
  sample: {duration_seconds: 3.1, wait_seconds: 86391}
coverage:
  description: Whether the key was looked at.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
rotated:
  description: Whether a new key is in use, even if the old one is not deleted yet.
  returned: always
  type: bool
key:
  description: Identifier of the key that is current now.
  returned: always
  type: str
  sample: AKIAEXAMPLETWO
old_key:
  description: Identifier of the key that was current before. Empty when there is no rotation.
  returned: always
  type: str
  sample: AKIAEXAMPLEONE
version:
  description: Identifier of the version that is current now in the store.
  returned: always
  type: str
  sample: 4f6c1d8e-0d0c-4a3e-9c1e-7d6a5f4e3b2a
waits_for:
  description: What is waited for. V(use) of the new key, quiet of the old one before it is closed (V(disable)), the end
    of its rest before it is deleted (V(delete)), other hosts (V(hosts)), or nothing that could be seen (V(unseen)).
  returned: always
  type: str
  sample: disable
next_at:
  description: When that time comes, in UTC, as far as it is known.
  returned: always
  type: str
  sample: "2026-11-27T04:16:00Z"
planned:
  description: In check mode, the steps that would be taken.
  returned: always
  type: list
  elements: str
  sample: []
written:
  description: The consumers' files that were written.
  returned: always
  type: list
  elements: str
  sample: [/etc/shop/backup.env]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import HEALTH_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.api_key_arguments import (
    API_KEY_ARGUMENTS,
    api_key_work_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.api_key_work import ApiKeyOutcome
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.arguments import (
    CONSUMERS_ARGUMENT,
    STORE_ARGUMENTS,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.provider import ProviderError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotate_api_key import rotate_api_key
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import StoreError


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(STORE_ARGUMENTS, **API_KEY_ARGUMENTS, **CONSUMERS_ARGUMENT, **HEALTH_ARGUMENTS),
        supports_check_mode=True,
    )
    outcome = ApiKeyOutcome()
    try:
        work = api_key_work_from(module.params)
        result = rotate_api_key(work, module.check_mode, outcome, module.params["rollback"])
    except (InputError, StoreError, ProviderError) as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
